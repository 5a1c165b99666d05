"""The publisher's repository: a bare one on this machine, or a remote behind a copy.

Objects are written first, as packs; refs last, each compared with what it was. Nobody's
gitconfig, template or hook is read.
"""

import contextlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping

import pygit2
from pygit2.enums import CredentialType

from updater.core import commits
from updater.core.text import safe
from updater.core.tree import parse
from updater.errors import BusyError, HostError, RefusedError, TransportError
from updater.model import GitMode, ObjectId
from updater.system import fs
from updater.system.git.objects import Objects, configure, open_objects

BRANCH = "refs/heads/releases"
TAGS = "refs/tags/"
_CONNECT, _WAIT = 30_000, 300_000  # milliseconds
_USERINFO = re.compile(r"(?<=://)[^/@]*@")


class Repository:
    """A bare repository on this machine.

    Attributes:
        path: of the repository.
        objects: its object database.
    """

    def __init__(self, path: str) -> None:
        configure()
        self.path = path
        try:
            self._git = pygit2.Repository(
                path, pygit2.enums.RepositoryOpenFlag.NO_SEARCH
            )
        except pygit2.GitError as error:
            raise HostError(
                f"cannot open the repository {path}: {safe(str(error))}"
            ) from error
        if not self._git.is_bare:
            raise RefusedError(
                f"{path} has a working tree; publishing needs a bare repository",
                hint="Name a new directory, or make one: git init --bare DIR",
            )
        self.objects: Objects = open_objects([os.path.join(path, "objects")])

    @contextlib.contextmanager
    def quarantine(self) -> Iterator[str]:
        """A directory for new packs, which become the repository's when it is left.

        When it is left by an exception they are deleted: git's own tmp_objdir.
        """
        aside = tempfile.mkdtemp(prefix="tmp_objdir-publish-", dir=self.database)
        try:
            yield aside
            os.makedirs(os.path.join(self.database, "pack"), exist_ok=True)
            # An index is what makes a pack seen, and sorts before it.
            for name in sorted(os.listdir(aside), reverse=True):
                fs.rename(
                    os.path.join(aside, name),
                    os.path.join(self.database, "pack", name),
                )
        finally:
            fs.remove_tree(aside)
        self.reload()

    @property
    def database(self) -> str:
        """The object directory."""
        return os.path.join(self.path, "objects")

    def refs(self) -> dict[str, ObjectId]:
        """Every ref's name and what it holds (a tag's own id, not what it names)."""
        return {
            ref.name: ObjectId(str(ref.resolve().target))
            for ref in self._git.references.iterator()
        }

    def reload(self) -> None:
        """See the packs that other processes wrote."""
        self.objects = open_objects([self.database])

    def commit(self, oid: ObjectId) -> tuple[ObjectId, tuple[ObjectId, ...]]:
        """A commit's tree and parents.

        Raises:
            RefusedError: there is no such commit.
        """
        kind, raw = self._read(oid)
        if kind != "commit":
            raise RefusedError(f"{oid} is a {kind} in {self.path}; expected a commit")
        found = commits.parse(raw)
        return found.tree, found.parents

    def peel(self, oid: ObjectId) -> ObjectId | None:
        """The commit that a ref's object is or names, where it is here."""
        if oid not in self.objects:
            return None
        kind, raw = self._read(oid)
        if kind == "tag":
            oid = ObjectId(raw[len(b"object ") :][:40].decode("ascii", "replace"))
        return oid

    def _read(self, oid: ObjectId) -> tuple[str, bytes]:
        try:
            return self.objects.read(oid)
        except KeyError as error:
            raise RefusedError(f"{oid} is missing in {self.path}") from error

    def find(self, tree: ObjectId, path: bytes) -> tuple[GitMode, ObjectId] | None:
        """The entry of a path in a tree."""
        current, mode = tree, GitMode.TREE
        for name in path.split(b"/"):
            if mode is not GitMode.TREE:
                return None
            entries = {e.name: e for e in parse(self.objects.read_tree(current))[0]}
            if name not in entries:
                return None
            mode, current = entries[name].mode, entries[name].oid
        return mode, current

    def read(self, tree: ObjectId, path: bytes) -> bytes | None:
        """A small file of a tree; None when it is not there or not a file."""
        found = self.find(tree, path)
        if found is None or found[0] not in (GitMode.FILE, GitMode.EXECUTABLE):
            return None
        return self.objects.read_blob(found[1])

    def create_ref(self, name: str, oid: ObjectId) -> None:
        """Make a ref that does not exist.

        Raises:
            BusyError: it exists.
        """
        try:
            self._git.references.create(name, oid)
        except (pygit2.AlreadyExistsError, ValueError) as error:
            raise BusyError(
                f"{name} of {self.path} was made by somebody else"
            ) from error
        except pygit2.GitError as error:
            raise HostError(f"cannot make {name}: {safe(str(error))}") from error

    def move_ref(self, name: str, old: ObjectId | None, new: ObjectId) -> None:
        """Point a ref at `new` if it still is at `old` (None: does not exist).

        Raises:
            BusyError: it is not.
        """
        if old is None:
            self.create_ref(name, new)
            return
        try:
            ref = self._git.references[name]
            moved = str(ref.target) != old
            if not moved:
                ref.set_target(new)
        except (KeyError, pygit2.GitError) as error:
            raise _moved(name, self.path) from error
        if moved:
            raise _moved(name, self.path)

    def set_ref(self, name: str, oid: ObjectId | None) -> None:
        """Point a ref of a private copy anywhere; None removes it."""
        if oid is not None:
            self._git.references.create(name, oid, force=True)
        elif name in self._git.references:
            self._git.references.delete(name)

    def anonymous_remote(self, url: str) -> pygit2.Remote:
        """A remote without a name or configuration."""
        return self._git.remotes.create_anonymous(url)


def open_or_create(path: str) -> Repository:
    """Open a bare repository; a directory that is missing or empty becomes one.

    Raises:
        HostError: it is something else, or cannot be made.
    """
    configure()
    if not os.path.exists(path) or (os.path.isdir(path) and not os.listdir(path)):
        fs.make_directories(os.path.abspath(path))
        pygit2.init_repository(path, bare=True, initial_head="releases")
    if os.path.isdir(os.path.join(path, ".git")):
        raise RefusedError(
            f"{path} has a working tree; publishing needs a bare repository",
            hint="Publisher and machines never share a working copy: name another "
            "directory.",
        )
    return Repository(path)


class Remote:
    """A repository behind a URL, published to through a copy on this machine.

    Args:
        url: https, http, ssh or git.
        copy: the bare repository that keeps what was published from here.
    """

    def __init__(self, url: str, copy: Repository) -> None:
        pygit2.settings.server_connect_timeout = _CONNECT
        pygit2.settings.server_timeout = _WAIT
        self.name = redact(url)
        self._copy = copy
        self._url = url

    def refs(self) -> dict[str, ObjectId]:
        """Every advertised ref, without the peeled ones.

        Raises:
            TransportError: it cannot be reached.
        """
        try:
            heads = self._open().list_heads(callbacks=_Callbacks())
        except (pygit2.GitError, ValueError) as error:
            raise self._failed("ask", error) from error
        return {
            head.name: ObjectId(str(head.oid))
            for head in heads
            if head.name and not head.name.endswith("^{}")
        }

    def fetch(self, ref: str, tip: ObjectId) -> None:
        """Bring one ref into the copy, without its history, and point the copy at it.

        Raises:
            TransportError: it did not arrive.
        """
        if tip not in self._copy.objects:
            try:
                self._open().fetch([f"+{ref}:{ref}"], callbacks=_Callbacks(), depth=1)
            except (pygit2.GitError, ValueError) as error:
                raise self._failed("fetch from", error) from error
            self._copy.reload()
        if tip not in self._copy.objects:
            raise TransportError(f"{self.name} did not send {tip}")
        self._copy.set_ref(ref, tip)

    def push(
        self,
        refs: Mapping[str, ObjectId],
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Send objects and set refs; each must be new or a fast-forward.

        Args:
            refs: name -> object.
            progress: called with objects sent and their total.

        Raises:
            RefusedError: the server accepted less than all of them.
            TransportError: it could not be reached, or went away.
        """
        callbacks = _Callbacks(progress)
        specs = [f"{oid}:{name}" for name, oid in refs.items()]
        try:
            self._open().push(specs, callbacks=callbacks, threads=os.cpu_count() or 1)
        except (pygit2.GitError, ValueError) as error:
            raise self._failed("push to", error) from error
        refused = [
            f"{name}: {safe(callbacks.answers.get(name) or 'no answer', 200)}"
            for name in refs
            if callbacks.answers.get(name, "no answer") is not None
        ]
        if refused:
            raise RefusedError(
                f"{self.name} did not accept {'; '.join(refused)}",
                unchanged="Compare its refs before publishing again.",
            )

    def _open(self) -> pygit2.Remote:
        # libgit2 cannot push over a remote that was connected to fetch.
        return self._copy.anonymous_remote(self._url)

    def _failed(self, verb: str, error: Exception) -> TransportError:
        return TransportError(f"cannot {verb} {self.name}: {safe(str(error), 300)}")


def redact(url: str) -> str:
    """A URL without a password, for messages."""
    return safe(_USERINFO.sub("", url), 500)


def _moved(name: str, where: str) -> BusyError:
    return BusyError(
        f"{name} of {where} moved: somebody published in the meantime",
        hint="Look at what was published, then publish again.",
    )


class _Callbacks(pygit2.RemoteCallbacks):
    def __init__(self, progress: Callable[[int, int], None] | None = None) -> None:
        super().__init__()
        self.answers: dict[str, str | None] = {}
        self._report = progress

    def certificate_check(
        self,
        certificate: None,
        valid: bool,  # noqa: FBT001 - libgit2's signature
        host: bytes,
    ) -> bool:
        del certificate, host
        return valid  # anything else would accept unknown hosts

    def credentials(
        self, url: str, username_from_url: str | None, allowed_types: CredentialType
    ) -> pygit2.Keypair:
        if allowed_types & CredentialType.SSH_KEY:
            return pygit2.KeypairFromAgent(username_from_url or "git")
        raise pygit2.GitError(f"{redact(url)} asks for a password")

    def push_update_reference(self, refname: str, message: str | None) -> None:
        self.answers[refname] = message

    def push_transfer_progress(
        self, objects_pushed: int, total_objects: int, bytes_pushed: int
    ) -> None:
        del bytes_pushed
        if self._report:
            self._report(objects_pushed, total_objects)
