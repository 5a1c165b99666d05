"""The agent: wires the parts, under the lock where something may change.

`update` tells the story of an update, `switch` that of a switch and of coming back,
`look` reads, `care` keeps house; `room` is what they share.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from updater.agent.room import Room, Watcher
from updater.core import names
from updater.errors import BusyError
from updater.model import (
    Applied,
    Checked,
    Collected,
    Finding,
    Followed,
    Hold,
    LedgerEntry,
    Reverted,
    Status,
    Ticked,
    Trusted,
    Verified,
)
from updater.settings import Settings

if TYPE_CHECKING:
    from updater.agent.between import Compared
    from updater.agent.gating import Why
    from updater.report.blame import Blame
    from updater.report.log import Log
    from updater.report.mail import Patch
    from updater.report.notes import Notes
    from updater.report.restore import Restored
    from updater.report.when import Answer


class Agent:
    """One machine, or the directory that stands for one.

    `doubts` are the dotted keys that may have been meant otherwise than `settings` say,
    each with its reason.
    """

    def __init__(
        self,
        settings: Settings,
        root: str,
        watcher: Watcher,
        *,
        offline: bool = False,
        doubts: Mapping[str, str] | None = None,
    ) -> None:
        self._room = Room(settings, root, watcher, offline=offline, doubts=doubts or {})

    def status(self) -> Status:
        """Where this machine is; without the network, the lock, or libgit2."""
        from updater.agent import standing  # noqa: PLC0415 - status stays quick

        return standing.status(self._room)

    def check(self) -> Checked:
        """Ask the remote what this machine should run."""
        from updater.agent import standing  # noqa: PLC0415

        with self._room.at_work("check") as state:
            return standing.check_now(self._room, state)

    def channel(
        self, name: str | None = None, *, allow_downgrade: bool = False
    ) -> Followed:
        """The channel that this machine follows; a name makes it follow that one."""
        from updater.agent import channels  # noqa: PLC0415

        if name is None:
            return channels.show(self._room, self._room.load())
        with self._room.at_work("channel") as state:
            return channels.follow(
                self._room, state, name, allow_downgrade=allow_downgrade
            )

    def trusted(self) -> Trusted:
        """Which keys count here, and until when."""
        from updater.agent import keys  # noqa: PLC0415

        return keys.trusted(self._room, self._room.load())

    def apply(
        self,
        wanted: str | None,
        *,
        dry_run: bool = False,
        download_only: bool = False,
        arm: bool = True,
        full: bool = False,
        allow_downgrade: bool = False,
        reason: str | None = None,
    ) -> Applied:
        """Bring this machine to a release; None is what the channel offers."""
        from updater.agent import care, update  # noqa: PLC0415

        request = update.Request(
            wanted, dry_run, download_only, arm, full, allow_downgrade, reason
        )
        with self._room.at_work("apply") as state:
            applied = update.apply(self._room, state, request)
            care.tidy_up(self._room, applied.outcome)
            return applied

    def auto(self) -> Ticked:
        """One tick of updates without a person."""
        from updater.agent import auto  # noqa: PLC0415

        try:
            with self._room.at_work("auto") as state:
                return auto.tick(self._room, state)
        except BusyError as error:
            return Ticked("busy", str(error))

    def why(self) -> "Why":
        """Every gate between what is staged and its switch."""
        from updater.agent import gating  # noqa: PLC0415 - loads the time zones

        return gating.why(self._room, self._room.load())

    def revert(
        self, wanted: str | None, *, reason: str | None = None, hold: bool = True
    ) -> Reverted:
        """Go back; None is the previous release, or dropping what is staged."""
        from updater.agent import switch  # noqa: PLC0415

        with self._room.at_work("revert") as state:
            record = None
            if wanted is not None:
                found = names.find_record(state, self._room.booted(), wanted)
                record = names.require(found, wanted, state.deployments)
            return switch.revert(self._room, state, record, reason, hold=hold)

    def history(self) -> list[LedgerEntry]:
        """What happened here, oldest first."""
        return self._room.ledger.read()

    def verify(self, wanted: str | None, *, repair: bool = False) -> Verified:
        """Hash every file of a deployment; None is the one that runs."""
        from updater.agent import whole  # noqa: PLC0415

        if repair:
            self._room.require_known("deploy")
        with self._room.at_work("verify") as state:
            return whole.verify(self._room, state, wanted, mend=repair)

    def hold(self, wanted: str | None, reason: str) -> Hold | None:
        """Never take a release by itself; None pauses all updates."""
        from updater.agent import care  # noqa: PLC0415

        with self._room.at_work("hold") as state:
            return care.hold(self._room, state, wanted, reason)

    def unhold(self, wanted: str | None) -> tuple[Hold, ...]:
        """Give a hold up; None gives up all of them, and the pause."""
        from updater.agent import care  # noqa: PLC0415

        with self._room.at_work("unhold") as state:
            return care.unhold(self._room, state, wanted)

    def pin(self, wanted: str | None) -> str | None:
        """Stay on a release; None follows the channel again."""
        from updater.agent import care  # noqa: PLC0415

        with self._room.at_work("pin") as state:
            return care.pin(self._room, state, wanted)

    def gc(self, *, dry_run: bool = False) -> Collected:
        """Delete deployments that are not needed any more."""
        from updater.agent import care  # noqa: PLC0415

        with self._room.at_work("gc") as state:
            return care.gc(self._room, state, dry_run=dry_run)

    def doctor(self) -> list[Finding]:
        """Look at everything that an update will need."""
        from updater.agent import doctor  # noqa: PLC0415

        return doctor.look(self._room)

    def diff(
        self,
        left: str | None,
        right: str | None,
        paths: Sequence[bytes],
        *,
        local: bool = False,
    ) -> "Compared":
        """What changes between two releases that are here, or what changed here."""
        from updater.agent import between  # noqa: PLC0415

        asked = between.Asked(left, right, paths, local)
        return between.diff(self._room, self._room.load(), asked)

    def log(
        self,
        left: str | None,
        right: str | None,
        paths: Sequence[bytes],
        *,
        repo: str | None = None,
    ) -> "Log":
        """The releases that are known here, or that a repository has."""
        from updater.agent import knowledge, tell  # noqa: PLC0415

        if repo is not None:
            return tell.log(knowledge.Repository(repo), None, left, right, paths)
        state = self._room.load()
        return tell.log(knowledge.Here(self._room, state), state, left, right, paths)

    def notes(self, wanted: str | None, *, repo: str | None = None) -> "Notes":
        """What there is to read of a release; None is what is new, or runs."""
        from updater.agent import knowledge, tell  # noqa: PLC0415

        if repo is not None:
            return tell.notes(knowledge.Repository(repo), None, wanted)
        state = self._room.load()
        return tell.notes(knowledge.Here(self._room, state), state, wanted)

    def when(self, question: str, *, repo: str | None = None) -> "Answer":
        """Which known release has a package or a fix."""
        from updater.agent import knowledge, when  # noqa: PLC0415

        if repo is not None:
            return when.when(knowledge.Repository(repo), None, question)
        state = self._room.load()
        return when.when(knowledge.Here(self._room, state), state, question)

    def blame(self, path: bytes) -> "Blame":
        """Where a path of what runs comes from."""
        from updater.agent import blame  # noqa: PLC0415

        return blame.blame(self._room, self._room.load(), path)

    def patch(self, paths: Sequence[bytes]) -> "Patch":
        """What was changed in what runs, to be sent upstream."""
        from updater.agent import patch  # noqa: PLC0415

        return patch.patch(self._room, self._room.load(), paths)

    def restore(
        self,
        paths: Sequence[bytes],
        ask: Callable[[str], bool],
        *,
        dry_run: bool = False,
    ) -> "Restored":
        """Take local changes of paths back."""
        from updater.agent import restore  # noqa: PLC0415

        with self._room.at_work("restore") as state:
            return restore.restore(self._room, state, paths, ask, dry_run=dry_run)


__all__ = ["Agent", "Watcher"]
