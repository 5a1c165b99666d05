"""Hooks: executables of this machine's owner, never of a release."""

import os
from collections.abc import Mapping, Sequence

from msgspec import Struct

from updater.core.text import safe
from updater.errors import HostError
from updater.system import fs, process

_SHOWN = 500  # characters of a hook's last words


class Outcome(Struct, frozen=True):
    """How one hook ended; `text` is empty when it was content."""

    name: str
    text: str


def run_all(
    directories: Sequence[str], environment: Mapping[str, str], timeout: float
) -> list[Outcome]:
    """Run every executable of these directories, by name; the later directory wins.

    Args:
        directories: `/usr/lib/...` first, `/etc/...` after it; absent is empty. A hook
            that is a link to /dev/null is switched off. One that others may change
            is not run, and has failed.
        environment: added to a clean one.
        timeout: seconds for each.
    """
    found: dict[str, str] = {}
    for directory in directories:
        if os.path.isdir(directory):
            for name in os.listdir(directory):
                found[name] = os.path.join(directory, name)
    return [
        Outcome(name, _run(found[name], environment, timeout))
        for name in sorted(found)
        if not _is_off(found[name])
    ]


def _is_off(path: str) -> bool:
    directory = os.path.dirname(path)
    return os.path.realpath(path) == os.devnull and not fs.exposure(directory)


def _run(path: str, environment: Mapping[str, str], timeout: float) -> str:
    if not os.access(path, os.X_OK):
        return "is not executable"
    exposed = fs.exposed_file(path)
    if exposed:
        return f"is not run: {exposed}"
    try:
        result = process.run([path], env=environment, timeout=timeout)
    except HostError as error:
        return str(error)
    if result.code == 0:
        return ""
    words = safe((result.stderr or result.stdout).strip(), _SHOWN)
    return f"exit code {result.code}" + (f": {words}" if words else "")
