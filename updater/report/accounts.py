"""Users and groups of two releases; of a password, whether there is one."""

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from updater.errors import RefusedError
from updater.report.sections import AccountChange
from updater.report.snapshot import Snapshot

PASSWD, GROUP, SHADOW = b"etc/passwd", b"etc/group", b"etc/shadow"
FILES = (PASSWD, GROUP, SHADOW)
MAX_FILE = 16 << 20  # bytes; half a million users
_PASSWD_FIELDS, _GROUP_FIELDS = 7, 4


class User(Struct, frozen=True):
    """One line of passwd(5), and what shadow(5) says of the password in a word.

    `secret` is the password's field, to see whether it is another one; it goes nowhere.
    """

    uid: str
    gid: str
    home: str
    shell: str
    password: str | None = None
    secret: str = ""


class Accounts(Struct, frozen=True):
    """The users and groups of one release; a group is its id and its members."""

    users: Mapping[str, User]
    groups: Mapping[str, tuple[str, frozenset[str]]]


def compare(
    old: Snapshot | None, new: Snapshot, paths: Iterable[bytes]
) -> tuple[tuple[AccountChange, ...], tuple[str, ...]]:
    """How users and groups differ, and sentences about what could not be read."""
    if not set(FILES) & set(paths):
        return (), ()
    try:
        before, after = _accounts(old), _accounts(new)
    except RefusedError as error:
        return (), (f"users and groups are not compared: {error}",)
    users = _users(before, after)
    groups = _groups(before, after)
    return (*users, *groups), ()


def _accounts(snapshot: Snapshot | None) -> Accounts:
    if snapshot is None:
        return Accounts({}, {})
    shadow = {line[0]: line[1] for line in _lines(snapshot, SHADOW, 2)}
    users = {}
    for line in _lines(snapshot, PASSWD, _PASSWD_FIELDS):
        secret = shadow.get(line[0]) if line[1] == "x" else line[1]
        word = None if secret is None else _password(secret)
        users[line[0]] = User(line[2], line[3], line[5], line[6], word, secret or "")
    groups = {
        line[0]: (line[2], frozenset(filter(None, line[3].split(","))))
        for line in _lines(snapshot, GROUP, _GROUP_FIELDS)
    }
    return Accounts(users, groups)


def _lines(snapshot: Snapshot, path: bytes, least: int) -> Iterator[list[str]]:
    """The fields of each line that has enough; the first of a name counts."""
    if snapshot.tree.leaf(path) is None:
        return
    seen = set()
    text = snapshot.read(path, MAX_FILE).decode("utf-8", "backslashreplace")
    for line in text.split("\n"):
        fields = line.split(":")
        name = fields[0]
        if len(fields) >= least and name and name[0] not in "#+-" and name not in seen:
            seen.add(name)
            yield fields


def _password(field: str) -> str:
    """none, locked or set: shadow(5)."""
    if not field:
        return "none"
    return "locked" if field[0] in "!*" else "set"


def _users(old: Accounts, new: Accounts) -> Iterator[AccountChange]:
    for name in sorted(old.users.keys() | new.users.keys()):
        before, after = old.users.get(name), new.users.get(name)
        if before is None or after is None:
            yield AccountChange(
                "user",
                name,
                "removed" if after is None else "added",
                None if before is None else _describe(before),
                None if after is None else _describe(after),
            )
            if after is not None and after.password in ("none", "set"):
                yield AccountChange("user", name, "password", None, after.password)
            continue
        ids = [f"{user.uid}:{user.gid}" for user in (before, after)]
        pairs = {
            "id": (ids[0], ids[1]),
            "home": (before.home, after.home),
            "shell": (before.shell, after.shell),
            "password": (before.password, _password_now(before, after)),
        }
        for change, (was, now) in pairs.items():
            if was != now:
                yield AccountChange("user", name, change, was, now)


def _password_now(before: User, after: User) -> str | None:
    another = before.password == after.password == "set"  # noqa: S105
    if another and before.secret != after.secret:
        return "another one"
    return after.password


def _describe(user: User) -> str:
    return f"uid {user.uid}, gid {user.gid}, {user.shell or '/bin/sh'}"


def _groups(old: Accounts, new: Accounts) -> Iterator[AccountChange]:
    for name in sorted(old.groups.keys() | new.groups.keys()):
        before, after = old.groups.get(name), new.groups.get(name)
        if before is None or after is None:
            yield AccountChange(
                "group",
                name,
                "removed" if after is None else "added",
                None if before is None else f"gid {before[0]}",
                None if after is None else f"gid {after[0]}",
            )
            continue
        if before[0] != after[0]:
            yield AccountChange("group", name, "id", before[0], after[0])
        if before[1] != after[1]:
            was, now = (", ".join(sorted(side)) for side in (before[1], after[1]))
            yield AccountChange("group", name, "groups", was or None, now or None)
