"""What a path may do, or lets others do, that it did not before."""

import re
from collections.abc import Iterator

from msgspec import Struct

from updater.core import capabilities
from updater.report.diff import FileChange, Node
from updater.report.sections import Danger

SETUID, SETGID, STICKY = 0o4000, 0o2000, 0o1000
_GROUP_WRITE, _OTHER_READ, _OTHER_WRITE = 0o020, 0o004, 0o002
_CAPABILITY = "security.capability"
_ACCESS = ("system.posix_acl_access", "system.posix_acl_default")
_SECRET = re.compile(
    rb"etc/(g?shadow-?|sudoers(\.d/.*)?|krb5\.keytab|opasswd"
    rb"|security/opasswd|ssl/private/.*|ssh/ssh_host_.*_key|wireguard/.*"
    rb"|NetworkManager/system-connections/.*|ppp/(pap|chap)-secrets"
    rb"|osupdate/.*\.key)"
    rb"|(.*/)?\.ssh/id_[a-z0-9_]+"
    rb"|(.*/)?\.(netrc|pgpass|my\.cnf)"
)
_OPEN_DEVICES = ("char", "block", "fifo", "symlink")
_SHARED = (b"usr/", b"etc/", b"bin/", b"sbin/", b"lib/", b"boot/")


class Raised(Struct, frozen=True):
    """One privilege that came: what it was, what it is, and that in a sentence."""

    kind: Danger
    old: str | None
    new: str | None
    text: str


def raised(change: FileChange) -> Iterator[Raised]:
    """Everything about a path that is more dangerous than before."""
    new = change.new
    if new is None or (change.old is not None and _looks(change.old) == _looks(new)):
        return
    if new.type == "file":
        yield from _special_bits(change.old, new)
        yield from _capability(change.old, new)
    if new.type != "symlink":
        yield from _loosened(change.path, change.old, new)
        yield from _access_lists(change.old, new)
    yield from _owner(change.path, change.old, new)


def _looks(node: Node) -> tuple[object, ...]:
    return node.type, node.mode, node.uid, node.gid, node.xattrs


def has(node: Node | None, bit: int) -> bool:
    """Whether a file has the setuid or setgid bit; of a directory it means no more."""
    return node is not None and node.type == "file" and bool((node.mode or 0) & bit)


def capability(node: Node | None) -> bytes | None:
    """The file capabilities, as the kernel stores them."""
    return None if node is None else dict(node.xattrs).get(_CAPABILITY)


def mode(node: Node | None) -> str | None:
    """`4755`."""
    return None if node is None or node.mode is None else f"{node.mode:04o}"


def _special_bits(old: Node | None, new: Node) -> Iterator[Raised]:
    for bit, kind, owner in (
        (SETUID, Danger.SETUID, "uid"),
        (SETGID, Danger.SETGID, "gid"),
    ):
        if not has(new, bit):
            continue
        becomes, was = getattr(new, owner), getattr(old, owner, None)
        if has(old, bit) and (was == becomes or becomes):
            continue
        yield Raised(kind, mode(old), mode(new), f"runs as {owner} {becomes}")


def _capability(old: Node | None, new: Node) -> Iterator[Raised]:
    before, after = capability(old), capability(new)
    if after is None or after == before:
        return
    more = capabilities.granted(after)
    if before is not None and not more & ~capabilities.granted(before):
        return
    was = None if before is None else capabilities.describe(before)
    told = capabilities.describe(after)
    yield Raised(Danger.CAPABILITY, was, told, f"runs with {told}")


def _loosened(path: bytes, old: Node | None, new: Node) -> Iterator[Raised]:
    """Who may write or read now; a sticky directory is meant to be written to."""
    before = None if old is None or old.type != new.type else old.mode
    after = new.mode or 0
    gained = after & ~(before or 0) if before is not None else after
    told = []
    sticky = new.type == "dir" and after & STICKY
    if gained & _OTHER_WRITE and not sticky:
        if before is not None or new.type not in _OPEN_DEVICES:
            told.append("everybody may write")
    elif gained & _GROUP_WRITE and _group_matters(path, new, before):
        told.append(f"group {new.gid} may write")
    if gained & _OTHER_READ and _may_be_secret(path, before):
        told.append("everybody may read")
    if told:
        text = " and ".join(told)
        yield Raised(Danger.LOOSENED, mode(old), mode(new), text)


def _group_matters(path: bytes, new: Node, before: int | None) -> bool:
    """Group root holds nobody but root; a new data directory is its group's."""
    if before is not None:
        return True
    return new.gid != 0 and path.startswith(_SHARED) and new.type == "file"


def _may_be_secret(path: bytes, before: int | None) -> bool:
    """What was closed and opens, or comes open although its name says secret."""
    return before is not None or _SECRET.fullmatch(path) is not None


def _access_lists(old: Node | None, new: Node) -> Iterator[Raised]:
    before = {} if old is None else dict(old.xattrs)
    after = dict(new.xattrs)
    for name in _ACCESS:
        if name in after and after[name] != before.get(name):
            was = "an access list" if name in before else None
            word = "changed" if was else "added"
            text = f"an access list was {word}: {name.rpartition('_')[2]}"
            yield Raised(Danger.LOOSENED, was, "an access list", text)


def _owner(path: bytes, old: Node | None, new: Node) -> Iterator[Raised]:
    """Root's things that become somebody else's."""
    if old is None or old.type != new.type:
        if new.uid and path.startswith(_SHARED) and new.type == "file":
            text = f"owned by uid {new.uid}, not by root"
            yield Raised(Danger.LOOSENED, None, _ids(new), text)
        return
    if old.uid == 0 != new.uid:
        text = f"owned by uid {new.uid}, no longer by root"
        yield Raised(Danger.LOOSENED, _ids(old), _ids(new), text)
    elif old.gid == 0 != new.gid and (new.mode or 0) & _GROUP_WRITE:
        text = f"group {new.gid} may write, no longer group root alone"
        yield Raised(Danger.LOOSENED, _ids(old), _ids(new), text)


def _ids(node: Node) -> str:
    return f"{node.uid}:{node.gid}"
