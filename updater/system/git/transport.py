"""Fetches over https, http, ssh and git with libgit2. Runs only in the fetching child.

libgit2 by itself trusts any ssh host key through pygit2, follows redirects, reads
gitconfig files, says nothing when a branch is missing, and waits for ever. Each of
these is closed here or, where only time and memory help, by the parent's limits.
"""

import os
import re
import time
from collections.abc import Callable
from typing import TypeVar

import pygit2
from pygit2 import Keypair, KeypairFromMemory, Username, UserPass
from pygit2.enums import CredentialType

from updater.core import index
from updater.core.text import safe
from updater.core.urls import Location, parse_remote
from updater.errors import HostError, OsupdateError, UntrustedError
from updater.model import ObjectId, Progress, RemoteHead
from updater.system.git.home import WORK
from updater.system.git.objects import DeploymentBackend, DeploymentBlobs, configure
from updater.system.git.wire import Credentials, Done, FailedError, Request

_WANTED = "refs/osupdate/wanted"
_LOGS = "refs/osupdate/logs"
_CONNECT_TIMEOUT = 20_000  # ms
_READ_TIMEOUT = 60_000  # ms, for one read
_MAX_OBJECTS = 5_000_000
_INTERVAL = 0.1  # seconds between two lines of progress
_PRIORITY = 1  # below the packs
_CONFIG = """[core]
\trepositoryformatversion = 0
\tbare = true
[http]
\tfollowRedirects = false
"""
_OID = re.compile(r"[0-9a-f]{40}\Z")
_Secret = TypeVar("_Secret", UserPass, Keypair)


def list_heads(request: Request) -> list[RemoteHead]:
    """The refs that the remote advertises, annotated tags with what they point at.

    Raises:
        FailedError.
    """
    talk = _Talk(request, lambda _: None)
    with talk:
        return talk.connect()


def fetch(request: Request, report: Callable[[Progress], None]) -> Done:
    """Fetch one ref into `request.incoming`, and make sure that it is the wanted one.

    Raises:
        FailedError: `bases` when only a fetch without haves can succeed.
        UntrustedError: F1: the remote has something else there by now.
    """
    talk = _Talk(request, report)
    with talk:
        heads = talk.connect()
        _require_offered(request, heads)
        talk.require_unknown()
        report(Progress("preparing"))
        return talk.download()


def fetch_logs(request: Request, report: Callable[[Progress], None]) -> Done:
    """Fetch `request.logs` with their history, as far as they are not here.

    Raises:
        FailedError: `bases` when only a fetch without haves can succeed.
    """
    talk = _Talk(request, report)
    with talk:
        heads = tuple(head for head in talk.connect() if head.name in request.logs)
        fresh = [head for head in heads if head.oid not in request.haves]
        received = talk.download_logs(fresh) if fresh else 0
        return Done(received=received, heads=heads)


def _require_offered(request: Request, heads: list[RemoteHead]) -> None:
    if _OID.match(request.ref):
        return
    expected = request.tag or request.commit
    found = next((head for head in heads if head.name == request.ref), None)
    if found is None:
        raise UntrustedError("F1", f"the remote no longer has {safe(request.ref, 200)}")
    if found.oid != expected:
        raise UntrustedError(
            "F1",
            f"{safe(request.ref, 200)} is {found.oid} now; expected {expected}, which "
            "the check found",
        )


class _Talk:
    """One connection, with the empty repository that libgit2 needs for it."""

    def __init__(self, request: Request, report: Callable[[Progress], None]) -> None:
        configure()
        settings = pygit2.settings
        settings.homedir = request.home
        settings.server_connect_timeout = _CONNECT_TIMEOUT
        settings.server_timeout = _READ_TIMEOUT
        settings.pack_max_objects = _MAX_OBJECTS
        self._request = request
        self._repository = _open_repository(request)
        self._location = parse_remote(request.url)
        self._callbacks = _Callbacks(
            self._location, request.credentials, request.size, report
        )
        self._remote = self._repository.remotes.create_anonymous(request.url)

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: object, error: BaseException | None, trace: object
    ) -> None:
        if isinstance(error, pygit2.GitError | ValueError | KeyError | OSError):
            raise self._explain(error) from error

    def connect(self) -> list[RemoteHead]:
        self._remote.connect(callbacks=self._callbacks, proxy=self._request.proxy)
        return _heads(self._remote)

    def require_unknown(self) -> None:
        """libgit2 does not ask for what it finds here, complete or not."""
        request = self._request
        odb = self._repository.odb
        wanted = [oid for oid in (request.commit, request.tag) if oid]
        if request.commit not in request.haves and any(oid in odb for oid in wanted):
            raise FailedError("bases", f"{request.commit} is here, but not completely")

    def download(self) -> Done:
        request = self._request
        stats = self._remote.fetch(
            [f"+{request.ref}:{_WANTED}"],
            callbacks=self._callbacks,
            proxy=request.proxy,
            depth=request.depth,
        )
        return Done(*_arrived(self._repository, request), stats.received_bytes)

    def download_logs(self, heads: list[RemoteHead]) -> int:
        stats = self._remote.fetch(
            [f"+{head.name}:{_LOGS}/{i}" for i, head in enumerate(heads)],
            callbacks=self._callbacks,
            proxy=self._request.proxy,
        )
        for head in heads:
            if pygit2.Oid(hex=head.oid) not in self._repository.odb:
                what = f"{safe(head.name, 200)} moved while it was fetched"
                raise FailedError("transport", f"{self._location.host}: {what}")
        return stats.received_bytes

    def _explain(self, error: Exception) -> OsupdateError:
        if self._callbacks.failure:
            return self._callbacks.failure
        return _explain(str(error), self._location, self._request)


def _open_repository(request: Request) -> pygit2.Repository:
    """An empty repository in the home; its objects lie where the parent said."""
    path = f"{request.home}/{WORK}/repository"
    for directory in ("objects", "refs/haves"):
        os.makedirs(f"{path}/{directory}")
    files = {"HEAD": "ref: refs/heads/none\n", "config": _CONFIG}
    if request.haves and not request.logs:
        files["shallow"] = "".join(f"{oid}\n" for oid in request.haves)
    files |= {f"refs/haves/{oid}": f"{oid}\n" for oid in request.haves}
    for name, content in files.items():
        with open(f"{path}/{name}", "x", encoding="utf-8") as file:
            file.write(content)
    repository = pygit2.Repository(path)
    if request.incoming is not None:
        repository.set_odb(_database(request))
    return repository


def _database(request: Request) -> pygit2.Odb:
    incoming = f"/proc/self/fd/{request.incoming}"
    os.makedirs(f"{incoming}/pack", exist_ok=True)
    odb = pygit2.Odb(incoming)
    for fd in request.objects:
        odb.add_disk_alternate(f"/proc/self/fd/{fd}")
    if request.deployments:
        odb.add_backend(DeploymentBackend(_deployments(request)), _PRIORITY)
    return odb


def _deployments(request: Request) -> list[DeploymentBlobs]:
    found = []
    for root, fd in request.deployments:
        with open(fd, "rb") as file:
            data = file.read()
        try:
            found.append(DeploymentBlobs(root, index.from_bytes(data).rows))
        except HostError as error:
            raise FailedError("bases", str(error)) from error
    return found


def _heads(remote: pygit2.Remote) -> list[RemoteHead]:
    found: dict[str, ObjectId] = {}
    for head in remote.list_heads(connect=False):
        # A name that could not be shown or asked for is nobody's release.
        if head.name and head.name.isprintable():
            found[head.name] = ObjectId(str(head.oid))
    return [
        RemoteHead(name, oid, found.get(f"{name}^{{}}"))
        for name, oid in found.items()
        if not name.endswith("^{}")
    ]


def _arrived(
    repository: pygit2.Repository, request: Request
) -> tuple[ObjectId, ObjectId | None]:
    """What the wanted ref is now. libgit2 is silent when it fetched nothing."""
    try:
        target = ObjectId(str(repository.references[_WANTED].target))
        commit = repository[target].peel(pygit2.Commit)
    except (KeyError, pygit2.GitError) as error:
        raise UntrustedError(
            "F1", f"the remote did not send {safe(request.ref, 200)}"
        ) from error
    tag = target if target != str(commit.id) else None
    if (str(commit.id), tag) != (request.commit, request.tag):
        raise UntrustedError(
            "F1",
            f"{safe(request.ref, 200)} arrived as commit {commit.id}, tag {tag}; "
            f"expected commit {request.commit}, tag {request.tag}",
        )
    return request.commit, request.tag


class _Callbacks(pygit2.RemoteCallbacks):
    """Answers libgit2's questions; what it refuses it remembers in `failure`.

    `sideband_progress` is None: the server's chatter is neither decoded nor shown.
    """

    sideband_progress = None  # type: ignore[assignment]

    def __init__(
        self,
        location: Location,
        given: Credentials,
        limit: int,
        report: Callable[[Progress], None],
    ) -> None:
        super().__init__()
        self.failure: FailedError | None = None
        self._location = location
        self._given = given
        self._limit = limit
        self._report = report
        self._last = 0.0
        self._phase = ""
        self._asked = 0

    def certificate_check(
        self,
        certificate: None,  # noqa: ARG002 - pygit2 passes None
        valid: bool,  # noqa: FBT001 - pygit2's signature
        host: bytes,  # noqa: ARG002 - the one that we asked for
    ) -> bool:
        """Accept what libgit2 found valid; pygit2's default accepts any ssh key."""
        if not valid:
            raise self._refuse(_CERTIFICATE[self._location.scheme == "ssh"])
        return True

    def credentials(
        self, url: str, username_from_url: str | None, allowed_types: CredentialType
    ) -> Username | UserPass | Keypair:
        """Hand out each secret once, and only to the configured origin."""
        if not self._is_origin(url):
            raise self._refuse("asked for credentials after a redirect")
        user = username_from_url or "git"
        if allowed_types & CredentialType.USERNAME:
            return Username(user)
        self._asked += 1
        if allowed_types & CredentialType.SSH_MEMORY and self._given.ssh_key:
            return self._once(KeypairFromMemory(user, None, self._given.ssh_key, ""))
        if allowed_types & CredentialType.USERPASS_PLAINTEXT and self._given.token:
            name, colon, secret = self._given.token.partition(":")
            return self._once(
                UserPass(name, secret) if colon else UserPass("git", name)
            )
        key = "ssh_key" if self._location.scheme == "ssh" else "token_file"
        raise self._reject(f"wants credentials; remote.{key} is not set")

    def _once(self, secret: _Secret) -> _Secret:
        if self._asked > 1:
            raise self._reject("did not accept our credentials")
        return secret

    def transfer_progress(self, stats: pygit2.remotes.TransferProgress) -> None:
        """Report now and then; stop at the limit."""
        if stats.received_bytes > self._limit:
            what = f"sent more than the limit of {self._limit:,} bytes"
            self.failure = FailedError("size", f"{self._location.host} {what}")
            raise self.failure
        phase = _phase(stats)
        now = time.monotonic()
        if phase == self._phase and now - self._last < _INTERVAL:
            return
        self._phase, self._last = phase, now
        self._report(
            Progress(
                phase,
                stats.received_bytes,
                stats.received_objects,
                stats.total_objects,
                stats.indexed_objects + stats.indexed_deltas,
            )
        )

    def _is_origin(self, url: str) -> bool:
        try:
            return parse_remote(url).origin == self._location.origin
        except OsupdateError:
            return False

    def _refuse(self, what: str) -> FailedError:
        self.failure = FailedError("refused", f"{self._location.host} {what}")
        return self.failure

    def _reject(self, what: str) -> FailedError:
        self.failure = FailedError("rejected", f"{self._location.host} {what}")
        return self.failure


def _phase(stats: pygit2.remotes.TransferProgress) -> str:
    if stats.total_objects == 0:
        return "preparing"  # what arrives until here is chatter, however much
    return "receiving" if stats.received_objects < stats.total_objects else "indexing"


_CERTIFICATE = {
    False: "has a TLS certificate that is not valid for it, or that no trusted "
    "authority signed",
    True: "has an ssh host key that is not the one in remote.known_hosts",
}
_REASONS = (  # libgit2's words, kind, ours
    (r"missing delta bases", "bases", "sent deltas against objects that are not here"),
    (r"redirect", "refused", "redirects to another place; redirects are not followed"),
    # libgit2's word for a certificate without any name of the right kind, too
    (r"early EOF", "transport", "ended TLS, or has a certificate for no such name"),
    (r"SSL certificate is invalid|certificate", "refused", _CERTIFICATE[False]),
    (r"out of memory", "memory", "sent more than fits into the memory limit"),
    (r"No space left|quota", "space", "the disk is full"),
    (r"File too large", "size", "sent more than the size limit"),
    (r"401|403|[Aa]uthentic|too many", "rejected", "did not accept our credentials"),
    (
        r"status code: 404|not found|does not exist",
        "rejected",
        "has no such repository",
    ),
    (r"status code: 4\d\d", "rejected", "answered with an error"),
    (r"not our ref|unadvertised", "rejected", "does not hand out that commit by id"),
)


def _explain(text: str, location: Location, request: Request) -> OsupdateError:
    for secret in (request.credentials.token, request.credentials.ssh_key):
        if secret:
            text = text.replace(secret, "***")
    shown = safe(text, 300)
    for pattern, kind, ours in _REASONS:
        if re.search(pattern, text, re.IGNORECASE):
            return FailedError(kind, f"{location.host} {ours} ({shown})")
    return FailedError("transport", f"{location.host}: {shown}")
