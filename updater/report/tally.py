"""Numbers of what differs, counted while it passes by."""

from updater.report.diff import Counts, Directory, FileChange, Kind

DEPTH = 3  # directories: /usr/lib/x86_64-linux-gnu says more than /usr/lib


class Tally:
    """Counts paths, directories and bytes."""

    def __init__(self) -> None:
        self._kinds = dict.fromkeys(Kind, 0)
        self._metadata = self._bookkeeping = 0
        self._grows: int | None = 0
        self._inside: dict[bytes, tuple[int, int | None]] = {}

    def add(self, change: FileChange) -> None:
        """One more path that differs."""
        kind = change.kind
        self._kinds[kind] += 1
        if change.old is not None and change.new is not None:
            self._metadata += change.metadata
        grows = change.grows
        self._grows = _plus(self._grows, grows)
        if kind is Kind.METADATA:
            return
        if change.bookkeeping:
            self._bookkeeping += 1
            return
        place = b"/".join(change.path.split(b"/")[:-1][:DEPTH])
        count, size = self._inside.get(place, (0, 0))
        self._inside[place] = count + 1, _plus(size, grows)

    def counts(self) -> Counts:
        """Of the paths that differ."""
        kinds = self._kinds
        return Counts(
            added=kinds[Kind.ADDED],
            removed=kinds[Kind.REMOVED],
            modified=kinds[Kind.MODIFIED] + kinds[Kind.TYPE],
            metadata=self._metadata,
            bookkeeping=self._bookkeeping,
        )

    def directories(self) -> tuple[Directory, ...]:
        """Where most differs, first."""
        found = [Directory(p, n, size) for p, (n, size) in self._inside.items()]
        return tuple(sorted(found, key=lambda place: (-place.changes, place.path)))

    def grows(self) -> int | None:
        """Bytes on disk; None when a size is not known."""
        return self._grows


def _plus(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other
