"""What somebody wants published, and whether that can be meant."""

import os

from msgspec import Struct

from updater.core import statements
from updater.core.text import safe
from updater.core.versions import is_version
from updater.errors import HostError, UsageError
from updater.publish import commit
from updater.publish.defaults import DEFAULT_EXCLUDES
from updater.publish.excludes import Selection
from updater.system.git.publishing import TAGS

_LAST_TIME = 253_402_300_799  # the end of the year 9999


class PublishRequest(Struct, frozen=True, kw_only=True):
    """What to publish, where, and as what.

    Attributes:
        rootfs: a directory, a tar archive, or `-`.
        repo: a directory (made when missing) or URL.
        cache: directory of the publisher's indexes and copies of remotes.
        created: the release's time, in seconds since the epoch.
        machine: the architecture when the packages do not tell.
        number: default: one more than the previous release.
        security_floor: default: that of the previous release.
        key: to sign the tag with; None only with `unsigned`.
        agent: socket of an ssh-agent.
        changelogs: directories of .deb files or documentation, where changelogs are
            that the root filesystem lacks.
    """

    rootfs: str
    repo: str
    product: str
    version: str
    cache: str
    created: int
    machine: str
    number: int | None = None
    arch: str | None = None
    notes: str | None = None
    key: str | None = None
    agent: str | None = None
    unsigned: bool = False
    source: str = ""
    security_floor: int | None = None
    excludes: tuple[str, ...] = ()
    includes: tuple[str, ...] = ()
    default_excludes: bool = True
    allow_secrets: tuple[str, ...] = ()
    allow_id_changes: tuple[str, ...] = ()
    changelogs: tuple[str, ...] = ()


def check(request: PublishRequest) -> None:
    """Refuse what is wrong by itself.

    Raises:
        UsageError, HostError.
    """
    if not commit.is_name(request.product):
        raise UsageError(f'--product "{safe(request.product)}" is not a plain name')
    if request.arch is not None and not commit.is_name(request.arch):
        raise UsageError(f'--arch "{safe(request.arch)}" is not a plain name')
    if not is_version(request.version):
        raise UsageError(
            f'--version "{safe(request.version)}" is not a version: expected letters, '
            "digits and . _ + -, at most 64, starting with a letter or digit"
        )
    if request.number is not None and not 1 <= request.number <= statements.MAX_NUMBER:
        raise UsageError(f"--number is not in 1..{statements.MAX_NUMBER}")
    if not 0 <= request.created <= _LAST_TIME:
        raise UsageError("--created is not a time between 1970 and 9999")
    if not request.source.isprintable():
        raise UsageError("--source has control characters")
    if (request.key is None) != request.unsigned:
        raise UsageError(
            "publishing needs either --key FILE or --unsigned, and not both",
            hint="Make a key: ssh-keygen -t ed25519 -f release.key",
        )
    _check_places(request)


def _check_places(request: PublishRequest) -> None:
    if request.key is not None and not os.path.isfile(request.key):
        raise HostError(f"there is no key {request.key}")
    for directory in request.changelogs:
        if not os.path.isdir(directory):
            raise HostError(f"there is no directory {directory} of changelogs")


def selection(request: PublishRequest) -> Selection:
    """Which paths are kept."""
    defaults = [p for p, _ in DEFAULT_EXCLUDES] if request.default_excludes else []
    return Selection([*defaults, *request.excludes], request.includes)


def tag_ref(request: PublishRequest) -> str:
    """The name of the release's tag."""
    return TAGS + statements.TAG_PREFIX + request.version
