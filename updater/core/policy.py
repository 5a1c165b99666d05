"""What this machine takes: checks R3, R4, R5 and F4 of DESIGN section 3.6, as rules."""

from collections.abc import Iterable, Mapping

from updater.core.statements import TAG_PREFIX
from updater.core.text import safe, show_path
from updater.errors import UntrustedError
from updater.model import (
    Hold,
    MachineFacts,
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
    check_holds(name, offer.commit, facts)


def obstacle(state: State, running: Record | None, offer: Offer) -> Obstacle | None:
    """Why this machine will not take an offer by itself; None is no promise."""
    if state.paused is not None:
        return Obstacle(
            "paused",
            f"updates are on hold here: {safe(state.paused, 200)}",
            "To take updates again: osupdate unhold",
        )
    facts = facts_of(state, running)
    try:
        foresee(offer, known_number(state, offer), facts)
    except UntrustedError as error:
        if error.check == "R4":
            kind = "older"
        else:
            kind = "held" if _holds(facts, offer.version, offer.commit) else "pinned"
        return Obstacle(kind, error.reason, error.hint)
    return None


def known_number(state: State, offer: Offer) -> int | None:
    """The number of what is offered, where it was here before."""
    here = (r.number for r in state.deployments if r.commit == offer.commit)
    return next(here, offer.number)


def facts_of(
    state: State, running: Record | None, *, allow_downgrade: bool = False
) -> MachineFacts:
    """What a machine holds a release against."""
    return MachineFacts(
        running_number=running.number if running else None,
        running_commit=running.commit if running else None,
        security_floor=state.security_floor,
        holds=state.holds,
        pin=state.pin,
        allow_downgrade=allow_downgrade,
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
