"""The story of an update: look, fetch, verify, show, lay out, switch, prove.

Everything until the switch happens beside what runs. Each part that counts is in the
ledger before it is done, and in state.json after it.
"""

import os
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from updater.agent import between, look, public, recall, switch
from updater.agent.ask import find_offer
from updater.agent.lay import lay_out, plan_of, require_space
from updater.agent.obtain import (
    check_release,
    discard,
    download,
    heal_store,
    keep_objects,
    make_store,
    opened,
    require_judge,
)
from updater.agent.room import Room, Surveyed
from updater.core import channel, machine, names, policy
from updater.core.plan import Plan
from updater.core.text import plural, safe, show_path, size
from updater.errors import RefusedError, UntrustedError
from updater.model import (
    Applied,
    Candidate,
    Download,
    LocalChange,
    Offer,
    Phase,
    Preview,
    Record,
    Release,
    State,
)
from updater.report import diff_text
from updater.report.oneline import one_line
from updater.steps import collect
from updater.system.git.objects import Objects


class Request(Struct, frozen=True):
    """What `apply` was asked for."""

    wanted: str | None
    dry_run: bool = False
    download_only: bool = False
    arm: bool = True
    full: bool = False
    allow_downgrade: bool = False
    reason: str | None = None


def apply(room: Room, state: State, request: Request) -> Applied:
    """Bring this machine to a release, as far as the request goes.

    Raises:
        OsupdateError: what runs is as it was.
    """
    state = switch.settle(room, state)
    if state.going_down:
        request = replace(request, allow_downgrade=True)
    make_store(room)
    if request.full:
        heal_store(room)
    kept = _kept_deployment(room, state, request)
    if kept is not None:
        return _use_kept(room, state, kept, request)
    if state.paused is not None and request.wanted is None:
        raise RefusedError(
            f"updates are on hold here: {safe(state.paused, 200)}",
            hint="To take updates again: osupdate unhold",
        )
    require_judge(room)
    room.watcher.stage(1, room.stages, "check")
    state, offer = _offer(room, state, request.wanted)
    called = f"{safe(offer.version or 'commit', 60)} ({offer.commit[:7]})"
    room.watcher.done(f"{called} from {safe(offer.channel, 60)}")
    running = room.running(state)
    if running and offer.commit == running.commit and not request.full:
        text = f"Up to date: {safe(running.version)} runs and is what was asked for"
        return Applied("nothing", running, text)
    staged = next((r for r in state.deployments if r.commit == offer.commit), None)
    if staged and not request.full and not request.download_only:
        return _use_kept(room, state, staged, request)
    _foresee(room, state, offer, request)
    _require_turn(room, state, offer, request)
    try:
        return _bring(room, state, offer, request, complete=request.full)
    except UntrustedError as error:
        # A damaged file here looks like a missing object there; ask for all of it once.
        if error.check != "F2" or request.full or not state.deployments:
            raise
        heal_store(room)
        room.watcher.notice(f"{error}; fetching the complete release instead")
        return _bring(room, room.load(), offer, request, complete=True)


def _require_turn(room: Room, state: State, offer: Offer, request: Request) -> None:
    """Wait for this machine's turn in a rollout, unless a person named the release.

    Raises:
        RefusedError: it is not its turn.
    """
    turn = room.turn(state, offer)
    name = safe(offer.version or offer.commit[:7], 100)
    reason = request.reason or "no reason given"
    named = request.wanted not in (None, "available")
    if turn is not None and not named:
        raise RefusedError(
            f"{name} is being rolled out: {turn}",
            hint=f"To take it now: osupdate apply {name} --reason TEXT",
        )
    if turn is not None:
        text = f"{name} before its turn, named by a person: {safe(reason, 500)}"
        room.tell("override", text, commit=offer.commit, turn=turn)
    elif request.reason is not None:
        room.tell("reason", f"{name}: {safe(reason, 500)}", commit=offer.commit)


def _foresee(room: Room, state: State, offer: Offer, request: Request) -> None:
    """Refuse before the download what can be told before it.

    Raises:
        UntrustedError: R4, R5.
    """
    facts = policy.facts_of(
        state,
        room.running(state),
        allow_downgrade=request.allow_downgrade,
        log=room.accepted(state),
    )
    try:
        policy.foresee(offer, policy.known_number(state, offer), facts)
    except UntrustedError as error:
        room.tell("refused", str(error), commit=offer.commit)
        raise


def _kept_deployment(room: Room, state: State, request: Request) -> Record | None:
    """A deployment on disk that the person named; it needs no network."""
    if request.wanted is None or request.full or request.download_only:
        return None
    return names.find_record(state, room.booted(), request.wanted)


def _offer(room: Room, state: State, wanted: str | None) -> tuple[State, Offer]:
    """What the remote says; without the network, the download that is here."""
    if room.offline and state.download:
        offer = state.download.offer
        if wanted in (None, "available", offer.version, offer.commit, offer.tag_name):
            log = room.accepted(state)
            if log is not None:
                now = room.device_time(state)
                channel.check_time(log.entry, now, room.synchronised_clock())
            return state, offer
    return find_offer(room, state, wanted)


def _use_kept(room: Room, state: State, record: Record, request: Request) -> Applied:
    running = room.running(state)
    if running and record.id == running.id:
        return Applied("nothing", record, f"{safe(record.version)} runs already")
    surveyed = look.survey(room, state)
    try:
        _verify_kept(room, state, record, request)
    except UntrustedError as error:
        if error.check == "F2":  # it lost files here
            error.hint = f"Bring back: osupdate verify --repair {safe(record.version)}"
        raise
    if request.dry_run or not request.arm:
        return Applied("staged", record, f"{safe(record.version)} is laid out already")
    compared = between.kept_report(room, state, record)
    preview = Preview(
        running=running,
        version=record.version,
        commit=record.commit,
        headline=record.headline,
        received=0,
        written_files=0,
        written_bytes=0,
        kept_files=0,
        local_changes=changes_of(surveyed, running),
        notices=("It is on this machine already; nothing is fetched.",),
        report=diff_text.summary(compared.report),
        summary=one_line(compared.report),
    )
    if not room.watcher.consent(preview):
        return Applied("declined", record, "Declined. Nothing was changed.")
    state = room.save(machine.move(state, Phase.STAGED, record.id))
    return switch.to(room, state, record)


def _verify_kept(room: Room, state: State, record: Record, request: Request) -> None:
    """Hold a deployment that is here to the same checks as one that is fetched.

    It may have been taken under another trust mode, or its key revoked since.

    Raises:
        UntrustedError: R1 to F4.
    """
    tag_name = f"release/{record.version}" if record.tag else None
    remote = room.remote(state)
    offer = Offer(
        url=remote.url,
        channel=remote.channel,
        ref=f"refs/tags/{tag_name}" if tag_name else record.commit,
        commit=record.commit,
        tag=record.tag,
        tag_name=tag_name,
        version=record.version,
    )
    candidate = Candidate(offer, None)
    target = [look.survey_one(room, record)]
    with opened(room, candidate, target) as objects:
        check_release(
            room,
            state,
            candidate,
            objects,
            target,
            allow_downgrade=request.allow_downgrade,
        )


def _bring(
    room: Room, state: State, offer: Offer, request: Request, *, complete: bool
) -> Applied:
    surveyed = look.survey(room, state)
    candidate = download(room, state, offer, surveyed, complete=complete)
    pending = Download(
        offer, os.path.basename(os.path.dirname(candidate.objects or ""))
    )
    state = room.save(replace(state, download=pending))
    with opened(room, candidate, surveyed) as objects:
        release = check_release(
            room,
            state,
            candidate,
            objects,
            surveyed,
            allow_downgrade=request.allow_downgrade,
        )
        keep_objects(room, release, objects)
        recall.remember(room, state, release, objects)
        plan = plan_of(room, release, objects, surveyed, full=request.full)
        require_space(room, plan)
        if request.download_only:
            text = f"{safe(release.version)} is downloaded and verified"
            return Applied("downloaded", None, f"{text}. Nothing else was changed.")
        shown = _show(room, state, release, plan, candidate, objects, surveyed)
        if request.dry_run or not room.watcher.consent(shown):
            outcome = "dry-run" if request.dry_run else "declined"
            return Applied(outcome, None, _not_done(release, plan, request, shown))
        state, record = lay_out(room, state, release, plan, candidate, surveyed)
    discard(candidate)
    state = room.save(replace(state, download=None))
    if not request.arm:
        text = f"Staged: {safe(record.version)} is laid out; {_still(room, state)}."
        return Applied("staged", record, f"{text} Switch: osupdate apply staged")
    return switch.to(room, state, record)


def _show(
    room: Room,
    state: State,
    release: Release,
    plan: Plan,
    candidate: Candidate,
    objects: Objects,
    surveyed: Sequence[Surveyed],
) -> Preview:
    """What the person decides on; everybody may read the report of it later."""
    running = room.running(state)
    compared = between.release_report(room, state, release, objects, candidate.received)
    public.show_report(room.layout, compared.for_everybody())
    return Preview(
        running=running,
        version=release.version,
        commit=release.commit,
        headline=release.headline,
        received=candidate.received,
        written_files=len(plan.writes),
        written_bytes=plan.written_bytes,
        kept_files=len(plan.keeps),
        local_changes=changes_of(surveyed, running),
        notices=(*release.notices, *_left_behind(room, objects, surveyed)),
        report=diff_text.summary(compared.report),
        summary=one_line(compared.report),
    )


def _left_behind(
    room: Room, objects: Objects, surveyed: Sequence[Surveyed]
) -> tuple[str, ...]:
    """What people wrote into the seeds of the running deployment, in a sentence."""
    if not surveyed:
        return ()
    one, seeds = surveyed[-1], room.seeds
    told = look.manifest_of(one.index, objects)
    beside = [path for path, meta in told.items() if meta.type]
    written = collect.written_seeds(one.path, one.index.rows, beside, seeds)
    if not written:
        return ()
    count = plural(len(written), "path")
    return (
        f"{count} below persistent directories were written in "
        f"{safe(one.record.version)} ({show_path(written[0])} is one) and stay there: "
        f"what outlives an update belongs in {room.layout.data('/')}",
    )


def changes_of(
    surveyed: Sequence[Surveyed], running: Record | None
) -> tuple[LocalChange, ...]:
    """What somebody changed in the deployment that runs."""
    found = [one for one in surveyed if running and one.record.id == running.id]
    return found[0].changes if found else ()


def _not_done(release: Release, plan: Plan, request: Request, shown: Preview) -> str:
    if not request.dry_run:
        return "Declined. Nothing was changed."
    return (
        f"{shown.report}\nDry run: {safe(release.version)} would write "
        f"{plural(len(plan.writes), 'file')} ({size(plan.written_bytes)}) and share "
        f"{len(plan.keeps):,}. Nothing that runs was changed."
    )


def _still(room: Room, state: State) -> str:
    running = room.running(state)
    return f"{safe(running.version)} still runs" if running else "nothing runs yet"
