"""What people do to a group of the reboot lock; each needs a reason and has a name."""

from msgspec.structs import replace

from updater.core.fleet import (
    Answer,
    Drain,
    Entry,
    Group,
    GroupSettings,
    Kind,
    Moment,
    Step,
    without_holder,
)
from updater.core.text import plural


def force_release(
    group: Group, wanted: str, reason: str, actor: str, moment: Moment
) -> Step:
    """Take the slot of a holder, or the place of a node that waits, away."""
    holder, place = group.holder(wanted), group.queue.get(wanted)
    found = holder or place
    if found is None:
        text = f"this node neither holds nor waits for the lock of {group.name}"
        return Step(group, Answer(Kind.UNKNOWN_HOLDER, text))
    made = without_holder(group, wanted)
    made = replace(made, queue=made.queue.without(wanted))
    entry = Entry(
        moment.now,
        "forced",
        group.name,
        wanted,
        found.name,
        reason,
        actor,
        found.origin,
        found.target,
        seconds=max(0, moment.now - found.since),
    )
    what = "held" if holder else "waited for"
    return Step(made, Answer(Kind.OK, f"it {what} the lock"), (entry,))


def drain(group: Group, reason: str, actor: str, moment: Moment) -> Step:
    """Grant nothing more; who holds the lock keeps it."""
    entry = Entry(moment.now, "drained", group.name, reason=reason, actor=actor)
    made = replace(group, drain=Drain(moment.now, reason, actor))
    held = plural(len(group.holders), "node")
    return Step(made, Answer(Kind.OK, f"{held} may still be down"), (entry,))


def resume(group: Group, reason: str, actor: str, moment: Moment) -> Step:
    """Grant again; nothing to do when that is so already."""
    if group.drain is None:
        return Step(group, Answer(Kind.OK, "it was not drained"))
    entry = Entry(moment.now, "resumed", group.name, reason=reason, actor=actor)
    return Step(replace(group, drain=None), Answer(Kind.OK), (entry,))


def set_slots(
    group: Group, slots: int, reason: str, actor: str, moment: Moment
) -> Step:
    """Let more or fewer nodes be down at once; no holder loses its slot."""
    before = group.settings.slots
    settings = replace(group.settings, slots=slots)
    text = f"{before} -> {slots} slots: {reason}"
    entry = Entry(moment.now, "slots", group.name, reason=text, actor=actor)
    made = replace(group, settings=settings)
    over = -made.free
    note = (
        f"{plural(over, 'node')} more than that may still be down" if over > 0 else ""
    )
    return Step(made, Answer(Kind.OK, note), (entry,))


def configure(group: Group, settings: GroupSettings, moment: Moment) -> Step:
    """Apply what the configuration says, when it says something new.

    What a person changed since the configuration was last applied stays as it is, until
    the configuration itself changes.
    """
    if group.configured == settings:
        return Step(group, Answer(Kind.OK))
    made = replace(group, settings=settings, configured=settings)
    if made.settings == group.settings:
        return Step(made, Answer(Kind.OK))
    text = f"{plural(settings.slots, 'slot')}, overdue: {settings.overdue}"
    entry = Entry(moment.now, "configured", group.name, reason=text)
    return Step(made, Answer(Kind.OK), (entry,))
