"""The agent: wires the parts, under the lock where something may change.

`update` tells the story of an update, `switch` that of a switch and of coming back,
`look` reads, `care` keeps house; `room` is what they share.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from updater.agent.room import Room, Watcher
from updater.core import names
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
    Trusted,
    Verified,
)
from updater.settings import Settings

if TYPE_CHECKING:
    from updater.agent.between import Compared


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


__all__ = ["Agent", "Watcher"]
