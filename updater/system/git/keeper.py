"""objects.git: the commits, trees and tags of the releases kept here, and some blobs.

The blobs are those that a deployment's own files cannot be trusted to give back: of
/etc, of persistent directories, of files that only root may read. It is a bare, shallow
repository that stock git reads: `git --git-dir=objects.git log --all`.

    HEAD, config, shallow           written here
    refs/osupdate/<commit>          one for each release kept
    refs/tags/release/<version>     the signed tag, where there is one
    objects/pack/                   one pack a release; `prune` makes one of all
"""

import gc
import os
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from updater.errors import UntrustedError
from updater.model import ObjectId
from updater.system import fs
from updater.system.git.objects import Objects, open_objects
from updater.system.git.pack import PackWriter

_CONFIG = b"[core]\n\trepositoryformatversion = 0\n\tbare = true\n"
_HEAD = b"ref: refs/heads/none\n"
_REFS = "refs/osupdate"
_TAGS = "refs/tags/release"
_PACK = (".pack", ".idx")


class Kept(Struct, frozen=True):
    """One release as objects.git keeps it: all its trees, and a few of its blobs."""

    commit: ObjectId
    tag: ObjectId | None
    version: str
    trees: tuple[ObjectId, ...]
    blobs: tuple[ObjectId, ...]

    @property
    def objects(self) -> Iterator[ObjectId]:
        """Everything that is stored of it."""
        yield self.commit
        if self.tag:
            yield self.tag
        yield from self.trees
        yield from self.blobs


class Keeper:
    """objects.git at `path`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.objects = os.path.join(path, "objects")

    def make(self) -> bool:
        """Create what is missing; a repository that is broken is moved aside.

        Returns:
            Whether one was broken, so that the ledger can say so.

        Raises:
            HostError.
        """
        self._sweep()
        broken = self._is_broken()
        if broken:
            self.set_aside()
        fs.make_directories(os.path.join(self.objects, "pack"), 0o755)
        os.chmod(self._path, 0o700)
        for name, content in (("HEAD", _HEAD), ("config", _CONFIG)):
            if not os.path.exists(os.path.join(self._path, name)):
                fs.write_durably(os.path.join(self._path, name), content)
        for name in (_REFS, _TAGS):
            fs.make_directories(os.path.join(self._path, name), 0o755)
        return broken

    def set_aside(self) -> None:
        """Move the repository out of the way: `make` begins an empty one."""
        aside = f"{self._path}.broken"
        fs.remove_tree(aside)
        fs.rename(self._path, aside)
        gc.collect()  # libgit2 knows packs by path while anybody has them open

    def is_damaged(self) -> bool:
        """Whether some object cannot be read; it reads and hashes all of them."""
        objects = open_objects([self.objects])
        try:
            for oid in objects.odb:
                objects.read(ObjectId(str(oid)))
        except (KeyError, UntrustedError):
            return True
        return False

    def _sweep(self) -> None:
        """Delete what an interrupted run left: half a pack, a temporary file."""
        directory = os.path.join(self.objects, "pack")
        names = set(_names(directory))
        for name in names:
            stem, kind = os.path.splitext(name)
            if kind not in _PACK or not {stem + end for end in _PACK} <= names:
                fs.remove_tree(os.path.join(directory, name))
        for place in (self._path, *(f"{self._path}/{refs}" for refs in (_REFS, _TAGS))):
            for name in _names(place):
                if name.endswith(".tmp"):
                    fs.remove_tree(os.path.join(place, name))

    def _is_broken(self) -> bool:
        if not os.path.lexists(self._path):
            return False
        objects = open_objects([self.objects])
        try:
            for name in os.listdir(os.path.join(self._path, _REFS)):
                kind, content = objects.read(ObjectId(name))
                root = content[len("tree ") : len("tree ") + 40].decode("ascii")
                if kind != "commit" or ObjectId(root) not in objects:
                    return True
        except (OSError, KeyError, ValueError, UntrustedError):
            return os.path.isdir(os.path.join(self._path, _REFS))
        return False

    def keep(self, release: Kept, source: Objects) -> None:
        """Store a verified release; what is here already is not stored again.

        Args:
            release: what to store.
            source: has its objects.

        Raises:
            HostError, UntrustedError.
        """
        here = open_objects([self.objects])
        wanted = dict.fromkeys(oid for oid in release.objects if oid not in here)
        self._pack(wanted, source)
        self._write_refs(release)
        self._write_shallow()

    def _pack(self, wanted: Iterable[ObjectId], source: Objects) -> str | None:
        try:
            writer = PackWriter(os.path.join(self.objects, "pack"), level=6)
            try:
                for oid in wanted:
                    writer.add(*_read(source, oid), oid)
                return writer.finish()
            except BaseException:
                writer.abort()
                raise
        except OSError as error:
            raise fs.host_error(error, f"cannot write to {self._path}") from error

    def _write_refs(self, release: Kept) -> None:
        ref = os.path.join(self._path, _REFS, release.commit)
        fs.write_durably(ref, f"{release.commit}\n".encode())
        if release.tag:
            ref = os.path.join(self._path, _TAGS, release.version)
            fs.write_durably(ref, f"{release.tag}\n".encode())

    def _write_shallow(self) -> None:
        commits = sorted(os.listdir(os.path.join(self._path, _REFS)))
        data = "".join(f"{commit}\n" for commit in commits)
        fs.write_durably(os.path.join(self._path, "shallow"), data.encode())

    def packs(self) -> list[str]:
        """The paths of its packs."""
        directory = os.path.join(self.objects, "pack")
        return sorted(
            os.path.join(directory, name)
            for name in os.listdir(directory)
            if name.endswith(".pack")
        )

    def prune(self, kept: Sequence[Kept]) -> None:
        """Forget every release but these, and write what stays into one pack.

        Raises:
            HostError, UntrustedError: nothing was forgotten.
        """
        old = self.packs()
        here = open_objects([self.objects])
        wanted = dict.fromkeys(oid for release in kept for oid in release.objects)
        name = self._pack((oid for oid in wanted if oid in here), here)
        self._drop_refs(kept)
        self._write_shallow()
        for path in old:
            if name is None or os.path.basename(path) != f"{name}.pack":
                fs.remove_tree(path.removesuffix(".pack") + ".idx")
                fs.remove_tree(path)
        fs.fsync_dir(os.path.join(self.objects, "pack"))

    def _drop_refs(self, kept: Sequence[Kept]) -> None:
        commits = {release.commit for release in kept}
        tags = {release.version for release in kept if release.tag}
        for directory, names in ((_REFS, commits), (_TAGS, tags)):
            path = os.path.join(self._path, directory)
            for name in set(os.listdir(path)) - names:
                os.unlink(os.path.join(path, name))
            fs.fsync_dir(path)


def _names(directory: str) -> list[str]:
    return os.listdir(directory) if os.path.isdir(directory) else []


def _read(source: Objects, oid: ObjectId) -> tuple[str, bytes]:
    try:
        return source.read(oid)
    except KeyError as error:
        raise UntrustedError("F2", f"object {oid} is missing") from error
