"""What somebody should look at before consent, from everything that differs.

Each is one sentence with its path, its package, what was and is, and the one command
that shows more. The order is that of `Danger`; of one kind, by path.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from updater.core.text import plural
from updater.report import privileges, trusted, units
from updater.report.diff import FileChange
from updater.report.sections import (
    AccountChange,
    Attention,
    ConfigChange,
    Danger,
    Unexplained,
)

MAX_OF_A_KIND = 200  # more are counted in one line
_ORDER = {kind: number for number, kind in enumerate(Danger)}
_UNITS = {b".socket": Danger.SOCKET, b".timer": Danger.TIMER}
_PRIVILEGED = {"root", "sudo", "wheel", "admin", "adm", "disk", "shadow", "kmem"} | {
    "docker",
    "lxd",
    "libvirt",
    "systemd-journal",
}
_NO_LOGIN = ("nologin", "false", "sync", "shutdown", "halt", "")


class Finder:
    """Collects what wants attention; `command` is how this comparison is asked for."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = tuple(command)
        self._found: list[Attention] = []

    def privileges(self, change: FileChange) -> None:
        """What one path may do that it might not before."""
        for one in privileges.raised(change):
            self._add(one.kind, change.path, change.package, one.old, one.new, one.text)

    def trust(self, found: Iterable[trusted.Trust], owners: "Owner") -> None:
        """Certificates and keys."""
        for one in found:
            package = owners(one.path)
            self._add(
                one.kind, one.path, package, one.old, one.new, one.text, patch=True
            )

    def units(self, found: units.Differences, owners: "Owner") -> None:
        """What starts by itself, and what listens."""
        for change in found.changes:
            if change.enabled:
                by = ", ".join(units.show(name) for name in change.by)
                told = f", {', '.join(change.tells)}" if change.tells else ""
                self._unit(
                    change.unit,
                    change.file,
                    owners,
                    None,
                    f"enabled by {by}{told}",
                    change.links[:1],
                )
        for moved in found.moved:
            old, new = ", ".join(moved.old), ", ".join(moved.new)
            self._unit(moved.unit, moved.file, owners, (old, new), f"listens on {new}")
        for unit in found.freed:
            mask = b"etc/systemd/system/" + unit.rpartition(b"/")[2]
            self._unit(unit, None, owners, ("masked", None), "no longer masked", [mask])

    def accounts(self, changes: Iterable[AccountChange]) -> None:
        """Users that come or may do more, and ids that would change hands."""
        for change in changes:
            kind, text = _account(change)
            if kind is not None:
                path = b"etc/passwd" if change.kind == "user" else b"etc/group"
                if change.change == "password":
                    path = b"etc/shadow"
                old, new = change.old, change.new
                self._add(kind, path, None, old, new, text, patch=True)

    def configs(self, changes: Iterable[ConfigChange]) -> None:
        """Configuration that this machine and the release both changed."""
        for change in changes:
            if change.local:
                self._add(
                    Danger.CONFFILE,
                    change.path,
                    change.package,
                    None,
                    change.change,
                    "changed here and upstream",
                    patch=True,
                )

    def unexplained(self, found: Unexplained) -> None:
        """Files that no update of their package explains; one line a package."""
        packages: dict[str, list[bytes]] = {}
        for path, package in found.changed:
            packages.setdefault(package, []).append(path)
        for package, paths in sorted(packages.items()):
            count = plural(len(paths), "file")
            text = f"{count} changed, the version did not"
            self._found.append(
                Attention(
                    Danger.UNEXPLAINED,
                    paths[0],
                    package,
                    None,
                    None,
                    text,
                    (*self._command, "--unexplained"),
                )
            )

    def found(self) -> tuple[Attention, ...]:
        """Everything, sorted; of a kind that never ends, its beginning."""
        ordered = sorted(
            self._found, key=lambda one: (_ORDER[one.kind], one.path or b"")
        )
        return tuple(self._limited(ordered))

    def _limited(self, ordered: Iterable[Attention]) -> Iterator[Attention]:
        counts: dict[Danger, int] = {}
        for one in ordered:
            counts[one.kind] = counts.get(one.kind, 0) + 1
            if counts[one.kind] <= MAX_OF_A_KIND:
                yield one
        for kind, count in counts.items():
            if (left := count - MAX_OF_A_KIND) > 0:
                more = (*self._command, "--files")
                yield Attention(kind, None, None, None, None, f"{left:,} more", more)

    def _unit(
        self,
        unit: bytes,
        path: bytes | None,
        owners: "Owner",
        states: tuple[str | None, str | None] | None,
        text: str,
        links: Sequence[bytes] = (),
    ) -> None:
        """`links` are what else of it changed, to be shown with its file."""
        kind = _UNITS.get(unit[unit.rfind(b".") :], Danger.UNIT)
        package = owners(path) if path else None
        old, new = states or (None, "enabled")
        self._add(
            kind,
            path,
            package,
            old,
            new,
            f"{units.show(unit)} {text}",
            patch=True,
            beside=links,
        )

    def _add(
        self,
        kind: Danger,
        path: bytes | None,
        package: str | None,
        old: str | None,
        new: str | None,
        text: str,
        *,
        patch: bool = False,
        beside: Sequence[bytes] = (),
    ) -> None:
        view = "--patch" if patch else "--files"
        paths = dict.fromkeys([*beside, *([] if path is None else [path])])
        where = ["/" + one.decode("utf-8", "surrogateescape") for one in paths]
        more = (*self._command, view, *where)
        self._found.append(Attention(kind, path, package, old, new, text, more))


Owner = Callable[[bytes], str | None]
"""Gives the package of a path, when that is known."""


def _account(change: AccountChange) -> tuple[Danger | None, str]:
    """What an account's change is dangerous for, and a sentence; None: for nothing."""
    name = change.name
    match change.change:
        case "added" if change.kind == "user":
            return Danger.USER, f"user {name} added: {change.new}"
        case "id":
            what = f"{change.kind} {name}"
            return Danger.ID, f"{what}: files keep the old number"
        case "password" if change.new in ("none", "set", "another one"):
            words = {"none": "needs no password", "set": "has a password now"}
            said = words.get(change.new, "has another password")
            return Danger.USER, f"user {name} {said}"
        case "shell" if _logs_in(change.new) and not _logs_in(change.old):
            return Danger.USER, f"user {name} may log in: {change.new}"
        case "groups" if name in _PRIVILEGED:
            gained = set((change.new or "").split(", ")) - set(
                (change.old or "").split(", ")
            )
            if gained - {""}:
                who = ", ".join(sorted(gained - {""}))
                return Danger.USER, f"group {name} has new members: {who}"
    return None, ""


def _logs_in(shell: str | None) -> bool:
    return (shell or "").rpartition("/")[2] not in _NO_LOGIN
