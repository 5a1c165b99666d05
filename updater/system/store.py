"""state.json: what this machine remembers between runs.

Ids and names only, never content: a release is verified again, not loaded. A newer
osupdate may have written keys that this one does not know; they are written back, so
that going back one release loses nothing.
"""

from typing import Any

import msgspec

from updater.core.text import safe
from updater.errors import BrokenStateError, HostError
from updater.model import Phase, State
from updater.system.fs import write_durably

FORMAT = 1
_IDENTITY = ("id", "commit")


class Store:
    """state.json at `path`. Load once under the lock, then save as often as needed."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._raw: dict[str, Any] = {}

    def load(self) -> State:
        """The saved state; a file that is absent is first contact, an empty State.

        Raises:
            BrokenStateError: the file is broken, or of a newer format.
            HostError: it is unreadable.
        """
        try:
            with open(self.path, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            self._raw = {}
            return State()
        except OSError as error:
            raise HostError(f"cannot read {self.path}: {error.strerror}") from error
        try:
            raw = msgspec.json.decode(data, type=dict[str, Any])
            for key, known in (("format", [FORMAT]), ("phase", list(Phase))):
                if raw.get(key, known[0]) not in known:
                    raise self._newer(key, raw[key])
            state = msgspec.convert(raw, State)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._broken(str(error)) from error
        self._raw = raw
        return state

    def save(self, state: State) -> None:
        """Replace state.json durably, with the unknown keys of what was loaded."""
        raw = _keep_unknown(self._raw, msgspec.to_builtins(state))
        data = msgspec.json.format(msgspec.json.encode(raw), indent=2)
        write_durably(self.path, data + b"\n")
        self._raw = raw

    def _newer(self, key: str, value: object) -> BrokenStateError:
        return BrokenStateError(
            f"{self.path} says {key} {safe(str(value), 40)}, which this osupdate "
            "does not know: a newer one wrote it",
            hint="What is booted and the deployments on disk are untouched.",
        )

    def _broken(self, reason: str) -> BrokenStateError:
        return BrokenStateError(
            f"{self.path} is broken: {safe(reason, 200)}",
            hint="What is booted and the deployments on disk are untouched. Move the "
            "file away to start anew from them; holds and the pin are then forgotten.",
        )


def _keep_unknown(old: Any, new: Any) -> Any:  # noqa: ANN401 - any JSON value
    """`new`, and of `old` the keys that `new` has no word for, at every level."""
    if isinstance(old, dict) and isinstance(new, dict):
        known = {key: _keep_unknown(old.get(key), value) for key, value in new.items()}
        return known | {key: old[key] for key in old if key not in new}
    if isinstance(old, list) and isinstance(new, list | tuple):
        by_id = {_identity(item): item for item in old}
        return [_keep_unknown(by_id.get(_identity(item)), item) for item in new]
    return new


def _identity(item: Any) -> str | None:  # noqa: ANN401 - any JSON value
    if not isinstance(item, dict):
        return None
    return next((str(item[key]) for key in _IDENTITY if key in item), None)
