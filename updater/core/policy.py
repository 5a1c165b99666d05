"""What this machine takes: checks R3, R4, R5 and F4 of DESIGN section 3.6, as rules."""

from collections.abc import Iterable, Mapping

from updater.core.statements import TAG_PREFIX
from updater.core.text import safe, show_path
from updater.errors import UntrustedError
from updater.model import (
    Accepted,
    Hold,
    MachineFacts,
    Mark,
    Metadata,
    ObjectId,
    Obstacle,
    Offer,
    Record,
    State,
    Tag,
    TreeEntry,
)

# The updater's own places in a deployment (DESIGN 6.1); a release has nothing there.
OWN_PLACES = (b".osupdate-etc", b"boot/osupdate")


def device_time(clock: int, built: int, accepted: int) -> int:
    """The time that signatures are judged at: a clock set back does not revive a key.

    Args:
        clock: of the system.
        built: when the running OS was made.
        accepted: `created` of the last release that was accepted.
    """
    return max(clock, built, accepted)


def check_identity(
    tag: Tag, offer: Offer, product: str | None, arch: str | None
) -> None:
    """Hold a tag to its own name, to what was asked for, and to this machine.

    Args:
        tag: its signature has been verified.
        offer: what the remote called it.
        product: of this machine; None is not compared.
        arch: of this machine; None is not compared.

    Raises:
        UntrustedError: R3.
    """
    expected = TAG_PREFIX + tag.version
    if tag.name != expected:
        raise _wrong("name inside the release tag", expected, tag.name)
    offered = (offer.tag_name or expected).removeprefix("refs/tags/")
    if offered != expected:
        raise _wrong(f"tag {safe(offered, 100)}", offered, tag.name)
    if offer.version is not None and offer.version != tag.version:
        raise _wrong("version in the release tag", offer.version, tag.version)
    if product is not None and tag.product != product:
        raise _wrong("product", product, tag.product)
    if arch is not None and tag.arch != arch:
        raise _wrong("architecture", arch, tag.arch)


def check_order(
    version: str, number: int, floor: int, commit: ObjectId, facts: MachineFacts
) -> None:
    """Refuse to go back, unless asked to; never go below a security floor.

    Args:
        version: of the release, for the message.
        number: what orders releases.
        floor: the security floor that the release itself announces.
        commit: of the release; the running one may be laid out again.
        facts: of this machine.

    Raises:
        UntrustedError: R4.
    """
    name = f"release {safe(version, 100)} (number {number})"
    if floor > number:
        raise UntrustedError("R4", f"{name} has security floor {floor}, above itself")
    if number < facts.security_floor:
        raise UntrustedError(
            "R4",
            f"{name} is below the security floor of this machine, "
            f"{facts.security_floor}",
        )
    running = facts.running_number
    if running is None or facts.allow_downgrade or commit == facts.running_commit:
        return
    if number < facts.version_floor and running < facts.version_floor:
        raise UntrustedError(
            "R4",
            f"{name} is below the version floor of this machine, "
            f"{facts.version_floor}: a newer release proved itself here",
            hint=f"To take it on purpose: osupdate apply {safe(version, 100)} "
            "--allow-downgrade",
        )
    if number < running:
        raise UntrustedError(
            "R4",
            f"{name} is older than the running one (number {running})",
            hint=f"To go back on purpose: osupdate apply {safe(version, 100)} "
            "--allow-downgrade",
        )


def check_number_is_new(
    version: str, number: int, commit: ObjectId, facts: MachineFacts
) -> None:
    """Refuse a second release under the number of the running one.

    Raises:
        UntrustedError: R4.
    """
    if facts.allow_downgrade or commit == facts.running_commit:
        return
    if number == facts.running_number:
        raise UntrustedError(
            "R4",
            f"release {safe(version, 100)} has the number of the running release, "
            f"{number}, and other content: expected a larger number",
        )


def check_holds(version: str, commit: ObjectId, facts: MachineFacts) -> None:
    """Refuse what a person, or a failed trial, put on hold, and what a pin excludes.

    Raises:
        UntrustedError: R5.
    """
    name = safe(version, 100)
    for hold in _holds(facts, version, commit):
        raise UntrustedError(
            "R5",
            f"release {name} is held: {safe(hold.reason, 200)}",
            hint=f"To take it all the same: osupdate unhold {name}",
        )
    if facts.pin is not None and facts.pin not in (version, commit):
        raise UntrustedError(
            "R5",
            f"this machine is pinned to {safe(facts.pin, 100)}; {name} is another "
            "release",
            hint="To follow the channel again: osupdate pin --off",
        )


def _holds(facts: MachineFacts, version: str | None, commit: ObjectId) -> list[Hold]:
    return [h for h in facts.holds if h.commit == commit or h.version == version]


def check_way(version: str, number: int, facts: MachineFacts) -> None:
    """Refuse a release that the channel withdrew, and a way that the channel closed.

    Raises:
        UntrustedError: R5.
    """
    name = f"release {safe(version, 100)} (number {number})"
    mark = find_mark(facts.withdrawn, number)
    if mark is not None:
        raise UntrustedError("R5", f"{name} is withdrawn: {safe(mark.reason, 500)}")
    running = facts.running_number
    if running is None or number <= running:
        return
    mark = find_mark(facts.dead_ends, running)
    if mark is not None:
        raise UntrustedError(
            "R5",
            f"the running release (number {running}) is a dead end: no update leads "
            f"from it: {safe(mark.reason, 500)}",
        )
    mark = barrier_on_the_way(facts.barriers, running, number)
    if mark is not None:
        raise UntrustedError(
            "R5",
            f"{name} has a barrier on the way: number {mark.number} is to be taken "
            f"first: {safe(mark.reason, 500)}",
            hint="osupdate apply takes the barrier first, then this one",
        )


def find_mark(marks: Iterable[Mark], number: int) -> Mark | None:
    """What a channel says of one release."""
    return next((mark for mark in marks if mark.number == number), None)


def barrier_on_the_way(
    barriers: Iterable[Mark], running: int, number: int
) -> Mark | None:
    """The first release that has to be taken before `number`."""
    between = [mark for mark in barriers if running < mark.number < number]
    return min(between, key=lambda mark: mark.number, default=None)


def foresee(offer: Offer, number: int | None, facts: MachineFacts) -> None:
    """Refuse what R4 or R5 will refuse, as far as one can tell before the content.

    Args:
        offer: what the remote calls it; nothing of it is verified, so that this can
            only refuse.
        number: of the release; None when nobody here has read its tag.
        facts: of this machine.

    Raises:
        UntrustedError: R4, R5.
    """
    name = offer.version
    if name is None:
        # Its content will tell the date before the id; the pin may be that name.
        short = offer.commit[:7]
        name = facts.pin if (facts.pin or "").endswith(f"-{short}") else short
        name = name or short
    if number is not None:
        check_order(name, number, 0, offer.commit, facts)
        check_number_is_new(name, number, offer.commit, facts)
        check_way(name, number, facts)
    check_holds(name, offer.commit, facts)


def obstacle(
    state: State,
    running: Record | None,
    offer: Offer,
    log: Accepted | None = None,
    turn: str | None = None,
) -> Obstacle | None:
    """Why this machine will not take an offer by itself; None is no promise.

    Args:
        state: as saved.
        running: what the offer would replace.
        offer: what is proposed.
        log: what the channel says, in signed mode.
        turn: why it is not this machine's turn yet, in a sentence.
    """
    if state.paused is not None:
        return Obstacle(
            "paused",
            f"updates are on hold here: {safe(state.paused, 200)}",
            "To take updates again: osupdate unhold",
        )
    facts = facts_of(state, running, log=log)
    number = known_number(state, offer)
    try:
        foresee(offer, number, facts)
    except UntrustedError as error:
        kind = "older" if error.check == "R4" else _kind(offer, number, facts)
        return Obstacle(kind, error.reason, error.hint)
    if turn is not None:
        name = safe(offer.version or offer.commit[:7], 100)
        hint = f"To take it now: osupdate apply {name} --reason TEXT"
        return Obstacle("turn", f"{name} is being rolled out: {turn}", hint)
    return None


def _kind(offer: Offer, number: int | None, facts: MachineFacts) -> str:
    if number is not None and find_mark(facts.withdrawn, number):
        return "withdrawn"
    running = facts.running_number
    if running is not None and number is not None and number > running:
        if find_mark(facts.dead_ends, running):
            return "dead-end"
        if barrier_on_the_way(facts.barriers, running, number):
            return "barrier"
    return "held" if _holds(facts, offer.version, offer.commit) else "pinned"


def known_number(state: State, offer: Offer) -> int | None:
    """The number of what is offered, where it was here before."""
    here = (r.number for r in state.deployments if r.commit == offer.commit)
    return next(here, offer.number)


def facts_of(
    state: State,
    running: Record | None,
    *,
    allow_downgrade: bool = False,
    log: Accepted | None = None,
) -> MachineFacts:
    """What a machine holds a release against."""
    return MachineFacts(
        running_number=running.number if running else None,
        running_commit=running.commit if running else None,
        security_floor=state.security_floor,
        holds=state.holds,
        pin=state.pin,
        allow_downgrade=allow_downgrade,
        version_floor=state.version_floor,
        barriers=log.entry.barriers if log else (),
        dead_ends=log.entry.dead_ends if log else (),
        withdrawn=log.entry.withdrawn if log else (),
    )


def check_places(
    entries: Iterable[TreeEntry], metadata: Mapping[bytes, Metadata]
) -> None:
    """Refuse a release that has something in the updater's own places.

    Raises:
        UntrustedError: F4.
    """
    below = tuple(place + b"/" for place in OWN_PLACES)
    for path in (*(entry.path for entry in entries), *metadata):
        if path.startswith(below) or path in OWN_PLACES:
            raise UntrustedError(
                "F4", f"{show_path(path)} is a place of the updater, not of a release"
            )


def _wrong(what: str, expected: str, got: str) -> UntrustedError:
    return UntrustedError(
        "R3", f"wrong {what}: expected {safe(expected, 100)}, got {safe(got, 100)}"
    )
