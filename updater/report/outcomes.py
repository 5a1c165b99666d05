"""What the other verbs found or did, for people: lines, answer first."""

from collections.abc import Sequence

from updater.core.text import plural, safe, safe_lines, show_path, size
from updater.core.times import minute
from updater.model import (
    Accepted,
    Applied,
    Checked,
    Collected,
    Finding,
    Followed,
    Hold,
    LedgerEntry,
    LocalChange,
    Preview,
    Reverted,
    Verified,
)
from updater.report.status import count_of_changes, offered

MAX_PATHS = 20  # listed; more are counted


def check(checked: Checked) -> list[str]:
    """The answer of `check`."""
    if checked.available is None:
        return [_sentence(checked.why)]
    offer = checked.available
    if checked.obstacle is not None:
        where = f"{offered(offer)} is available in {safe(offer.channel, 80)}"
        first = f"On hold: {where}, and not taken here"
        if checked.obstacle.kind == "turn":
            first = f"Update on its way: {where}, not yet for this machine"
        lines = [first]
        lines.append(f"  {_sentence(checked.obstacle.text)}")
        return [*lines, *([checked.obstacle.hint] if checked.obstacle.hint else [])]
    lines = [f"Update available: {offered(offer)} in {safe(offer.channel, 80)}"]
    if offer.headline:
        lines.append(f"  {safe(offer.headline, 200)}")
    if checked.why:
        lines.append(f"  {safe(checked.why, 400)}")
    return [
        *lines,
        "See what changes: osupdate apply --dry-run     Take it: osupdate apply",
    ]


def followed(found: Followed) -> list[str]:
    """The answer of `channel`."""
    name = safe(found.channel, 80)
    if found.before is None:
        lines = [f"This machine follows {name}"]
    elif found.before == found.channel:
        lines = [f"This machine follows {name}, as before"]
    else:
        lines = [f"This machine follows {name} now; it was {safe(found.before, 80)}"]
    if found.channel != found.configured:
        lines.append(f"  chosen here; configured is {safe(found.configured, 80)}")
    if found.log is not None:
        lines += [f"  {line}" for line in _said(found.log)]
    if found.checked is not None:
        lines += check(found.checked)
    return lines


def _said(log: Accepted) -> list[str]:
    entry = log.entry
    lines = [
        f"entry {entry.number} of {minute(entry.created)}, expires "
        f"{minute(entry.expires)}",
        f"offers {safe(entry.release, 80)} (number {log.release_number}) of "
        f"{safe(entry.product, 80)}",
    ]
    for marks, what in (
        (entry.barriers, "is a barrier"),
        (entry.dead_ends, "is a dead end"),
        (entry.withdrawn, "is withdrawn"),
    ):
        lines += [f"number {m.number} {what}: {safe(m.reason, 500)}" for m in marks]
    for signer in log.signers:
        until = f" until {minute(signer.until)}" if signer.until else ""
        lines.append(f"{signer.what} signed by {safe(signer.key, 200)}{until}")
    return lines


def preview(shown: Preview) -> list[str]:
    """What a person reads before consent; the report names both releases."""
    if shown.report:
        lines = safe_lines(shown.report).rstrip("\n").split("\n")
    else:
        before = safe(shown.running.version, 80) if shown.running else "nothing"
        lines = [f"{before} -> {safe(shown.version, 80)} ({shown.commit[:7]})"]
    lines += [""] if shown.report else []
    if shown.headline:
        lines.append(f"RELEASE    {safe(shown.headline, 200)}")
    if shown.summary:
        lines.append(f"CHANGES    {safe(shown.summary, 400)}")
    lines.append(
        f"DISK       +{size(shown.written_bytes)} now: "
        f"{plural(shown.written_files, 'file')} written, {shown.kept_files:,} shared "
        "with what is here"
    )
    if shown.local_changes:
        count = count_of_changes(len(shown.local_changes))
        lines.append(f"! {count} that runs; the changes stay there")
        lines += _changes(shown.local_changes)
    return lines + [f"! {safe(notice, 400)}" for notice in shown.notices]


def applied(outcome: Applied) -> list[str]:
    """The outcome of `apply`."""
    return safe_lines(outcome.text).split("\n")


def reverted(outcome: Reverted) -> list[str]:
    """The outcome of `revert`."""
    lines = safe_lines(outcome.text).split("\n")
    if outcome.held is not None:
        version = safe(outcome.held.version, 80)
        lines.append(
            f"Held: {version} is skipped until a newer release, or: "
            f"osupdate unhold {version}"
        )
    return lines


def history(entries: Sequence[LedgerEntry], limit: int | None) -> list[str]:
    """The ledger, newest first."""
    newest = list(reversed(entries))[:limit]
    if not newest:
        return ["Nothing has happened here yet"]
    width = max(len(safe(entry.event, 20)) for entry in newest)
    width = max(width, len("EVENT"))
    lines = [f"{'WHEN (UTC)':<16}  {'EVENT':<{width}}  WHAT"]
    for entry in newest:
        when = minute(entry.at).removesuffix(" UTC")
        first, *more = safe_lines(entry.text).split("\n")
        actor = f"  (by {safe(entry.actor, 80)})" if entry.actor else ""
        lines.append(f"{when}  {safe(entry.event, 20):<{width}}  {first}{actor}")
        lines += [f"{'':<{width + 20}}{line}" for line in more]
    return lines


def verified(outcome: Verified) -> list[str]:
    """The outcome of `verify`, one deployment."""
    record = outcome.record
    name = f"{safe(record.version, 80)} ({record.commit[:7]})"
    counts = f"{plural(outcome.files, 'file')}, {outcome.hashed:,} hashed"
    repaired = set(outcome.repaired)
    left = [change for change in outcome.changes if change.path not in repaired]
    if not outcome.changes:
        return [f"{name} is as it was released ({counts})"]
    lines = [f"{name}: {count_of_changes(len(outcome.changes))} ({counts})"]
    lines += _changes(outcome.changes)
    if repaired:
        lines.append(f"Repaired {plural(len(repaired), 'path')}, {len(left)} left")
    else:
        lines.append(f"Bring back: osupdate verify {safe(record.version)} --repair")
    if left:
        lines.append("Never changed: /etc, persistent directories, and what is extra")
    return lines


def collected(outcome: Collected, *, dry_run: bool) -> list[str]:
    """The outcome of `gc`."""
    if not outcome.removed:
        lines = ["Nothing to remove"]
    else:
        verb = "Would remove" if dry_run else "Removed"
        many = plural(len(outcome.removed), "deployment")
        lines = [f"{verb} {many}, {size(outcome.freed)}"]
    for record in outcome.removed:
        staged = minute(record.staged_at)
        lines.append(f"  {safe(record.version, 80)}  {record.id}  staged {staged}")
    return lines + [f"! {safe(reason, 400)}" for reason in outcome.kept]


def held(hold: Hold | None, reason: str) -> list[str]:
    """The outcome of `hold`."""
    if hold is None:
        return [
            f"Held: no release is taken here ({safe(reason, 200)})",
            "Until: osupdate unhold",
        ]
    version = safe(hold.version, 80)
    return [
        f"Held: {version} is not taken here ({safe(hold.reason, 200)})",
        f"Until: a newer release, or osupdate unhold {version}",
    ]


def unheld(holds: Sequence[Hold]) -> list[str]:
    """The outcome of `unhold`."""
    if not holds:
        return ["No release is held any more"]
    names = ", ".join(safe(hold.version, 80) for hold in holds)
    return [f"No longer held: {names}"]


def pinned(version: str | None) -> list[str]:
    """The outcome of `pin`."""
    if version is None:
        return ["Not pinned: newer releases are taken again"]
    return [
        f"Pinned: this machine stays on {safe(version, 80)}",
        "Until: osupdate pin --off",
    ]


def findings(found: Sequence[Finding]) -> list[str]:
    """The answer of `doctor`: problems first."""
    order = ("problem", "warning", "ok")
    problems = sum(finding.level == "problem" for finding in found)
    warnings = sum(finding.level == "warning" for finding in found)
    if problems or warnings:
        head = f"{plural(problems, 'problem')}, {plural(warnings, 'warning')}"
    else:
        head = "No problem found"
    lines = [head, ""]
    for finding in sorted(found, key=lambda item: order.index(item.level)):
        topic = safe(finding.topic, 40)
        lines.append(f"{finding.level:<8} {topic:<12} {safe(finding.text, 400)}")
        if finding.hint:
            lines.append(f"{'':<22}{safe(finding.hint, 400)}")
    return lines


def _changes(changes: Sequence[LocalChange]) -> list[str]:
    lines = [f"  {c.kind:<9} {show_path(c.path)}" for c in changes[:MAX_PATHS]]
    if len(changes) > MAX_PATHS:
        lines.append(f"  ... {len(changes) - MAX_PATHS:,} more")
    return lines


def _sentence(words: str) -> str:
    shown = safe(words, 400)
    return shown[:1].upper() + shown[1:]
