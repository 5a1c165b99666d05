"""A report for everybody: without what only root may read.

People without privileges may see that /etc/shadow changed, not what its hash is, for a
hash is enough to guess at a short secret. Names inside closed directories are no more
theirs than content. Numbers stay.
"""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from updater.report.diff import HIDDEN, FileChange, Node, Packages, Report
from updater.report.sections import Attention, Danger, UnitChange
from updater.report.snapshot import Snapshot
from updater.report.tally import Tally

LISTED = 20_000  # paths; a report that everybody may read is no place for more
_READ = 0o004
_SEARCH = 0o005
_SHADOW = b"etc/shadow"
_FROM_CONTENT = (
    Danger.UNIT,
    Danger.SOCKET,
    Danger.TIMER,
    Danger.CERTIFICATE,
    Danger.KEY,
)


def closed_directories(sides: Iterable[Snapshot | None]) -> tuple[bytes, ...]:
    """The directories that not everybody may list, each with its slash."""
    found = {
        path + b"/"
        for side in sides
        if side is not None
        for path, meta in side.metadata.items()
        if meta.mode is not None
        and meta.mode & _SEARCH != _SEARCH
        and side.tree.leaf(path) is None
    }
    return tuple(sorted(found))


def redact(report: Report, closed: tuple[bytes, ...]) -> Report:
    """What of a report everybody may read.

    Args:
        report: all of it.
        closed: directories that not everybody may list, each with its slash.
    """
    secret = {c.path for c in report.files if _is_secret(c.old) or _is_secret(c.new)}
    files = [c for c in report.files if not c.path.startswith(closed)]
    shut = {c.path for c in report.files if c.path.startswith(closed)}
    hiding = tuple(secret | shut)
    problems = report.problems
    if len(files) > LISTED:
        left = len(files) - LISTED
        problems = (*problems, f"{left:,} more paths: sudo osupdate diff --files")
    odd = report.unexplained
    return replace(
        report,
        files=tuple(map(_file, files[:LISTED])),
        directories=tuple(
            replace(place, grows=None) if _tells(place.path, hiding) else place
            for place in report.directories
            if not (place.path + b"/").startswith(closed)
        ),
        attention=tuple(
            _attention(one, secret)
            for one in report.attention
            if one.path is None or not (one.path.startswith(closed))
            if one.path != _SHADOW
        ),
        configs=tuple(c for c in report.configs if not c.path.startswith(closed)),
        units=tuple(_unit(unit, secret) for unit in report.units),
        accounts=tuple(c for c in report.accounts if c.change != "password"),
        unexplained=replace(
            odd,
            changed=tuple(c for c in odd.changed if not c[0].startswith(closed)),
            unowned=tuple(
                one for one in odd.unowned if not (one.path + b"/").startswith(closed)
            ),
        ),
        problems=problems,
    )


def _tells(place: bytes, hiding: Iterable[bytes]) -> bool:
    """Whether the size of a place is that of a hidden file, and of some others."""
    return any(path == place or path.startswith(place + b"/") for path in hiding)


def _is_secret(node: Node | None) -> bool:
    return node is not None and node.mode is not None and not node.mode & _READ


def _file(change: FileChange) -> FileChange:
    if not (_is_secret(change.old) or _is_secret(change.new)):
        return change
    differs = change.content
    return replace(
        change,
        old=change.old and _hidden(change.old, HIDDEN[0]),
        new=change.new and _hidden(change.new, HIDDEN[1 if differs else 0]),
    )


def _hidden(node: Node, oid: str) -> Node:
    return replace(
        node,
        oid=None if node.oid is None else oid,
        size=None,
        xattrs=tuple((name, b"") for name, _ in node.xattrs),
    )


def _attention(one: Attention, secret: set[bytes]) -> Attention:
    """What was read in a file that is not everybody's stays there."""
    if one.path not in secret or one.kind not in _FROM_CONTENT:
        return one
    return replace(one, old=None, new=None, text="only root may see more")


def _unit(unit: UnitChange, secret: set[bytes]) -> UnitChange:
    names = {path.rpartition(b"/")[2] for path in secret}
    return replace(unit, listens=()) if unit.unit.encode() in names else unit


def narrow(report: Report, paths: Sequence[bytes]) -> Report:
    """A kept report, of these paths and below only; packages are left out then."""
    wanted = tuple(path for path in paths if path)
    if len(wanted) < len(paths) or not wanted:  # the root was one of them
        return report
    below = tuple(path + b"/" for path in wanted)

    def is_asked(path: bytes | None) -> bool:
        return path is not None and (path in wanted or path.startswith(below))

    tally = Tally()
    files = tuple(change for change in report.files if is_asked(change.path))
    for change in files:
        tally.add(change)
    odd = report.unexplained
    return replace(
        report,
        paths=wanted,
        packages=Packages(),
        kernel=None,
        files=files,
        counts=tally.counts(),
        directories=tally.directories(),
        attention=tuple(one for one in report.attention if is_asked(one.path)),
        security=(),
        changelogs=(),
        configs=tuple(c for c in report.configs if is_asked(c.path)),
        units=(),
        accounts=(),
        unexplained=replace(
            odd,
            changed=tuple(c for c in odd.changed if is_asked(c[0])),
            unowned=tuple(one for one in odd.unowned if is_asked(one.path)),
        ),
    )
