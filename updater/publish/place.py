"""A repository that a publisher writes to: a directory, or a remote behind a copy."""

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping

from updater.core.tree import build
from updater.errors import BusyError, RefusedError, TransportError, UsageError
from updater.model import GitMode, ObjectId
from updater.system import fs
from updater.system.git import publishing
from updater.system.git.pack import PackWriter
from updater.system.git.publishing import Remote, Repository

NETWORK = ("https://", "http://", "ssh://", "git://")
HEADS = "refs/heads/"


class Place:
    """A repository to publish to.

    Args:
        repo: a directory (made when missing) or URL.
        cache: a directory for the copy of a remote.

    Attributes:
        repository: the bare repository that is written: the target itself, or the
            copy of a remote.
        refs: what the target has, by name.
        name: for messages.
    """

    def __init__(self, repo: str, cache: str) -> None:
        fs.make_directories(cache, 0o700)
        path = repo.removeprefix("file://")
        self._cache = cache
        self._remote: Remote | None = None
        self._made = self._existed = False
        if path.startswith(NETWORK):
            copy = publishing.open_or_create(os.path.join(cache, "copy.git"))
            self.repository: Repository = copy
            self._remote = Remote(repo, copy)
            self.name = self._remote.name
            self.refs = self._remote.refs()
        elif "://" in path or looks_like_scp(path):
            raise UsageError(
                f'"{publishing.redact(repo)}" is neither a directory nor a URL of '
                "https, http, ssh, git or file",
                hint="user@host:path is written ssh://user@host/path",
            )
        else:
            self._existed = os.path.isdir(path)
            self._made = not self._existed or not os.listdir(path)
            self.repository = publishing.open_or_create(path)
            self.name = path
            self.refs = self.repository.refs()

    def undo(self) -> None:
        """Take a repository away that was made for something that did not come."""
        if self._made and not self.repository.refs():
            fs.remove_tree(self.repository.path)
            if self._existed:
                os.mkdir(self.repository.path)

    def bring(self, ref: str) -> ObjectId | None:
        """What a ref is, with its objects here; None when there is no such ref.

        Raises:
            TransportError.
        """
        tip = self.refs.get(ref)
        if tip is not None and self._remote is not None:
            self._remote.fetch(ref, tip)
        return tip

    @contextlib.contextmanager
    def writing(self) -> Iterator[PackWriter]:
        """A pack that becomes the repository's when the block ends well."""
        with self.repository.quarantine() as packs:
            pack = PackWriter(packs)
            try:
                yield pack
            except BaseException:
                pack.abort()
                raise
            pack.finish()

    def move(self, ref: str, new: ObjectId) -> None:
        """Point a ref at an object, if it still is where we found it.

        Raises:
            BusyError: somebody else moved it.
            RefusedError, TransportError: the remote did not take it.
        """
        if self._remote is None:
            self.repository.move_ref(ref, self.refs.get(ref), new)
            return
        try:
            self._remote.push({ref: new})
        except (RefusedError, TransportError) as error:
            if self._has_moved(self._remote, ref):
                raise BusyError(
                    f"{ref} of {self.name} moved: somebody else published in the "
                    "meantime",
                    hint="Look at what was published, then try again.",
                ) from error
            raise
        self.repository.set_ref(ref, new)

    def _has_moved(self, remote: Remote, ref: str) -> bool:
        with contextlib.suppress(TransportError):
            return remote.refs().get(ref) != self.refs.get(ref)
        return False

    def head(self, branch: str) -> ObjectId | None:
        """The tip of a branch, with its objects here."""
        return self.bring(HEADS + branch)


def cache_for(base: str, repo: str) -> str:
    """The directory below `base` that belongs to one target."""
    network = repo.startswith(NETWORK)
    return os.path.join(base, digest(repo if network else os.path.abspath(repo)))


def write_tree(pack: PackWriter, files: Mapping[bytes, bytes]) -> ObjectId:
    """Add files and their trees to a pack.

    Args:
        pack: where to.
        files: path -> content.

    Returns:
        The root tree.
    """
    entries = [
        (path, GitMode.FILE, bytes.fromhex(pack.add("blob", content)))
        for path, content in files.items()
    ]
    root, trees = build(entries)
    for content in trees.values():
        pack.add("tree", content)
    return ObjectId(root.hex())


def looks_like_scp(path: str) -> bool:
    """Whether this is written as `user@host:path`."""
    host, colon, _ = path.partition(":")
    return bool(colon) and "/" not in host and not os.path.exists(path)


def digest(text: str) -> str:
    """A short name for a path or URL."""
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:16]
