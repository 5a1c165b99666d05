"""Which package a path belongs to, and which paths are configuration."""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence

from msgspec import Struct

ALIASES = (
    b"bin",
    b"sbin",
    b"lib",
    b"lib32",
    b"lib64",
    b"libo32",
    b"libx32",
    b"usr/sbin",
    b"usr/lib64",
)
"""Directories that may be symlinks, while packages list files under their names."""

_LINKS = 4  # how many of them may lead to each other


class Conffile(Struct, frozen=True):
    """A configuration file that a package manager does not overwrite.

    Attributes:
        md5: of the version that the package brought, where the database has it.
        obsolete: the package does not bring it any more.
    """

    package: str
    md5: str | None = None
    obsolete: bool = False


class Owners:
    """The files of every package of a release.

    Args:
        listed: package -> the paths that it lists, as they are in the tree.
        conffiles: path -> what is known of it.
    """

    def __init__(
        self,
        listed: Mapping[str, Sequence[bytes]],
        conffiles: Mapping[bytes, Conffile],
    ) -> None:
        self._listed = listed
        self._conffiles = conffiles
        self._owned: dict[bytes, str] = {}
        for name in sorted(listed, reverse=True):
            self._owned.update(dict.fromkeys(listed[name], name))

    def owner_of(self, path: bytes) -> str | None:
        """The package that lists this path, of several the first by name."""
        return self._owned.get(path)

    def maker_of(self, path: bytes) -> str | None:
        """The owner; of Python byte code that nobody lists, that of its module."""
        return self._owned.get(path) or self._owned.get(_module(path))

    def is_conffile(self, path: bytes) -> bool:
        """Whether the package manager treats this path as configuration."""
        return path in self._conffiles

    def conffile(self, path: bytes) -> Conffile | None:
        """What the database knows of a configuration file."""
        return self._conffiles.get(path)

    def files_of(self, package: str) -> Sequence[bytes]:
        """The paths, directories too, that a package lists."""
        return self._listed.get(package, ())

    def __bool__(self) -> bool:
        return bool(self._listed)


NOBODY = Owners({}, {})


def changed_files(
    package: str, old: Owners, new: Owners
) -> tuple[set[bytes], set[bytes]]:
    """The paths that a package gained, and those that it lost."""
    before, after = set(old.files_of(package)), set(new.files_of(package))
    return after - before, before - after


def explained_by(
    path: bytes, old: Owners, new: Owners, changed: Container[str]
) -> str | None:
    """The changed package that this path belongs, or belonged, to.

    Args:
        path: of a file that differs.
        old: the owners before.
        new: the owners after.
        changed: names of packages that came, went, or have another version.
    """
    for owners in (new, old):
        maker = owners.maker_of(path)
        if maker is not None and maker in changed:
            return maker
    return None


def aliases(readlink: Callable[[bytes], bytes | None]) -> dict[bytes, bytes]:
    """The directories of `ALIASES` that are symlinks, and where they lead.

    Args:
        readlink: gives the target of a symlink of the release, None for all else.
    """
    direct = {
        path: _target(path, target)
        for path in ALIASES
        if (target := readlink(path)) is not None
    }
    found = {}
    for path, first in direct.items():
        target = first
        for _ in range(_LINKS):
            target = direct.get(target, target)
        if target and target not in direct:
            found[path] = target
    return found


def real_paths(paths: Iterable[bytes], links: Mapping[bytes, bytes]) -> list[bytes]:
    """Listed paths as they are in the tree, where directories are symlinks."""
    if not links:
        return list(paths)
    below = tuple(link + b"/" for link in links)
    return [_real(path, links) if path.startswith(below) else path for path in paths]


def _real(path: bytes, links: Mapping[bytes, bytes]) -> bytes:
    for _ in range(_LINKS):
        top, _, rest = path.partition(b"/")
        second, _, below = rest.partition(b"/")
        if rest and top in links:
            path = links[top] + b"/" + rest
        elif below and top + b"/" + second in links:
            path = links[top + b"/" + second] + b"/" + below
        else:
            break
    return path


def _target(path: bytes, target: bytes) -> bytes:
    """Where a symlink leads, without `.` and `..`; empty for outside."""
    parts = [] if target.startswith(b"/") else path.split(b"/")[:-1]
    for part in target.split(b"/"):
        if part == b"..":
            if not parts:
                return b""
            parts.pop()
        elif part not in (b"", b"."):
            parts.append(part)
    return b"/".join(parts)


def _module(path: bytes) -> bytes:
    """The source of a file of Python byte code; any other path as it is."""
    head, cache, name = path.rpartition(b"/__pycache__/")
    if not cache or not name.endswith(b".pyc"):
        return path
    return head + b"/" + name.partition(b".")[0] + b".py"
