"""Answers about releases out of what is known: `log` and `notes`."""

from collections.abc import Sequence

from updater.agent.knowledge import Knowledge
from updater.core import chronicle, provenance
from updater.core.chronicle import Known, Range
from updater.errors import UsageError
from updater.model import ObjectId, State
from updater.report.log import Log, Row
from updater.report.notes import Changed, Notes


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


def notes(knowledge: Knowledge, state: State | None, wanted: str | None) -> Notes:
    """What there is to read of a release; None is what is new here, else what runs.

    Raises:
        UsageError: it is not known.
    """
    roles, every = knowledge.roles, knowledge.releases
    here = states_of(knowledge, state)
    if wanted is None:
        wanted = _default(knowledge)
    offer = state.offer if state else None
    names = (offer.version, offer.tag_name, offer.commit) if offer else ()
    if (
        offer
        and wanted in (*names, "available", "offered")
        and all(r.commit != offer.commit for r in every)
    ):
        return Notes(None, "available", offer=offer)
    known = chronicle.named(every, wanted, roles)
    return Notes(
        known=known,
        here=here.get(known.commit, ""),
        markdown=knowledge.notes(known),
        changes=knowledge.changes(known),
        brief=knowledge.brief(known),
        changed=_changed(knowledge, known, state),
        recipe=provenance.recipe(known.source),
    )


def _default(knowledge: Knowledge) -> str:
    """What is new here, else what runs, else the newest."""
    roles = knowledge.roles
    found = next((role for role in ("staged", "available") if role in roles), None)
    if found == "available" and roles["available"] == roles.get("running"):
        found = None
    if found or "running" in roles:
        return found or "running"
    if not knowledge.releases:
        raise UsageError(
            "no release is known here yet", hint="Look for one: osupdate check"
        )
    return knowledge.releases[0].commit


def _changed(knowledge: Knowledge, known: Known, state: State | None) -> Changed | None:
    """How much it changed, against the nearest older release that is known."""
    every = {release.commit: release for release in knowledge.releases}
    running = knowledge.roles.get("running") if known.heard else None
    base = every.get(known.base or running or known.parent or ObjectId(""))
    if base is None:
        return None
    old, new = knowledge.packages(base), knowledge.packages(known)
    packages = None
    if old is not None and new is not None:
        packages = len({p.name for p in {*old} ^ {*new}})
    paths = knowledge.paths(known)
    deployed = {record.commit for record in state.deployments} if state else set()
    told = knowledge.changes(known)
    security = 0
    if told is not None:
        security = sum(
            any(change.security for change in found) for found in told.sources.values()
        )
    return Changed(
        since=base.version,
        packages=packages,
        security=security,
        config=None if paths is None else sum(p.startswith(b"etc/") for p in paths),
        files=None if paths is None else len(paths),
        comparable={base.commit, known.commit} <= deployed,
    )
