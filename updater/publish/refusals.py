"""What is never published by accident: secrets, names git cannot hold, moved ids.

Rules over values; `read` gives the content of the few files that must be looked into.
"""

import re
from collections.abc import Callable, Collection, Mapping

from updater.core import tree
from updater.core.rootfs import Kind, Node
from updater.core.text import plural, safe, show_path
from updater.errors import RefusedError

Read = Callable[[Node], bytes | memoryview]

KEY_SEARCHED = (b"etc/", b"root/", b"home/")
KEY_SEARCHED_SIZE = 1 << 20  # bytes; private keys are kilobytes

_PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----")
_HOST_KEY = re.compile(
    rb"etc/(?:ssh/ssh_host_[^/]*_key|dropbear/dropbear_[^/]*_host_key)\Z"
)
_MACHINE_IDS = (b"etc/machine-id", b"var/lib/dbus/machine-id")
_SEEDS = (
    b"var/lib/systemd/random-seed",
    b"var/lib/systemd/credential.secret",
    b"var/lib/urandom/random-seed",
)
_NO_PASSWORD = (b"!", b"*", b"!!", b"!*")
# In passwd, x sends the reader to shadow; in gshadow, empty lets members in only.
_PASSWORDS = {
    b"etc/passwd": (*_NO_PASSWORD, b"x"),
    b"etc/shadow": _NO_PASSWORD,
    b"etc/group": (*_NO_PASSWORD, b"x", b""),
    b"etc/gshadow": (*_NO_PASSWORD, b""),
}
_SHOWN = 1000


def check_names(nodes: Mapping[bytes, Node]) -> None:
    """Refuse what git or the manifest cannot hold, with the whole list.

    Raises:
        RefusedError.
    """
    problems = []
    for path, node in sorted(nodes.items()):
        if reason := _name_problem(path, node):
            problems.append(f"{show_path(path)}: {reason}")
    if problems:
        raise _refused(
            f"the rootfs has {plural(len(problems), 'path')} that cannot be published",
            problems,
            "Remove or rename them, or leave them out with --exclude.",
        )


def _name_problem(path: bytes, node: Node) -> str | None:
    name = path.rpartition(b"/")[2]
    if not tree.safe_name(name):
        return "git cannot hold this name"
    if len(path) > tree.MAX_PATH or path.count(b"/") >= tree.MAX_DEPTH:
        return f"deeper than {tree.MAX_DEPTH} directories or {tree.MAX_PATH} bytes"
    if node.kind is Kind.SYMLINK and (not node.target or b"\0" in node.target):
        return "a symlink to nowhere"
    odd = [name for name, _ in node.xattrs if not re.fullmatch(r"[!-<>-~]+", name)]
    return f'extended attribute "{safe(odd[0], 80)}"' if odd else None


def secrets(
    nodes: Mapping[bytes, Node], read: Read, known: Collection[bytes]
) -> dict[bytes, str]:
    """Paths that hold a secret, and what it is.

    Args:
        nodes: the kept paths.
        read: gives the content of a file.
        known: paths that were searched for private keys before, and had none.
    """
    found: dict[bytes, str] = {}
    for path, node in sorted(nodes.items()):
        if node.kind is not Kind.FILE or node.size == 0:
            continue
        reason = _secret_by_name(path) or _secret_inside(path, node, read)
        if not reason and path not in known and _has_private_key(node, read):
            reason = "a private key"
        if reason:
            found[path] = reason
    return found


def _secret_by_name(path: bytes) -> str | None:
    if _HOST_KEY.match(path):
        return "the private key of an ssh server"
    return "the random seed of one machine" if path in _SEEDS else None


def _secret_inside(path: bytes, node: Node, read: Read) -> str | None:
    if path in _MACHINE_IDS:
        content = bytes(read(node)).strip()
        return None if content in (b"", b"uninitialized") else "the id of one machine"
    allowed = _PASSWORDS.get(path.removesuffix(b"-"))
    if allowed is None:
        return None
    accounts = [
        fields[0]
        for line in bytes(read(node)).split(b"\n")
        if len(fields := line.split(b":")) > 1 and fields[1] not in allowed
    ]
    if not accounts:
        return None
    names = ", ".join(safe(name, 40) for name in accounts[:5])
    return f"a password hash, or an empty password, of {names}"


def _has_private_key(node: Node, read: Read) -> bool:
    if node.size > KEY_SEARCHED_SIZE or not node.path.startswith(KEY_SEARCHED):
        return False
    return bool(_PRIVATE_KEY.search(read(node)))


def check_secrets(found: Mapping[bytes, str], allowed: Collection[bytes]) -> None:
    """Refuse secrets that nobody asked to publish, with the whole list.

    Raises:
        RefusedError.
    """
    refused = [f"{show_path(p)}: {why}" for p, why in found.items() if p not in allowed]
    if refused:
        raise _refused(
            f"the rootfs has {plural(len(refused), 'secret')} that every machine would "
            "share",
            refused,
            "Remove them, leave them out with --exclude PATH, or say --allow-secret "
            "PATH for each.",
        )


def check_ids(
    before: Mapping[bytes, bytes | None],
    after: Mapping[bytes, bytes | None],
    allowed: Collection[str],
) -> None:
    """Refuse changed numbers of users and groups: data would change hands.

    Args:
        before: etc/passwd and etc/group of the previous release; None where absent.
        after: those of this one.
        allowed: names that may change.

    Raises:
        RefusedError.
    """
    problems = []
    for path in (b"etc/passwd", b"etc/group"):
        old, new = _ids(before.get(path)), _ids(after.get(path))
        what = "user" if path == b"etc/passwd" else "group"
        for name in sorted(old.keys() & new.keys()):
            if old[name] != new[name] and name not in allowed:
                problems.append(
                    f"{what} {safe(name)}: {safe(old[name])} -> {safe(new[name])}"
                )
    if problems:
        raise _refused(
            "numeric ids differ from the previous release",
            problems,
            "Data on machines would change hands. Keep the old numbers, or say "
            "--allow-id-change NAME for each.",
        )


def _ids(data: bytes | None) -> dict[str, str]:
    rows = [line.split(":") for line in (data or b"").decode("latin-1").split("\n")]
    return {row[0]: row[2] for row in rows if len(row) > 2}


def _refused(what: str, problems: list[str], hint: str) -> RefusedError:
    rest = len(problems) - _SHOWN
    lines = "".join(f"\n  {problem}" for problem in problems[:_SHOWN])
    more = f"\n  ... and {rest:,} more" if rest > 0 else ""
    return RefusedError(f"{what}:{lines}{more}", hint=hint)
