"""Package databases, read without their programs: dpkg, apk, pacman, rpm (SQLite).

Every parser is a function from bytes to packages or paths. A damaged record is refused
with its place, not skipped: a list of packages that silently lacks one would hide a
change. One module a family; `order` compares versions, `owners` tells whose a path is.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable

import msgspec

from updater.core.packages import apk, dpkg, pacman, rpm, text
from updater.core.packages.owners import Owners, aliases
from updater.core.packages.ownership import Gathering, is_ownership
from updater.core.text import safe
from updater.errors import RefusedError
from updater.model import Package

DATABASES = (
    dpkg.STATUS,
    dpkg.STATUS_D.rstrip(b"/"),
    *apk.INSTALLED,
    pacman.LOCAL.rstrip(b"/"),
    *rpm.SQLITE,
)
"""Where package managers keep their lists: files, and directories of files."""
NO_ARCH = frozenset(("all", "noarch", "any", "none", ""))


def find(paths: Iterable[bytes], read: Callable[[bytes], bytes]) -> list[Package]:
    """All packages that the databases of a release name, sorted.

    Args:
        paths: every file of the release.
        read: gives the content of one.

    Raises:
        RefusedError: a database is damaged.
    """
    found: list[Package] = []
    for path in sorted(paths):
        if parse := _parser(path):
            try:
                found += parse(read(path))
            except ValueError as error:
                raise _damaged(path, error) from error
    return sorted(found, key=lambda p: (p.name, p.arch, p.version))


def is_database(path: bytes) -> bool:
    """Whether a package manager keeps its list, or a part of it, at this path."""
    return _parser(path) is not None


def find_owners(
    paths: Iterable[bytes],
    read: Callable[[bytes], bytes],
    readlink: Callable[[bytes], bytes | None] = lambda _path: None,
) -> Owners:
    """Whose every path of a release is, and which ones are configuration.

    Args:
        paths: every file of the release.
        read: gives the content of one.
        readlink: gives the target of a symlink of the release, None for all else.

    Raises:
        RefusedError: a database is damaged.
    """
    gathering = Gathering(aliases(readlink))
    for path in sorted(filter(is_ownership, paths)):
        try:
            gathering.add(path, read(path))
        except ValueError as error:
            raise _damaged(path, error) from error
    return gathering.owners()


def _damaged(path: bytes, error: Exception) -> RefusedError:
    return RefusedError(
        f"the package database /{safe(path)} cannot be read: {safe(str(error))}"
    )


def _parser(path: bytes) -> Callable[[bytes], list[Package]] | None:
    if path == dpkg.STATUS:
        return dpkg.parse_status
    if path.startswith(dpkg.STATUS_D) and not path.endswith(b".md5sums"):
        return dpkg.parse_control
    if path in apk.INSTALLED:
        return apk.parse
    if path.startswith(pacman.LOCAL) and path.endswith(b"/desc"):
        return pacman.parse_desc
    return rpm.parse if path in rpm.SQLITE else None


def main_arch(packages: Iterable[Package]) -> str | None:
    """The architecture that most packages are built for."""
    counts = Counter(p.arch for p in packages if p.arch not in NO_ARCH)
    return min(counts, key=lambda arch: (-counts[arch], arch)) if counts else None


def to_json(packages: Iterable[Package]) -> bytes:
    """packages.json: an array with one package a line, so that a diff is a review."""
    rows = [json.dumps(_row(package), ensure_ascii=True) for package in packages]
    return ("[\n" + ",\n".join(rows) + "\n]\n" if rows else "[]\n").encode()


def _row(package: Package) -> dict[str, str | int | None]:
    """`size` is there although it may be null; `source_version` where it differs."""
    row: dict[str, str | int | None] = msgspec.to_builtins(package)
    row.setdefault("size", None)
    return {name: row[name] for name in package.__struct_fields__ if name in row}


def from_json(data: bytes) -> list[Package]:
    """Read packages.json.

    Raises:
        RefusedError: it is not what `to_json` writes.
    """
    if len(data) > text.MAX_DATABASE:
        raise RefusedError(
            f"packages.json has {len(data)} bytes, more than {text.MAX_DATABASE}"
        )
    try:
        found = msgspec.json.decode(data, type=list[Package])
        for place, package in enumerate(found, 1):
            _check(package, f"package {place}")
    except (ValueError, RecursionError) as error:
        raise RefusedError(
            f"packages.json cannot be read: {safe(str(error))}"
        ) from error
    return found


def _check(package: Package, where: str) -> None:
    """What comes from a release is held to what databases are held to."""
    words = {"name": package.name, "version": package.version, "source": package.source}
    may_lack = {"arch": package.arch, "family": package.family}
    words.update({name: value for name, value in may_lack.items() if value})
    if package.source_version is not None:
        words["source_version"] = package.source_version
    for name, value in words.items():
        text.word(value.encode("utf-8"), f"{where}: {name}")
    if package.size is not None and not 0 <= package.size <= text.MAX_SIZE:
        raise ValueError(f"{where}: its size is not in 0..{text.MAX_SIZE}")
