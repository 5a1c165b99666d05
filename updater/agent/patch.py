"""`patch`: what was changed in what runs, against its release, to be sent upstream.

Left out, unless it is named: what not everybody may read, what is of one machine only,
and data below persistent directories.
"""

import os
import stat
from collections.abc import Iterator, Sequence

from updater.agent import live as live_
from updater.agent.live import Live
from updater.agent.room import Room
from updater.core import tree
from updater.core.plan import below
from updater.core.rootfs import Kind, Node
from updater.core.text import show_path, size
from updater.errors import HostError, RefusedError
from updater.model import GitMode, LocalChange, State
from updater.publish import refusals
from updater.publish.defaults import DEFAULT_EXCLUDES
from updater.publish.excludes import Selection
from updater.report.mail import LeftOut, Patch
from updater.system.git.patch import File, difference

MAX_FILE = 32 << 20  # bytes that go into a mail
_OPEN = stat.S_IROTH | stat.S_IXOTH  # what everybody may list and enter


def patch(room: Room, state: State, paths: Sequence[bytes]) -> Patch:
    """The local changes of these paths, or below them; without any, all.

    Raises:
        UsageError: nothing runs. RefusedError: a path that was named cannot go into a
            patch. HostError, UntrustedError.
    """
    live = live_.open_live(room, state)
    try:
        maker = _Maker(room, live, paths)
        maker.take_all()
    finally:
        live.close()
    record = live.record
    return Patch(
        host=os.uname().nodename,
        version=record.version,
        commit=record.commit,
        created=room.now(),
        paths=tuple(sorted(maker.old.keys() | maker.new.keys())),
        difference=difference(maker.old, maker.new),
        beyond=tuple(maker.beyond),
        left_out=tuple(maker.left_out),
    )


class _RefusalError(Exception):
    """Why a path does not go into the patch."""


class _Maker:
    """Both sides of the patch, path by path."""

    def __init__(self, room: Room, live: Live, paths: Sequence[bytes]) -> None:
        self._room = room
        self._live = live
        self._entries = live.entries
        self._paths = paths
        self._selection = Selection([pattern for pattern, _ in DEFAULT_EXCLUDES])
        self.old: dict[bytes, File] = {}
        self.new: dict[bytes, File] = {}
        self.beyond: list[LeftOut] = []
        self.left_out: list[LeftOut] = []

    def take_all(self) -> None:
        """Every change that was asked about."""
        for change in self._live.changes:
            for path in self._expand(change):
                if live_.chosen(self._paths, path):
                    self._take(path)

    def _expand(self, change: LocalChange) -> Iterator[bytes]:
        if change.kind != "extra":
            yield change.path
            return
        if any(live_.chosen([change.path], path) for path in self._paths):
            yield from live_.below_extra(self._live.root, change.path)
        elif live_.chosen(self._paths, change.path):
            if below(self._room.seeds)(change.path):
                self._leave(change.path, "data below a persistent directory")
            else:
                yield from live_.below_extra(self._live.root, change.path)

    def _take(self, path: bytes) -> None:
        try:
            if path not in self._paths:
                self._require_open(path)
            before, after = self._before(path), self._after(path)
            if before != after:
                self._check(path)
                if before is not None:
                    self.old[path] = before
                if after is not None:
                    self.new[path] = after
            self._note_looks(path)
        except _RefusalError as refusal:
            if path in self._paths:
                raise RefusedError(f"{show_path(path)}: {refusal}") from refusal
            self._leave(path, str(refusal))

    def _leave(self, path: bytes, why: str) -> None:
        self.left_out.append(LeftOut(path, why))

    def _before(self, path: bytes) -> File | None:
        entry = self._entries.get(path)
        if entry is None:
            return None
        found = live_.blob_of(self._live, entry.oid)
        if found is None:
            raise _RefusalError(
                "the release's content of it is nowhere on this machine"
            )
        return File(entry.mode, found)

    def _after(self, path: bytes) -> File | None:
        found = live_.lstat(self._live.root, path)
        if found is None or stat.S_ISDIR(found.st_mode):
            return None
        mode = live_.git_mode(found)
        if mode is None:
            raise _RefusalError("git cannot hold a device, socket or pipe")
        if found.st_size > MAX_FILE:
            raise _RefusalError(f"its {size(found.st_size)} are too much for a mail")
        if not all(map(tree.safe_name, path.split(b"/"))):
            raise _RefusalError("git cannot hold its name")
        try:
            return File(mode, live_.content(self._live.root, path, found.st_size))
        except (OSError, HostError) as error:
            raise _RefusalError(str(error)) from error

    def _require_open(self, path: bytes) -> None:
        """Hold back what lies below a directory that is not for everybody.

        Closed here or in the release is enough: the one may be a slip of the other.

        Raises:
            _RefusalError.
        """
        parent = path.rpartition(b"/")[0]
        while parent:
            found = live_.lstat(self._live.root, parent)
            released = self._live.laid.metadata.get(parent)
            modes = [found.st_mode] if found and stat.S_ISDIR(found.st_mode) else []
            modes += [released.mode] if released and released.mode is not None else []
            if any(mode & _OPEN != _OPEN for mode in modes):
                raise _RefusalError(
                    f"not everybody may read {show_path(parent)}; name it to have it in"
                )
            parent = parent.rpartition(b"/")[0]

    def _check(self, path: bytes) -> None:
        """Hold back what was not named and should not leave this machine.

        Raises:
            _RefusalError.
        """
        if path in self._paths:
            return
        found = live_.lstat(self._live.root, path)
        released = self._live.laid.metadata.get(path)
        modes = [found.st_mode] if found and not stat.S_ISLNK(found.st_mode) else []
        modes += [released.mode] if released and released.mode is not None else []
        if any(not mode & stat.S_IROTH for mode in modes):
            raise _RefusalError("not everybody may read it; name it to have it in")
        if below(self._room.seeds)(path):
            raise _RefusalError(
                "data below a persistent directory; name it to have it in"
            )
        node = Node(path, Kind.FILE, 0, 0, 0, found.st_size if found else 0)
        if not self._selection.keeps(node):
            raise _RefusalError("publishing leaves it out; name it to have it in")
        file = self._after(path)
        if file is not None and file.mode is not GitMode.SYMLINK:
            secret = refusals.secrets({path: node}, lambda _: file.content, ())
            if secret:
                raise _RefusalError(f"{secret[path]}; name it to have it in")

    def _note_looks(self, path: bytes) -> None:
        """Tell of a mode or owner that git has no words for."""
        found = live_.lstat(self._live.root, path)
        look = next(
            (w.attributes for w in self._live.plan.writes if w.path == path), None
        )
        look = look or dict(self._live.plan.directories).get(path)
        if found is None or look is None or live_.git_mode(found) is GitMode.SYMLINK:
            return
        told = []
        if stat.S_IFMT(found.st_mode) == stat.S_IFMT(look.mode):
            old, new = stat.S_IMODE(look.mode), stat.S_IMODE(found.st_mode)
            if old != new and {old, new} != {0o644, 0o755}:
                told.append(f"mode {old:04o} -> {new:04o}")
        if (found.st_uid, found.st_gid) != (look.uid, look.gid):
            told.append(f"owner {look.uid}:{look.gid} -> {found.st_uid}:{found.st_gid}")
        if told:
            self.beyond.append(LeftOut(path, ", ".join(told)))
