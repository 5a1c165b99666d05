"""The values that travel between the parts. Names are those of DESIGN section 2.

Paths inside a release are `bytes`, relative, without a leading slash: a root
filesystem holds names that are not UTF-8. Object ids are 40 lower-case hex digits.
Times are whole seconds since the epoch, UTC.
"""

from enum import StrEnum
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct

from updater.model.channels import Accepted as Accepted
from updater.model.channels import Entry as Entry
from updater.model.channels import Mark as Mark
from updater.model.channels import Rollout as Rollout
from updater.model.channels import Signer as Signer
from updater.model.channels import Trusted as Trusted
from updater.model.channels import TrustedKey as TrustedKey
from updater.model.ids import DeploymentId as DeploymentId
from updater.model.ids import ObjectId as ObjectId
from updater.model.remote import Candidate as Candidate
from updater.model.remote import Offer as Offer
from updater.model.remote import Progress as Progress
from updater.model.remote import RemoteHead as RemoteHead
from updater.model.remote import Tag as Tag
from updater.model.settings import RemoteSettings as RemoteSettings
from updater.model.settings import TrustMode as TrustMode
from updater.model.settings import TrustSettings as TrustSettings
from updater.model.unattended import Claim as Claim
from updater.model.unattended import Ticked as Ticked
from updater.model.unattended import Waited as Waited
from updater.model.unattended import Waiting as Waiting

DeploymentName = Annotated[
    DeploymentId, Meta(pattern=r"^[0-9]{1,16}-[0-9a-f]{7}\.[0-9]{1,9}\Z")
]
Floor = Annotated[int, Meta(ge=0, lt=1 << 53)]

MANIFEST_PATH = b"usr/lib/osupdate/manifest"
RELEASE_TOML_PATH = b"usr/lib/osupdate/release.toml"
NOTES_PATH = b"usr/lib/osupdate/notes.md"
PACKAGES_PATH = b"usr/lib/osupdate/packages.json"
CHANGES_PATH = b"usr/lib/osupdate/changes.json"
PROVENANCE_PATH = b"usr/lib/osupdate/provenance.json"


class GitMode(StrEnum):
    """The only tree entry modes of a release, as git writes them."""

    TREE = "40000"
    FILE = "100644"
    EXECUTABLE = "100755"
    SYMLINK = "120000"


class RawEntry(NamedTuple):
    """One entry of one tree object."""

    mode: GitMode
    name: bytes
    oid: ObjectId


Listing = tuple[list[RawEntry], list[bytes]]
"""One parsed tree object: its entries, and the names of skipped gitlinks."""


class TreeEntry(Struct, frozen=True):
    """A blob or symlink of a release; `path` is relative to the root."""

    path: bytes
    mode: GitMode
    oid: ObjectId


class Metadata(Struct, frozen=True):
    """What git cannot say about one path (DESIGN 3.2); None means the default.

    `type` is set only for what git cannot hold: dir (an empty one), char, block, fifo.
    `dev` is (major, minor), `hardlink` the target's path. `xattrs` are sorted by name.
    """

    type: str | None = None
    dev: tuple[int, int] | None = None
    mode: int | None = None
    uid: int = 0
    gid: int = 0
    hardlink: bytes | None = None
    xattrs: tuple[tuple[str, bytes], ...] = ()


class Release(Struct, frozen=True):
    """A verified release. Only `steps.verify` makes one.

    `number` orders releases: from release.toml, or the committer's time in unsigned
    mode. `tree_sha256` is None in unsigned mode: then git's own ids bind the content.
    """

    version: str
    number: int
    commit: ObjectId
    tree: ObjectId
    tag: ObjectId | None
    created: int
    product: str | None
    arch: str | None
    security_floor: int
    tree_sha256: str | None
    files: int
    size: int
    headline: str
    entries: tuple[TreeEntry, ...]
    trees: dict[ObjectId, Listing]
    metadata: dict[bytes, Metadata]
    notices: tuple[str, ...] = ()


class MachineFacts(Struct, frozen=True):
    """What this machine holds a release against (checks R3 to R5); None: not compared.

    `running_number` and `running_commit` are those of the release to be replaced.
    `version_floor` is the number of the last release that proved itself here.
    `barriers`, `dead_ends` and `withdrawn` are the channel's.
    """

    arch: str | None = None
    running_number: int | None = None
    running_commit: ObjectId | None = None
    security_floor: int = 0
    holds: tuple["Hold", ...] = ()
    pin: str | None = None
    allow_downgrade: bool = False
    version_floor: int = 0
    barriers: tuple[Mark, ...] = ()
    dead_ends: tuple[Mark, ...] = ()
    withdrawn: tuple[Mark, ...] = ()


class Deployment(Struct, frozen=True):
    """A release laid out on this machine, complete. Only `steps.stage` makes one."""

    id: DeploymentId
    commit: ObjectId
    path: str


class Record(Struct, frozen=True, omit_defaults=False):
    """What state.json remembers of a deployment: ids and names, nothing believed.

    `owners`: whether it has owners, and with them setuid, setgid, capabilities and
    devices; not when somebody without root privileges laid it out.
    """

    id: DeploymentName
    commit: ObjectId
    version: str
    number: int
    tag: ObjectId | None
    created: int
    staged_at: Annotated[int, Meta(ge=0, lt=1 << 37)]  # to the year 6325
    size: int
    headline: str
    signed: bool
    security_floor: int = 0
    owners: bool = True


class Package(Struct, frozen=True, omit_defaults=True):
    """One row of packages.json; `size` is installed bytes, or None when not told.

    `family` (dpkg, rpm, pacman, apk; empty: not told) has the order of versions.
    `source_version` is told where it is not `version`.
    """

    name: str
    version: str
    source: str
    arch: str
    size: int | None = None
    family: str = ""
    source_version: str | None = None

    @property
    def built_from(self) -> str:
        """The version of the source package, as its changelog tells it."""
        return self.source_version or self.version


class Phase(StrEnum):
    """Where a transition stands; the moves are in `core.machine`."""

    IDLE = "idle"
    STAGED = "staged"
    ARMED = "armed"
    REBOOTING = "rebooting"
    TRIAL = "trial"
    REVERTING = "reverting"


class Hold(Struct, frozen=True):
    """A release that this machine does not take by itself."""

    version: str
    commit: ObjectId
    number: int
    reason: str
    at: int


class Check(Struct, frozen=True):
    """How the last look at the remote ended."""

    at: int
    error: str | None = None


class Download(Struct, frozen=True):
    """A candidate whose bytes are here; `directory` is a name below incoming/."""

    offer: Offer
    directory: str | None


class State(Struct, frozen=True):
    """state.json: ids, never content. What runs is asked of the boot loader instead.

    `deployments` are complete and on disk, oldest first. `target` is the deployment
    that the phase is about (staged, armed, on trial, or gone back to). `origin` is what
    ran when the transition began, `previous` what `revert` goes to from idle. `linked`
    are the times, from and to in nanoseconds, in which we made or removed links.
    `accepted` is what the channels said, by URL and channel; `trusted` the tips of
    trust branches, by URL. `node` is this machine's name where it has no machine-id.
    `channel` was chosen here, in place of the configured one; `going_down` lets the
    next update lead to an older release. `claim` is a reboot lock that is perhaps held,
    `waited` what `auto` waited for last.
    """

    format: int = 1
    phase: Phase = Phase.IDLE
    deployments: tuple[Record, ...] = ()
    target: DeploymentName | None = None
    origin: DeploymentName | None = None
    previous: DeploymentName | None = None
    download: Download | None = None
    offer: Offer | None = None
    last_check: Check | None = None
    last_success_at: int | None = None
    holds: tuple[Hold, ...] = ()
    paused: str | None = None
    pin: str | None = None
    security_floor: Floor = 0
    version_floor: Floor = 0
    linked: tuple[tuple[int, int], ...] = ()
    accepted: tuple[Accepted, ...] = ()
    trusted: dict[str, ObjectId] = {}
    node: str | None = None
    channel: str | None = None
    going_down: bool = False
    claim: Claim | None = None
    waited: Waited | None = None


class LocalChange(Struct, frozen=True):
    """A path that is not as released. `kind`: modified, metadata, missing, extra."""

    path: bytes
    kind: str


class Status(Struct, frozen=True):
    """Everything that `status` shows, gathered without the network.

    `booted` is the id of the deployment that really runs; `kept` are the others.
    `available` is the last offer seen, when it is newer than what runs or is staged.
    `brief` is what the staged release changes, else the available one as its channel
    tells: a line, then what is dangerous.
    `unprivileged`: what runs, or will be laid out where nothing does, has no owners.
    `doubts` are the dotted keys of the configuration that cannot be read. `log` is what
    the channel says, `turn` why it is not this machine's turn, `device_time` what
    expiry is judged at. `pinned`: /etc says which keys count; nothing rotates them.
    `waiting` is the first closed gate, where a staged release waits.
    `trouble`: why state.json cannot be read.
    """

    state: State
    booted: DeploymentId | None
    running: Record | None
    target: Record | None
    previous: Record | None
    kept: tuple[Record, ...]
    channel: str
    url: str
    mode: TrustMode
    unprivileged: bool
    enter_command: str | None
    now: int
    available: Offer | None = None
    brief: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    log: Accepted | None = None
    turn: str | None = None
    device_time: int = 0
    pinned: bool = False
    waiting: Waiting | None = None
    trouble: str | None = None


class Obstacle(Struct, frozen=True):
    """Why an offer will not be taken here, as far as one can tell before it is here.

    `kind`: paused, held, pinned, older, withdrawn, dead-end, barrier, turn.
    """

    kind: str
    text: str
    hint: str | None


class Checked(Struct, frozen=True):
    """The answer of `check`. `available` is None when nothing newer is offered.

    `brief` is what it changes, as far as the channel tells: a line, then warnings.
    """

    offer: Offer
    available: Offer | None
    why: str
    obstacle: Obstacle | None = None
    brief: tuple[str, ...] = ()


class Followed(Struct, frozen=True):
    """The channel of this machine; after a change with `before`, and what it offers."""

    channel: str
    configured: str
    log: Accepted | None
    before: str | None
    checked: Checked | None


class Preview(Struct, frozen=True):
    """What a person sees before consent; `summary` is the `report` in one line."""

    running: Record | None
    version: str
    commit: ObjectId
    headline: str
    received: int
    written_files: int
    written_bytes: int
    kept_files: int
    local_changes: tuple[LocalChange, ...]
    notices: tuple[str, ...]
    report: str
    summary: str = ""


class Applied(Struct, frozen=True):
    """The outcome of `apply`: what was reached, in a word and a sentence.

    `outcome`: nothing, dry-run, downloaded, staged, switched, declined.
    """

    outcome: str
    record: Record | None
    text: str


class Reverted(Struct, frozen=True):
    """The outcome of `revert`. `dropped` is a staged release that was given up."""

    record: Record | None
    dropped: Record | None
    held: Hold | None
    text: str


class Verified(Struct, frozen=True):
    """The outcome of `verify`: what differs, and what `--repair` did about it."""

    record: Record
    files: int
    hashed: int
    changes: tuple[LocalChange, ...]
    repaired: tuple[bytes, ...]


class Collected(Struct, frozen=True):
    """The outcome of `gc`. `kept` says why a deployment that could go did not."""

    removed: tuple[Record, ...]
    freed: int
    kept: tuple[str, ...]


class Finding(Struct, frozen=True):
    """One line of `doctor`: `level` is ok, warning or problem."""

    level: str
    topic: str
    text: str
    hint: str | None = None


class LedgerEntry(Struct, frozen=True):
    """One line of ledger.jsonl. `text` is a sentence; `data` holds ids and numbers."""

    at: int
    event: str
    text: str
    actor: str
    data: dict[str, str | int | None] = {}
