"""Packages, seen as the sources that they are built from."""

from collections import defaultdict
from collections.abc import Iterable

from msgspec import Struct

from updater.core.packages import order
from updater.model import Package


class SourceChange(Struct, frozen=True):
    """A source package of which another version is there now.

    Attributes:
        old: the version before; None when no version before can be told: of a source
            that took over binaries of another one, whose numbers do not compare.
        packages: name and version of each package that it is there as, now.
    """

    source: str
    family: str
    old: str | None
    new: str
    packages: tuple[tuple[str, str], ...]

    @property
    def binaries(self) -> list[str]:
        """The names of these packages."""
        return sorted({name for name, _ in self.packages})


def changed(old: Iterable[Package], new: Iterable[Package]) -> list[SourceChange]:
    """The sources whose version is another one, sorted by name.

    A source that comes or goes is none of them; one that took over a binary of another
    one is. Of several versions of a source, as of kernels, the newest counts.
    """
    before, after = _by_source(old), _by_source(new)
    earlier = {package.name: package for group in before.values() for package in group}
    found = []
    for (source, family), packages in sorted(after.items()):
        gone = before.get((source, family)) or [
            earlier[p.name]
            for p in packages
            if p.name in earlier and earlier[p.name].family == family
        ]
        if not gone:
            continue
        was, now = _newest(gone), _newest(packages)
        renamed = gone[0].source != source
        if was == now and not renamed:
            continue
        backwards = order.compare(family, was, now) >= 0
        names = sorted({(package.name, package.version) for package in packages})
        found.append(
            SourceChange(
                source=source,
                family=family,
                old=None if renamed and backwards else was,
                new=now,
                packages=tuple(names),
            )
        )
    return found


def _by_source(packages: Iterable[Package]) -> dict[tuple[str, str], list[Package]]:
    found: dict[tuple[str, str], list[Package]] = defaultdict(list)
    for package in packages:
        found[package.source, package.family].append(package)
    return found


def _newest(packages: Iterable[Package]) -> str:
    newest = max(packages, key=lambda p: order.key(p.family, p.built_from))
    return newest.built_from
