"""`blame`: where one path comes from. Reads what it must of it, and little else.

Without libgit2, unless the file was changed here and the old content is wanted.
"""

import difflib
import os
import stat

from updater.agent.knowledge import Here
from updater.agent.room import Room
from updater.core import index, manifest, names, provenance
from updater.core.chronicle import Known
from updater.core.index import Row
from updater.core.packages import find_owners
from updater.core.packages.owners import Owners
from updater.core.packages.ownership import is_ownership
from updater.core.plan import attributes, below
from updater.core.text import safe, show_path
from updater.errors import HostError, OsupdateError, RefusedError, UsageError
from updater.model import (
    MANIFEST_PATH,
    PROVENANCE_PATH,
    Metadata,
    ObjectId,
    Record,
    State,
)
from updater.report.blame import Blame, Local, Look, Package
from updater.system import checkout
from updater.system.checkout.directories import Directories

MAX_LINES = 20_000  # of a file whose changed lines are counted
MAX_BYTES = 2 << 20
_LINKS = 8  # symlinked directories on the way to a path
_LISTS = (
    b"var/lib/dpkg",
    b"var/lib/pacman/local",
    b"var/lib/rpm",
    b"usr/lib/sysimage/rpm",
    b"lib/apk/db",
    b"usr/lib/apk/db",
)
"""Below these, package managers note whose files are whose."""


def blame(room: Room, state: State, asked: bytes) -> Blame:
    """Where a path of what runs comes from.

    Args:
        room: this machine.
        state: as saved.
        asked: the path, without its leading slash.

    Raises:
        UsageError: nothing runs, or there is no such path.
    """
    record = names.require(room.running(state), "running", state.deployments)
    top = room.layout.deployment(record.id)
    try:
        root = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        if not isinstance(error, PermissionError):
            raise HostError(f"cannot open {top}: {error.strerror}") from error
        return _closed(room, state, record, asked)
    try:
        return _Asked(room, state, record, root).blame(asked)
    finally:
        os.close(root)


def _closed(room: Room, state: State, record: Record, path: bytes) -> Blame:
    """What everybody may know, where only root may look at what runs."""
    known = Here(room, state)
    release = next(r for r in known.releases if r.commit == record.commit)
    changes, of, since = _history(known, release.number, path)
    return Blame(
        asked=path,
        path=path,
        state="unknown",
        release=release,
        released=None,
        here=None,
        local=None,
        package=None,
        packages_known=False,
        origin=None,
        recipe=provenance.recipe(release.source),
        changes=changes,
        of=of,
        oldest=known.releases[-1],
        since=since,
        target=None,
        closed=True,
        now=room.now(),
    )


def _history(
    known: Here, newest: int, path: bytes
) -> tuple[tuple[Known, ...], int, str | None]:
    """The releases that changed a path, how many could tell, and since which one.

    Only those up to the one that runs: what is newer did not bring what is here.
    """
    changes: list[Known] = []
    of = 0
    for release in known.releases:
        if release.number > newest:
            continue
        touched = known.touched(release, [path])
        of += touched is not None
        if touched:
            changes.append(release)
    since = None
    if changes and changes[0].base != changes[0].parent:
        names_ = {release.commit: release.version for release in known.releases}
        since = names_.get(changes[0].base or ObjectId(""))
    return tuple(changes), of, since


class _Asked:
    """One deployment, asked about one path."""

    def __init__(self, room: Room, state: State, record: Record, root: int) -> None:
        self._room = room
        self._state = state
        self._record = record
        self._root = root
        self._directories = Directories(root)
        self._known = Here(room, state)
        self._index = self._open_index()
        self._lists: list[bytes] | None = None

    def _open_index(self) -> index.Peek:
        try:
            return index.Peek(self._index_data())
        except HostError:
            from updater.agent import look  # noqa: PLC0415 - loads libgit2

            found = look.survey_one(self._room, self._record)  # makes it anew
            return index.Peek(found.index.to_bytes())

    def _index_data(self) -> bytes:
        path = self._room.layout.index(self._record.id)
        try:
            with open(path, "rb") as file:
                return file.read()
        except OSError as error:
            raise HostError(f"cannot read {path}: {error.strerror}") from error

    def blame(self, asked: bytes) -> Blame:
        """The whole answer."""
        path = self._follow(asked)
        row, meta = self._index.row(path), self._manifest().get(path)
        here = self._lstat(path)
        released = self._released(path, row, meta)
        if here is None and released is None:
            raise UsageError(
                f"there is no {show_path(path)}, neither here nor in "
                f"{safe(self._record.version, 64)}, which runs"
            )
        release = next(
            r for r in self._known.releases if r.commit == self._record.commit
        )
        state = self._compare(path, row, released, here)
        changes, of, since = _history(self._known, release.number, path)
        owners = self._owners(path)
        return Blame(
            asked=asked,
            path=path,
            state=state,
            release=release,
            released=released,
            here=here
            and self._look(here.st_mode, here.st_uid, here.st_gid, here.st_size),
            local=self._local(path, row, state, here),
            package=self._package(path, owners, release),
            packages_known=bool(owners) or not self._ownership_files(),
            origin=provenance.find(self._provenance(), path),
            recipe=provenance.recipe(release.source),
            changes=changes,
            of=of,
            oldest=self._known.releases[-1],
            since=since,
            target=self._target(path, here),
            closed=False,
            now=self._room.now(),
        )

    def _follow(self, path: bytes) -> bytes:
        """The path behind symlinked directories, such as /bin; itself a link stays."""
        for _ in range(_LINKS):
            parts = path.split(b"/")
            for depth in range(1, len(parts)):
                top = b"/".join(parts[:depth])
                found = self._lstat(top)
                if found is not None and stat.S_ISLNK(found.st_mode):
                    target = self._readlink(top)
                    base = b"" if target.startswith(b"/") else os.path.dirname(top)
                    joined = os.path.join(b"/", base, target, *parts[depth:])
                    path = os.path.normpath(joined).lstrip(b"/")
                    break
            else:
                break
        return path

    def _lstat(self, path: bytes) -> os.stat_result | None:
        parent, _, name = path.rpartition(b"/")
        try:
            return os.lstat(name or b".", dir_fd=self._directories.open(parent))
        except OSError:
            return None

    def _read(self, path: bytes) -> bytes:
        """A file of the deployment; KeyError where there is none that can be read."""
        found = self._lstat(path)
        if found is None or not stat.S_ISREG(found.st_mode):
            raise KeyError(path)
        parent, _, name = path.rpartition(b"/")
        try:
            directory = self._directories.open(parent)
            pieces = checkout.content(directory, name, found.st_size)
            return b"".join(map(bytes, pieces))
        except (OSError, HostError) as error:
            raise KeyError(path) from error

    def _readlink(self, path: bytes) -> bytes:
        parent, _, name = path.rpartition(b"/")
        return os.readlink(name, dir_fd=self._directories.open(parent))

    def _target(self, path: bytes, here: os.stat_result | None) -> bytes | None:
        if here is None or not stat.S_ISLNK(here.st_mode):
            return None
        return self._readlink(path)

    def _manifest(self) -> dict[bytes, Metadata]:
        try:
            return manifest.parse(self._read(MANIFEST_PATH))
        except (KeyError, OsupdateError):
            return {}

    def _provenance(self) -> dict[bytes, str]:
        try:
            return provenance.parse(self._read(PROVENANCE_PATH))
        except (KeyError, RefusedError):
            return {}

    def _released(
        self, path: bytes, row: Row | None, meta: Metadata | None
    ) -> Look | None:
        """How the release has it; None when it has not."""
        if row is not None:
            unseen = row.stat.inode == 0  # of a file that verify found changed
            size = None if unseen else row.stat.size
            return self._look(row.stat.mode, row.stat.uid, row.stat.gid, size)
        if (meta is None or meta.type is None) and not self._index.has_below(path):
            return None
        found = attributes(meta or Metadata(), None, 0, self._room.owner)
        return self._look(found.mode, found.uid, found.gid, None)

    def _look(self, mode: int, uid: int, gid: int, size: int | None) -> Look:
        owner = f"{self._name(b'etc/passwd', uid)}:{self._name(b'etc/group', gid)}"
        return Look(mode, uid, gid, size, owner)

    def _name(self, path: bytes, number: int) -> str:
        """What the deployment calls a user or group; the number when it has no name."""
        try:
            rows = self._read(path).decode("utf-8", "replace").split("\n")
        except KeyError:
            return str(number)
        names_ = (row.split(":") for row in rows if row.count(":") >= 2)
        return next((row[0] for row in names_ if row[2] == str(number)), str(number))

    def _compare(
        self,
        path: bytes,
        row: Row | None,
        released: Look | None,
        here: os.stat_result | None,
    ) -> str:
        """One of the states of `Blame`."""
        if released is None:
            return "data" if below(self._room.seeds)(path) else "untracked"
        if here is None:
            return "deleted"
        if stat.S_IFMT(here.st_mode) != stat.S_IFMT(released.mode):
            return "modified"
        if row is not None and not self._same_content(path, row, here):
            return "modified"
        looks = (here.st_mode, here.st_uid, here.st_gid)
        same = looks == (released.mode, released.uid, released.gid)
        return "clean" if same else "metadata"

    def _same_content(self, path: bytes, row: Row, here: os.stat_result) -> bool:
        parent, _, name = path.rpartition(b"/")
        try:
            directory = self._directories.open(parent)
            if checkout.stat_entry(directory, name) == row.stat:
                return True
            ids = checkout.hash_entry(directory, name, here.st_size, ("sha1",))
            return ids[0] == row.oid
        except (OSError, HostError):
            return False

    def _local(
        self, path: bytes, row: Row | None, state: str, here: os.stat_result | None
    ) -> Local | None:
        if state in ("clean", "unknown"):
            return None
        counts = None
        if state == "modified" and row is not None:
            counts = self._lines(path, row)
        added, removed = counts or (None, None)
        changed = here.st_ctime if state == "metadata" and here else None
        if here is not None and changed is None:
            changed = here.st_mtime
        return Local(None if changed is None else int(changed), added, removed)

    def _lines(self, path: bytes, row: Row) -> tuple[int, int] | None:
        """Lines added and removed; None when it is no text, or nobody has the old."""
        try:
            new = self._read(path)
            old = self._old_content(ObjectId(row.oid.hex()))
        except (KeyError, OSError, OsupdateError):
            return None
        return changed_lines(old, new)

    def _old_content(self, oid: ObjectId) -> bytes:
        """A blob out of objects.git, else out of another deployment."""
        from updater.system.git.objects import open_objects  # noqa: PLC0415 - libgit2

        kept = open_objects([os.path.join(self._room.layout.repository, "objects")])
        if oid in kept:
            return kept.read_blob(oid)
        from updater.agent import live, look  # noqa: PLC0415 - as above

        others = [r for r in self._state.deployments if r.id != self._record.id]
        surveyed = live.indexed(self._room, others)
        return look.open_kept(self._room, surveyed).read_blob(oid)

    def _owners(self, path: bytes) -> Owners:
        """Whose it is, out of those lists that name it at all."""
        name = path.rpartition(b"/")[2]
        wanted = b"/" + name + b"\n"
        if name.endswith(b".pyc"):
            wanted = b"/" + name.partition(b".")[0] + b".py\n"
        contents = {}
        for place in self._ownership_files():
            try:
                data = self._read(place)
            except KeyError:
                continue
            if wanted in data or not place.endswith(b".list"):
                contents[place] = data
        try:
            return find_owners(contents, contents.__getitem__, self._alias)
        except RefusedError:
            return find_owners((), contents.__getitem__)

    def _alias(self, path: bytes) -> bytes | None:
        found = self._lstat(path)
        if found is None or not stat.S_ISLNK(found.st_mode):
            return None
        return self._readlink(path)

    def _ownership_files(self) -> list[bytes]:
        """The files that tell whose files are whose, below this deployment."""
        if self._lists is None:
            top = os.fsencode(f"/proc/self/fd/{self._root}/")
            found = []
            for place in _LISTS:
                for directory, _, names_ in os.walk(top + place):
                    short = directory[len(top) :]
                    found += [os.path.join(short, name) for name in names_]
            self._lists = [place for place in found if is_ownership(place)]
        return self._lists

    def _package(self, path: bytes, owners: Owners, release: Known) -> Package | None:
        name = owners.maker_of(path)
        if name is None:
            return None
        plain = name.partition(":")[0]
        every = self._known.packages(release) or ()
        found = next((p for p in every if p.name == plain), None)
        return Package(
            name=plain,
            version=found.version if found else None,
            source=found.source if found else None,
            conffile=owners.is_conffile(path),
        )


def changed_lines(old: bytes, new: bytes) -> tuple[int, int] | None:
    """How many lines came and went between two texts; None when that is no question."""
    if b"\0" in old or b"\0" in new or max(len(old), len(new)) > MAX_BYTES:
        return None
    before, after = old.splitlines(), new.splitlines()
    if max(len(before), len(after)) > MAX_LINES:
        return None
    added = removed = 0
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=True)
    for _, i1, i2, j1, j2 in (op for op in matcher.get_opcodes() if op[0] != "equal"):
        removed += i2 - i1
        added += j2 - j1
    return added, removed
