"""The rules of the reboot lock: a group and a request in, a group and an answer out.

Whatever happens, no more nodes are granted the lock than there are slots. A slot is
kept for the nodes that waited longest, as long as they are heard; nobody who keeps
asking waits for ever. A node that announced what it will boot releases only with the
word that it did, or that it failed.
"""

from msgspec.structs import replace

from updater.core.fleet import (
    KNOWN_HOLDS,
    Answer,
    Ask,
    Entry,
    Group,
    Holder,
    Kind,
    Moment,
    Node,
    Proof,
    Step,
    Verdict,
    without_holder,
)
from updater.core.outlook import SOON, expected
from updater.core.text import plural
from updater.core.waiting import Place

SELDOM = 300  # seconds: the most that Retry-After says; the least is SOON
MOST_WAITING = 50_000  # nodes of one group


def lock(group: Group, node: Node | None, ask: Ask, moment: Moment) -> Step:
    """A node wants to go down.

    Args:
        group: as it is.
        node: what is remembered of the one that asks.
        ask: what it sent.
        moment: the time.
    """
    holder = group.holder(ask.id)
    if _is_stale(ask.request, holder, node):
        text = "a request with this number or a later one has been released already"
        return _refusal(group, Kind.STALE, text, ask, moment)
    if holder is not None:
        return Step(_heard_again(group, holder, ask, moment), Answer(Kind.OK))
    if group.drain is None and _is_next(group, ask.id, moment):
        return _grant(group, node, ask, moment)
    return _wait(group, ask, moment)


def unlock(group: Group, node: Node | None, proof: Proof, moment: Moment) -> Step:
    """A node is up, or no longer wants to go down.

    Args:
        group: as it is.
        node: what is remembered of the one that asks.
        proof: what it sent.
        moment: the time.
    """
    holder = group.holder(proof.id)
    if holder is None:
        return _nothing_held(group, node, proof, moment)
    if _is_stale(proof.request, holder, node):
        text = "this release is of an earlier request than the one that holds the lock"
        return _refusal(group, Kind.STALE, text, proof, moment)
    if missing := _unproved(holder, proof):
        return _refusal(group, Kind.NOT_PROVED, missing, proof, moment)
    held = max(0, moment.now - holder.since)
    entry = Entry(
        moment.now,
        "released",
        group.name,
        proof.id,
        proof.name or holder.name,
        _verdict_words(proof.verdict),
        proof.actor,
        holder.origin,
        holder.target,
        proof.booted,
        proof.verdict or "",
        held,
    )
    known = _remember(node, proof, moment, holder)
    if proof.verdict in (None, Verdict.GOOD):
        group = replace(group, holds=(*group.holds, held)[-KNOWN_HOLDS:])
    return Step(without_holder(group, proof.id), Answer(Kind.OK), (entry,), known)


def _is_stale(request: int | None, holder: Holder | None, node: Node | None) -> bool:
    if request is None:
        return False
    if holder is not None and holder.request is not None:
        return request < holder.request
    return node is not None and node.request is not None and request <= node.request


def _is_next(group: Group, wanted: str, moment: Moment) -> bool:
    """Whether a slot is free that is not kept for somebody before this node."""
    if group.free < 1:
        return False
    kept = 0
    for place in group.queue:
        if place.id == wanted:
            break
        kept += not place.is_late(moment.silence(place.seen))
        if kept >= group.free:
            return False
    return True


def _grant(group: Group, node: Node | None, ask: Ask, moment: Moment) -> Step:
    place = group.queue.get(ask.id)
    since = place.since if place else moment.now
    holder = Holder(
        id=ask.id,
        since=moment.now,
        seen=moment.now,
        name=ask.name,
        why=ask.why,
        origin=ask.origin,
        target=ask.target,
        phase=ask.phase,
        request=ask.request,
    )
    made = replace(
        group,
        holders=tuple(sorted((*group.holders, holder), key=lambda h: h.id)),
        queue=group.queue.without(ask.id),
    )
    entry = Entry(
        moment.now,
        "granted",
        group.name,
        ask.id,
        ask.name,
        ask.why,
        ask.actor,
        ask.origin,
        ask.target,
        seconds=max(0, moment.now - since),
    )
    known = node or Node(ask.id, moment.now)
    known = replace(
        known,
        seen=moment.now,
        name=ask.name or known.name,
        release=ask.origin or known.release,
    )
    return Step(made, Answer(Kind.OK), (entry,), known)


def _heard_again(group: Group, holder: Holder, ask: Ask, moment: Moment) -> Group:
    """The holder with what it says now; what it announced once stays announced."""
    heard = replace(
        holder,
        seen=moment.now,
        name=ask.name or holder.name,
        why=ask.why or holder.why,
        origin=ask.origin or holder.origin,
        target=ask.target or holder.target,
        phase=ask.phase,
        request=holder.request if ask.request is None else ask.request,
    )
    holders = tuple(heard if h.id == heard.id else h for h in group.holders)
    return replace(group, holders=holders)


def _wait(group: Group, ask: Ask, moment: Moment) -> Step:
    known = group.queue.get(ask.id)
    if known is None and len(group.queue) >= MOST_WAITING:
        text = f"{plural(MOST_WAITING, 'node')} wait already"
        return Step(group, Answer(Kind.QUEUE_FULL, text, SELDOM))
    rank = len(group.queue) if known is None else group.queue.rank(known)
    until = expected(group, rank, moment.now)
    retry = SELDOM if until is None else min(max(SOON, until // 2), SELDOM)
    place = _place(group, known, ask, moment, retry)
    made = replace(group, queue=group.queue.put(place))
    kind, text = _why_not(group)
    answer = Answer(kind, text, retry, rank + 1, len(made.queue), until)
    if known is not None:
        return Step(made, answer)
    entry = Entry(
        moment.now,
        "waiting",
        group.name,
        ask.id,
        ask.name,
        text,
        ask.actor,
        ask.origin,
        ask.target,
    )
    return Step(made, answer, (entry,))


def _place(
    group: Group, known: Place | None, ask: Ask, moment: Moment, retry: int
) -> Place:
    if known is None:
        return Place(
            id=ask.id,
            ticket=group.queue.next_ticket,
            since=moment.now,
            seen=moment.now,
            interval=max(retry, group.settings.poll),
            name=ask.name,
            why=ask.why,
            origin=ask.origin,
            target=ask.target,
        )
    gap = min(moment.silence(known.seen), 3600)
    return replace(
        known,
        seen=moment.now,
        # One quick poll does not make a slow node late.
        interval=max(retry, gap, known.interval * 3 // 4),
        name=ask.name or known.name,
        why=ask.why or known.why,
        origin=ask.origin or known.origin,
        target=ask.target or known.target,
    )


def _why_not(group: Group) -> tuple[Kind, str]:
    if group.drain is not None:
        return Kind.DRAINING, f"no reboots in this group: {group.drain.reason}"
    if group.settings.slots < 1:
        return Kind.LOCK_HELD, "this group has no slots"
    if group.free > 0:
        return Kind.LOCK_HELD, "a slot is kept for a node that waited longer"
    names = ", ".join(holder.name or holder.id for holder in group.holders[:3])
    more = len(group.holders) - 3
    names += f" and {more} more" if more > 0 else ""
    return (
        Kind.LOCK_HELD,
        f"{plural(group.settings.slots, 'slot')} held by {names}",
    )


def _refusal(
    group: Group, kind: Kind, text: str, request: Ask | Proof, moment: Moment
) -> Step:
    entry = Entry(
        moment.now,
        "refused",
        group.name,
        request.id,
        request.name,
        f"{kind}: {text}",
        request.actor,
    )
    return Step(group, Answer(kind, text), (entry,))


def _unproved(holder: Holder, proof: Proof) -> str:
    """Why the word of a node is not enough, or nothing."""
    if not holder.target:
        return ""
    if not proof.booted or proof.verdict is None:
        return (
            f"{holder.target} was announced; a release must say what was booted "
            "(Osupdate-Booted) and how that went (Osupdate-Verdict)"
        )
    arrived = proof.booted == holder.target
    if proof.verdict is Verdict.GOOD and not arrived:
        return f"{holder.target} was announced, but {proof.booted} was booted"
    if proof.verdict is Verdict.UNCHANGED and arrived:
        return f"{holder.target} was announced and booted: that is not unchanged"
    return ""


def _nothing_held(
    group: Group, node: Node | None, proof: Proof, moment: Moment
) -> Step:
    """Released or never held: that is fine, and an old word changes nothing."""
    if _is_stale(proof.request, None, node):
        return Step(group, Answer(Kind.OK))
    entries: tuple[Entry, ...] = ()
    place = group.queue.get(proof.id)
    if place is not None:
        waited = max(0, moment.now - place.since)
        entry = Entry(
            moment.now,
            "withdrawn",
            group.name,
            proof.id,
            place.name,
            "no longer wants to reboot",
            proof.actor,
            seconds=waited,
        )
        entries = (entry,)
        group = replace(group, queue=group.queue.without(proof.id))
    return Step(group, Answer(Kind.OK), entries, _remember(node, proof, moment, None))


def _remember(
    node: Node | None, proof: Proof, moment: Moment, holder: Holder | None
) -> Node:
    known = node or Node(proof.id, moment.now)
    done = proof.request
    if done is None and holder is not None:
        done = holder.request
    return Node(
        id=proof.id,
        seen=moment.now,
        name=proof.name or known.name or (holder.name if holder else ""),
        release=proof.booted or known.release,
        verdict=proof.verdict or known.verdict,
        request=known.request if done is None else done,
    )


def _verdict_words(verdict: Verdict | None) -> str:
    match verdict:
        case None:
            return "is up; announced nothing"
        case Verdict.GOOD:
            return "is up and healthy"
        case Verdict.FAILED:
            return "is up, but the new release FAILED"
        case Verdict.UNCHANGED:
            return "gave the lock back without a reboot"
