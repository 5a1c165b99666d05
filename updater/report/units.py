"""Units that are started by themselves now, or no longer: by what a tree says alone.

A unit is enabled when a link in a `.wants`, `.requires` or `.upholds` directory pulls
it in (etc/systemd/system, or usr/lib/systemd/system) and it is not masked:
systemd.unit(5).
Alias links of etc/systemd/system count as the unit that they replace. Without systemd
it is a start link of etc/rc?.d (a native unit of that name wins, as in
systemd-sysv-generator(8)) or of etc/runlevels (OpenRC). Presets enable nothing on a
machine that has booted once: systemd.preset(5).
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from updater.core.tree import object_id
from updater.errors import RefusedError
from updater.model import GitMode
from updater.report.snapshot import Snapshot

MAX_UNIT = 1 << 20  # bytes of a unit file that is read
_SYSTEM = (b"etc/systemd/system", b"usr/lib/systemd/system", b"lib/systemd/system")
_USER = (b"etc/systemd/user", b"usr/lib/systemd/user", b"lib/systemd/user")
_PULLS = (b".wants", b".requires", b".upholds")
_RC = re.compile(rb"etc/(rc[S2-5]\.d)/S[0-9][0-9](.+)")
_RUNLEVEL = re.compile(rb"etc/runlevels/([^/]+)/([^/]+)")
_UNIT = re.compile(
    rb"[^/]+\.(service|socket|timer|path|mount|automount|swap|target|slice|device)"
)
_TELLING = re.compile(
    rb"(etc|usr/lib|lib)/systemd/(system|user)/.*|etc/(rc[S2-5]\.d|runlevels)/.*"
)
_OF_USERS = b"user/"
_PLACES = (b"etc/", b"usr/lib/systemd/", b"lib/systemd/")
_NULL = b"/dev/null"
_NULL_OID = object_id("blob", _NULL, "sha1").hex()
_EMPTY_OID = object_id("blob", b"", "sha1").hex()
_LISTENS = re.compile(rb"Listen([A-Za-z]+)[ \t]*=[ \t]*(.*?)[ \t]*")
_TIMES = re.compile(rb"(On[A-Za-z]+)[ \t]*=[ \t]*(.*?)[ \t]*")


class Change(Struct, frozen=True):
    """A unit that is started by itself now, or no longer; `file` describes it.

    `by` is what pulls it in, `links` are the paths that say so.
    """

    unit: bytes
    enabled: bool
    by: tuple[bytes, ...]
    links: tuple[bytes, ...]
    file: bytes | None
    tells: tuple[str, ...]


class Moved(Struct, frozen=True):
    """A socket that is enabled as before and listens elsewhere."""

    unit: bytes
    file: bytes | None
    old: tuple[str, ...]
    new: tuple[str, ...]


class Differences(Struct, frozen=True):
    """How two releases differ in what they start; `freed` are masks that went away."""

    changes: Sequence[Change] = ()
    moved: Sequence[Moved] = ()
    freed: Sequence[bytes] = ()
    problems: Sequence[str] = ()


class Enabled(Struct, frozen=True):
    """What a release starts by itself, and what is masked.

    `pulled` is unit -> what pulls it in -> the path of the link that says so.
    """

    pulled: dict[bytes, dict[bytes, bytes]]
    masked: frozenset[bytes]

    def by(self, unit: bytes) -> tuple[bytes, ...]:
        """What starts a unit; nothing when it is masked."""
        return () if unit in self.masked else tuple(self.pulled.get(unit, ()))


def concerns(path: bytes) -> bool:
    """Whether a changed path may enable or disable something."""
    return path.startswith(_PLACES) and _TELLING.fullmatch(path) is not None


def enabled(snapshot: Snapshot | None) -> Enabled:
    """What a release starts by itself."""
    pulled: dict[bytes, dict[bytes, bytes]] = defaultdict(dict)
    masked: set[bytes] = set()
    if snapshot is None:
        return Enabled({}, frozenset())
    for places, of in ((_SYSTEM, b""), (_USER, _OF_USERS)):
        for place in places:
            for unit, by, link in _pulls(snapshot, place):
                pulled[of + unit].setdefault(of + by, link)
        masked |= {of + unit for unit in _masks(snapshot, places)}
    for unit, by, link in [*_links(snapshot, set(pulled))]:
        pulled[unit].setdefault(by, link)
    return Enabled(dict(pulled), frozenset(masked))


def _pulls(snapshot: Snapshot, place: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Unit, what pulls it in, and by which link; another name of /etc is an alias."""
    tree = snapshot.tree
    for name in tree.names(place):
        path = place + b"/" + name
        if name.endswith(_PULLS):
            by = name.rpartition(b".")[0]
            units = filter(_UNIT.fullmatch, tree.names(path))
            yield from ((unit, by, path + b"/" + unit) for unit in units)
        elif place.startswith(b"etc/") and _UNIT.fullmatch(name):
            unit = _alias(snapshot, path)
            if unit is not None and unit != name:
                yield unit, name, path


def _alias(snapshot: Snapshot, path: bytes) -> bytes | None:
    leaf = snapshot.tree.leaf(path)
    if leaf is None or leaf.mode is not GitMode.SYMLINK or leaf.oid == _NULL_OID:
        return None
    try:
        target = snapshot.read(path, MAX_UNIT).rpartition(b"/")[2]
    except RefusedError:  # not here: then it is nobody's other name
        return None
    return target if _UNIT.fullmatch(target) else None


def _masks(snapshot: Snapshot, places: Iterable[bytes]) -> Iterator[bytes]:
    """The first place that has a unit decides whether it is masked."""
    seen: set[bytes] = set()
    for place in places:
        for name in snapshot.tree.names(place):
            leaf = snapshot.tree.leaf(place + b"/" + name)
            if leaf is None or name in seen:
                continue
            seen.add(name)
            link = leaf.mode is GitMode.SYMLINK
            if leaf.oid == (_NULL_OID if link else _EMPTY_OID):
                yield name


def _links(
    snapshot: Snapshot, native: set[bytes]
) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Start links of System V and of OpenRC."""
    for directory in snapshot.tree.names(b"etc"):
        for name in snapshot.tree.names(b"etc/" + directory):
            path = b"etc/" + directory + b"/" + name
            match = _RC.fullmatch(path)
            if match and not _is_native(snapshot, match[2], native):
                yield match[2], match[1], path
    for level in snapshot.tree.names(b"etc/runlevels"):
        for name in snapshot.tree.names(b"etc/runlevels/" + level):
            path = b"etc/runlevels/" + level + b"/" + name
            yield name, b"runlevel " + level, path


def _is_native(snapshot: Snapshot, script: bytes, native: set[bytes]) -> bool:
    unit = script.removesuffix(b".sh") + b".service"
    if unit in native:
        return True
    return any(snapshot.tree.leaf(place + b"/" + unit) for place in _SYSTEM)


def compare(old: Snapshot | None, new: Snapshot, paths: Iterable[bytes]) -> Differences:
    """What is started that was not, what no longer is, and what listens elsewhere.

    Args:
        old: what is replaced; None is nothing.
        new: what comes.
        paths: that differ. Nothing is read when no unit can be among them.
    """
    told = [path for path in paths if concerns(path)]
    if not told:
        return Differences()
    before, after = enabled(old), enabled(new)
    changes: list[Change] = []
    problems: list[str] = []
    for unit in sorted(before.pulled.keys() | after.pulled.keys()):
        was, now = before.by(unit), after.by(unit)
        if bool(was) != bool(now):
            changes.append(_change(old, new, unit, before, after, problems))
    kept = [u for u in _touched(told) if before.by(u) and after.by(u)]
    moved = []
    for unit in kept:
        assert old is not None
        places = [_tells(side, unit, problems) for side in (old, new)]
        if places[0] != places[1]:
            moved.append(Moved(unit, unit_file(new, unit), places[0], places[1]))
    freed = [
        unit
        for unit in sorted(before.masked - after.masked)
        if not after.by(unit) and unit_file(new, unit)
    ]
    return Differences(changes, moved, freed, problems)


def _change(
    old: Snapshot | None,
    new: Snapshot,
    unit: bytes,
    before: Enabled,
    after: Enabled,
    problems: list[str],
) -> Change:
    now = after.by(unit)
    side = new if now else old
    assert side is not None
    return Change(
        unit=unit,
        enabled=bool(now),
        by=now or before.by(unit),
        links=tuple((after if now else before).pulled[unit].values()),
        file=unit_file(side, unit),
        tells=_tells(side, unit, problems),
    )


def _touched(paths: Iterable[bytes]) -> list[bytes]:
    """The sockets whose files, or drop-ins, are among these paths."""
    found: dict[bytes, None] = {}
    for path in paths:
        _, _, rest = path.partition(b"/systemd/")
        kind, _, name = rest.partition(b"/")
        unit = name.partition(b"/")[0].removesuffix(b".d")
        if unit.endswith(b".socket"):
            found[(_OF_USERS if kind == b"user" else b"") + unit] = None
    return list(found)


def _tells(snapshot: Snapshot, unit: bytes, problems: list[str]) -> tuple[str, ...]:
    try:
        return tells(snapshot, unit)
    except RefusedError as error:
        problems.append(str(error))
        return ()


def unit_file(snapshot: Snapshot, unit: bytes) -> bytes | None:
    """Where a unit is described: its own file, or that of its template."""
    places = _USER if unit.startswith(_OF_USERS) else _SYSTEM
    name = unit.removeprefix(_OF_USERS)
    stem, at, rest = name.partition(b"@")
    names = [name]
    if at:
        names.append(stem + b"@." + rest.rpartition(b".")[2])
    for name in names:
        for place in places:
            leaf = snapshot.tree.leaf(place + b"/" + name)
            if leaf is not None and leaf.mode is not GitMode.SYMLINK:
                return place + b"/" + name
    script = b"etc/init.d/" + unit
    return script if snapshot.tree.leaf(script) else None


def tells(snapshot: Snapshot, unit: bytes) -> tuple[str, ...]:
    """Where a socket listens, or when a timer runs out; drop-ins included.

    Raises:
        RefusedError: the file's content is not here.
    """
    pattern = None
    if unit.endswith(b".socket"):
        pattern = _LISTENS
    elif unit.endswith(b".timer"):
        pattern = _TIMES
    path = unit_file(snapshot, unit)
    if pattern is None or path is None:
        return ()
    values: list[tuple[bytes, bytes]] = []
    for part in (path, *_dropins(snapshot, unit)):
        for line in snapshot.read(part, MAX_UNIT).splitlines():
            match = pattern.fullmatch(line.strip())
            if match is None:
                continue
            if match[2]:
                values.append((match[1], match[2]))
            else:
                values.clear()  # an empty assignment resets them all
    word = _address if pattern is _LISTENS else _time
    return tuple(word(key, value) for key, value in values)


def _dropins(snapshot: Snapshot, unit: bytes) -> list[bytes]:
    """By file name, as systemd reads them; /etc replaces what has the same name."""
    places = _USER if unit.startswith(_OF_USERS) else _SYSTEM
    found: dict[bytes, bytes] = {}
    for place in reversed(places):
        directory = place + b"/" + unit.removeprefix(_OF_USERS) + b".d"
        for name in snapshot.tree.names(directory):
            if name.endswith(b".conf"):
                found[name] = directory + b"/" + name
    return [found[name] for name in sorted(found)]


def _address(key: bytes, value: bytes) -> str:
    """`tcp/631`, `udp/[::]:631`, a path, or what it is and what it says."""
    shown = value.replace(b"%t", b"/run").decode("utf-8", "backslashreplace")
    if shown.startswith(("/", "@")):
        return shown
    protocol = {b"Stream": "tcp", b"Datagram": "udp"}.get(key)
    return f"{protocol}/{shown}" if protocol else f"{key.decode().lower()} {shown}"


def _time(key: bytes, value: bytes) -> str:
    return f"{key.decode()} {value.decode('utf-8', 'backslashreplace')}"


def show(name: bytes) -> str:
    """A unit's name as text."""
    return name.decode("utf-8", "backslashreplace")
