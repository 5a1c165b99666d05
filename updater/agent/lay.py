"""Laying a release out: what will be written, whether it fits, and doing it."""

import os
from collections.abc import Sequence

from msgspec.structs import replace

from updater.agent import look
from updater.agent.obtain import RESERVE, discard, free_with_spare
from updater.agent.room import Room, Surveyed, deployment_id, sizes_of
from updater.core import machine
from updater.core.plan import Base, Plan, make_plan
from updater.core.text import plural, safe, size
from updater.errors import NoSpaceError, UntrustedError
from updater.model import Candidate, DeploymentId, Phase, Record, Release, State
from updater.steps.stage import Place, stage
from updater.system import fs
from updater.system.git.objects import Objects

_BLOCK = 4096  # bytes that a small file takes on disk


def plan_of(
    room: Room,
    release: Release,
    objects: Objects,
    surveyed: Sequence[Surveyed],
    *,
    full: bool,
) -> Plan:
    """What staging a release will write, and what it will share."""
    known = sizes_of(surveyed)
    sizes = {
        entry.oid: known[entry.oid]
        if entry.oid in known
        else objects.header(entry.oid)[1]
        for entry in release.entries
    }
    base = Base({}, {})
    if surveyed and not full:
        one = surveyed[-1]
        metadata = look.manifest_of(one.index, objects)
        base = Base(one.rows, metadata, fs.can_clone(room.layout.deployments))
    return make_plan(
        release.entries,
        release.metadata,
        release.created,
        sizes,
        base,
        room.persistent,
        room.owner,
    )


def require_space(room: Room, plan: Plan) -> None:
    """Refuse a plan that does not fit on the disk.

    Raises:
        NoSpaceError.
    """
    room.watcher.stage(4, room.stages, "space")
    files = len(plan.writes) + len(plan.directories)
    needed = plan.written_bytes + files * _BLOCK
    free = free_with_spare(room, room.layout.deployments, needed + RESERVE)
    if free < needed + RESERVE:
        raise NoSpaceError(
            f"staging needs {size(needed)} and {size(RESERVE)} to spare in "
            f"{room.layout.deployments}; {size(free)} are free",
            hint="Free some: osupdate gc",
        )
    room.watcher.done(f"needs {size(needed)}, {size(free)} free")


def lay_out(
    room: Room,
    state: State,
    release: Release,
    plan: Plan,
    candidate: Candidate,
    surveyed: Sequence[Surveyed],
) -> tuple[State, Record]:
    """Stage a release; intent and outcome are in the ledger.

    Raises:
        UntrustedError, HostError, NoSpaceError: what was there is as it was.
    """
    room.watcher.stage(5, room.stages, "stage")
    taken = os.listdir(room.layout.deployments)
    name = deployment_id(release.number, release.commit, taken)
    room.tell("stage", f"laying out {safe(release.version)}", deployment=name)
    place = _place(room, name, surveyed[-1] if surveyed and plan.keeps else None)

    def objects() -> Objects:
        return look.open_kept(room, surveyed, candidate.objects)

    began = room.nanoseconds()
    try:
        stage(plan, release, name, place, objects, room.count_files)
    except UntrustedError:
        discard(candidate)
        room.save(replace(state, download=None))
        raise
    state = room.linking(state, began)
    record = _record(room, name, release)
    deployments = (*state.deployments, record)
    state = replace(state, deployments=deployments, origin=room.booted())
    state = room.save(machine.move(state, Phase.STAGED, record.id))
    room.tell("staged", f"{safe(release.version)} is laid out", deployment=name)
    room.watcher.done(
        f"{plural(release.files, 'file')}, {len(plan.writes):,} written "
        f"({size(plan.written_bytes)}), synced and read back"
    )
    return state, record


def _place(room: Room, name: DeploymentId, base: Surveyed | None) -> Place:
    return Place(
        deployments=room.layout.deployments,
        index_path=room.layout.index(name),
        base=base.path if base else None,
        base_rows=base.rows if base else {},
        clones=bool(base) and fs.can_clone(room.layout.deployments),
        spare=room.layout.spare,
    )


def _record(room: Room, name: DeploymentId, release: Release) -> Record:
    return Record(
        id=name,
        commit=release.commit,
        version=release.version,
        number=release.number,
        tag=release.tag,
        created=release.created,
        staged_at=room.now(),
        size=release.size,
        headline=release.headline,
        signed=release.tree_sha256 is not None,
        security_floor=release.security_floor,
        owners=room.owner.privileged,
    )
