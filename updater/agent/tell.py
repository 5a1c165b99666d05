"""Answers about releases out of what is known: `log` and `notes`."""

from collections.abc import Sequence

from updater.agent.knowledge import Knowledge
from updater.core import chronicle
from updater.core.chronicle import Known, Range
from updater.errors import UsageError
from updater.model import ObjectId, State
from updater.report.log import Log, Row


def log(
    knowledge: Knowledge,
    state: State | None,
    left: str | None,
    right: str | None,
    paths: Sequence[bytes],
) -> Log:
    """The releases of a range that changed any of the paths; without them, all.

    Args:
        knowledge: of this machine, or of a repository.
        state: of this machine; None for a repository.
        left: after this one.
        right: up to this one.
        paths: without their leading slash.

    Raises:
        UsageError: a release is not known.
    """
    every = knowledge.releases
    asked = Range(
        chronicle.named(every, left, knowledge.roles) if left else None,
        chronicle.named(every, right, knowledge.roles) if right else None,
    )
    if asked.older and asked.newest and asked.older.number > asked.newest.number:
        raise UsageError(
            f"{asked.older.version} is newer than {asked.newest.version}",
            hint=f"osupdate log {asked.newest.version}..{asked.older.version}",
        )
    inside = chronicle.within(every, asked)
    touched = {r.commit: knowledge.touched(r, paths) if paths else True for r in inside}
    shown = [release for release in inside if touched[release.commit]]
    states = states_of(knowledge, state)
    versions = {release.commit: release.version for release in every}
    rows = [
        Row(
            release,
            states.get(release.commit, ""),
            not paths and chronicle.gap_after(inside, place),
            _since(release, versions) if paths else None,
        )
        for place, release in enumerate(shown)
    ]
    offer = state.offer if state and right is None and not paths else None
    return Log(
        name=knowledge.name,
        rows=tuple(rows),
        paths=tuple(paths),
        offer=None if offer is None or offer.commit in versions else offer,
        complete=chronicle.is_complete(every),
        oldest=every[-1] if every else None,
        untold=tuple(r.version for r in inside if touched[r.commit] is None),
        local=state is not None,
    )


def _since(release: Known, versions: dict[ObjectId, str]) -> str | None:
    """What its changed paths were told against, where that is not its parent."""
    base = release.base
    if base is None or base == release.parent:
        return None
    return versions.get(base, base[:7])


def states_of(knowledge: Knowledge, state: State | None) -> dict[ObjectId, str]:
    """Commit -> what this machine does with the release."""
    if state is None:
        return {}
    found = {hold.commit: "held" for hold in state.holds}
    found |= {
        record.commit: "kept"
        for record in state.deployments
        if record.commit not in found
    }
    roles = knowledge.roles
    if "available" in roles and roles["available"] not in found:
        found[roles["available"]] = "available"
    for role in ("previous", "staged", "running"):
        if role in roles and (role != "previous" or found[roles[role]] != "held"):
            found[roles[role]] = role
    return found
