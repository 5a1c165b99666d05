"""The file lists of a release's package databases -> `Owners`."""

from collections.abc import Iterable, Iterator, Sequence

from updater.core.packages import apk, dpkg, pacman, rpm, text
from updater.core.packages.owners import Conffile, Owners, real_paths

Listing = tuple[str, Sequence[bytes]]
"""A package and the paths that it lists."""

_FILES = frozenset((dpkg.STATUS, dpkg.DIVERSIONS, *apk.INSTALLED, *rpm.SQLITE))


def is_ownership(path: bytes) -> bool:
    """Whether a package manager keeps there whose files are whose."""
    if path in _FILES or apk.is_rules(path):
        return True
    return dpkg.listed_by(path) is not None or pacman.listed_by(path) is not None


class Gathering:
    """What the files of the databases tell, put together once all were read.

    Args:
        links: directories that are symlinks, and where they lead.
    """

    def __init__(self, links: dict[bytes, bytes]) -> None:
        self._links = links
        self._listed: dict[str, list[bytes]] = {}
        self._conffiles: dict[bytes, Conffile] = {}
        self._apk: dict[str, list[bytes]] = {}
        self._rules: list[apk.Rule] = []
        self._diversions: list[tuple[bytes, bytes, str]] = []
        self._room = text.MAX_PATHS

    def add(self, path: bytes, data: bytes) -> None:
        """Take in one file of a database, of those that `is_ownership` names.

        Raises:
            ValueError: it is damaged.
        """
        if path == dpkg.STATUS:
            self._conffiles.update(dpkg.conffiles(data))
        elif path == dpkg.DIVERSIONS:
            self._diversions = dpkg.diversions(data)
        elif apk.is_rules(path):
            self._rules += apk.parse_rules(data)
            if len(self._rules) > apk.MAX_RULES:
                raise ValueError(f"there are more than {apk.MAX_RULES} protected paths")
        elif path in apk.INSTALLED:
            self._apk = apk.listed(data)
            self._list(self._apk.items())
        elif path in rpm.SQLITE:
            self._list(self._rpm(data))
        elif name := pacman.listed_by(path):
            self._list([(name, pacman.listed(data))])
            self._conffiles.update(pacman.conffiles(name, data))
        elif name := dpkg.listed_by(path):
            self._list([(name, dpkg.listed(path, data))])

    def owners(self) -> Owners:
        """Whose everything is."""
        self._divert()
        self._conffiles.update(apk.conffiles(self._apk, self._rules))
        listed = {n: real_paths(p, self._links) for n, p in self._listed.items()}
        paths = real_paths(self._conffiles, self._links)
        return Owners(listed, dict(zip(paths, self._conffiles.values(), strict=True)))

    def _rpm(self, data: bytes) -> Iterator[Listing]:
        for name, paths, configuration in rpm.listed(data):
            self._conffiles.update(dict.fromkeys(configuration, Conffile(name)))
            yield name, paths

    def _list(self, listings: Iterable[Listing]) -> None:
        for name, paths in listings:
            self._room -= len(paths)
            if self._room < 0:
                raise ValueError(f"packages list more than {text.MAX_PATHS} paths")
            self._listed.setdefault(name, []).extend(paths)

    def _divert(self) -> None:
        """Files of other packages lie aside of a path that one package diverts."""
        aside = {path: (to, package) for path, to, package in self._diversions}
        for name, paths in self._listed.items():
            here = {p: aside[p][0] for p in aside.keys() & paths if aside[p][1] != name}
            if here:
                paths[:] = [here.get(path, path) for path in paths]
