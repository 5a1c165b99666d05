"""`status` for people: the answer first, then the deployments, then the reasons."""

from enum import StrEnum

from updater.core import policy, rollout
from updater.core.text import plural, safe
from updater.core.times import ago, minute, short
from updater.model import Obstacle, Offer, Phase, Record, Status, TrustMode
from updater.report.layout import clip, wrap

STALE_AFTER = 2 * 86400  # seconds without a good check, after which "newest" is a guess
_WIDTH = 80
_ROOM = _WIDTH - 10  # columns beside the names of facts
_TOLD_ELSEWHERE = ("paused", "held", "pinned", "turn")  # kinds of obstacles
DOT = "●"


class Condition(StrEnum):
    """How things stand, in a word."""

    EMPTY = "empty"
    UNKNOWN = "unknown"
    FAILING = "failing"
    STALE = "stale"
    CURRENT = "current"
    AVAILABLE = "available"
    HELD = "held"
    STAGED = "staged"
    ARMED = "armed"
    REBOOTING = "rebooting"
    TRIAL = "trial"
    REVERTING = "reverting"


EXIT_CODES = {
    Condition.AVAILABLE: 100,
    Condition.STAGED: 101,
    Condition.ARMED: 101,
    Condition.REBOOTING: 101,
    Condition.HELD: 102,
    Condition.UNKNOWN: 4,
    Condition.FAILING: 4,
    Condition.STALE: 4,
}
"""Of `status --exit-code`; every other condition is 0. Not knowing is not fine."""


def condition(status: Status) -> Condition:
    """How things stand: a transition before an offer, doubt before calm."""
    if status.running is None:
        return Condition.EMPTY
    phase = status.state.phase
    if phase is not Phase.IDLE and not (phase is Phase.STAGED and is_expired(status)):
        return Condition(phase.value)
    last = status.state.last_check
    if is_expired(status):
        return Condition.STALE
    if last is None:
        return Condition.UNKNOWN
    if last.error is not None:
        return Condition.FAILING
    if status.available is not None:
        held = obstacle(status) is not None
        return Condition.HELD if held else Condition.AVAILABLE
    if status.now - (status.state.last_success_at or 0) > STALE_AFTER:
        return Condition.STALE
    return Condition.CURRENT


def is_expired(status: Status) -> bool:
    """Whether what the channel said last does not count any more."""
    log = status.log
    return log is not None and status.device_time >= log.entry.expires


def obstacle(status: Status) -> Obstacle | None:
    """Why what is available will not be taken here."""
    if status.available is None:
        return None
    return policy.obstacle(
        status.state, status.running, status.available, status.log, status.turn
    )


def offered(offer: Offer) -> str:
    """What an offer is called before its content is here."""
    version = safe(offer.version, 80) if offer.version else "commit"
    return f"{version} ({offer.commit[:7]})"


def summary(status: Status) -> str:
    """The first line: how things stand."""
    if status.trouble is not None:
        runs = safe(status.running.version) if status.running else "nothing"
        return f"PROBLEM: {status.trouble}; {runs} runs"
    running = safe(status.running.version) if status.running else ""
    target = safe(status.target.version) if status.target else "a release"
    channel = safe(status.channel, 80)
    checked = _checked(status)
    offer = offered(status.available) if status.available else ""
    since = status.state.last_success_at
    for_how_long = f"for {short(max(0, status.now - since))}" if since else "yet"
    texts = {
        Condition.EMPTY: "No release is deployed here yet",
        Condition.UNKNOWN: f"Not checked yet: cannot tell if {running} is current",
        Condition.FAILING: f"PROBLEM: no successful check {for_how_long} - "
        "cannot tell if this is current",
        Condition.STALE: _stale(status, running, channel, checked),
        Condition.CURRENT: f"Up to date: {running} is the newest in {channel} "
        f"({checked})",
        Condition.AVAILABLE: f"Update available: {offer} in {channel} ({checked})",
        Condition.HELD: _held(status, offer, channel),
        Condition.STAGED: f"Update staged: {target} is laid out, {running} runs",
        Condition.ARMED: f"Update armed: {target} is next, {running} runs",
        Condition.REBOOTING: f"Rebooting into {target}",
        Condition.TRIAL: f"On trial: {target} has to prove itself",
        Condition.REVERTING: f"Going back to {target}",
    }
    return texts[condition(status)]


def _stale(status: Status, running: str, channel: str, checked: str) -> str:
    if status.log is not None and is_expired(status):
        return (
            f"STALE: what {channel} said expired {minute(status.log.entry.expires)} - "
            f"cannot tell if {running} is current"
        )
    return (
        f"STALE: {running} was the newest in {channel} when last {checked} - cannot "
        "tell if it still is"
    )


def _held(status: Status, offer: str, channel: str) -> str:
    why = obstacle(status)
    if why is not None and why.kind == "turn":
        return f"Update on its way: {offer} in {channel}; {status.turn}"
    return f"On hold: {offer} is available in {channel}, and not taken here"


def one_line(status: Status) -> str:
    """For a prompt or motd: `status --short`."""
    running = safe(status.running.version) if status.running else "nothing deployed"
    how = condition(status)
    if status.trouble is not None:
        return f"osupdate: {running}, what it remembers is broken"
    if how is Condition.AVAILABLE or how is Condition.HELD:
        assert status.available is not None
        version = safe(status.available.version or status.available.commit[:7], 80)
        return f"osupdate: {running} -> {version} {how}"
    if status.target is not None and how is not Condition.EMPTY:
        return f"osupdate: {running} -> {safe(status.target.version)} {how}"
    if how is Condition.CURRENT:
        return f"osupdate: {running}, up to date ({_checked(status)})"
    return f"osupdate: {running}, {how}"


def text(status: Status) -> list[str]:
    """The whole page."""
    lines = [summary(status), ""]
    deployments = _deployments(status)
    if deployments:
        lines += [*deployments, ""]
    lines += [f"{name:<9} {line}".rstrip() for name, line in _facts(status)]
    if status.trouble is not None:
        return [*lines, "Go back: osupdate revert     More: osupdate doctor"]
    return [*lines, *_next(status)]


def _told(name: str, words: str) -> list[tuple[str, str]]:
    """A fact that is a sentence, and may take several lines."""
    lines = wrap(words, "", _ROOM)
    return [(name if not place else "", line) for place, line in enumerate(lines)]


def _checked(status: Status) -> str:
    since = status.state.last_success_at
    return f"checked {ago(since, status.now)}" if since else "never checked"


def _deployments(status: Status) -> list[str]:
    shown: dict[str, tuple[Record, str]] = {}
    rows = [(status.running, "running"), (status.target, str(status.state.phase))]
    rows += [(status.previous, "kept for revert")]
    rows += [(record, "kept") for record in status.kept]
    for record, role in rows:
        if record is not None:
            shown.setdefault(record.id, (record, role))
    width = max((len(safe(r.version, 80)) for r, _ in shown.values()), default=0)
    lines = []
    for record, role in shown.values():
        mark = DOT if record.id == status.booted else " "
        trust = "signed" if record.signed else "UNSIGNED"
        when = (
            f"staged {minute(record.staged_at)} ({ago(record.staged_at, status.now)})"
        )
        lines.append(
            f"{mark} {safe(record.version, 80):<{width}}  {record.commit[:7]}  "
            f"{role}, {when}, {trust}"
        )
        below = f"  {'':<{width}}           "
        if record.headline:
            lines.append(below + safe(record.headline, 200))
        if status.brief and record is status.target:
            line, *warnings = status.brief
            lines += wrap(safe(line, 400), below, _WIDTH)
            lines += [clip(f"{below}! {safe(one, 400)}", _WIDTH) for one in warnings]
    return lines


def _facts(status: Status) -> list[tuple[str, str]]:
    state = status.state
    rows = []
    last = state.last_check
    if last is not None and last.error is not None:
        rows += _told("Last try", f"{minute(last.at)}: {safe(last.error, 400)}")
        good = minute(state.last_success_at) if state.last_success_at else "never"
        rows.append(("Last good", good))
    rows += _available(status)
    rows.append(("Channel", _channel(status)))
    rows += _log(status)
    if status.waiting is not None:
        rows.append(("Waiting", safe(status.waiting.text, 400)))
        rows.append(("", "every gate: osupdate why     now: osupdate apply staged"))
    if status.doubts:
        rows.append(("Config", "has mistakes: osupdate config --check"))
    if "trust.mode" in status.doubts:
        rows.append(("Trust", "not known, see Config; no release is taken"))
    elif status.mode is TrustMode.UNSIGNED:
        text = "UNSIGNED: nobody vouches for what this repository says"
        rows.append(("Trust", text))
    rows += _limits(status)
    if status.unprivileged:
        rows.append(("Rights", "without root: owners, setuid, capabilities, devices"))
        rows.append(("", "of a release are not applied"))
    if status.enter_command:
        rows.append(("Enter", safe(status.enter_command, 1000)))
    return rows


def _available(status: Status) -> list[tuple[str, str]]:
    """What the offer changes, where its channel told and nothing else is staged."""
    if status.available is None or status.target not in (None, status.running):
        return []
    if not status.brief:
        return []
    line, *warnings = status.brief
    rows = _told("Changes", f"{safe(line, 400)} (as told by the channel)")
    return rows + [("", clip(f"! {safe(one, 400)}", _ROOM)) for one in warnings]


def _limits(status: Status) -> list[tuple[str, str]]:
    """What this machine does not take, and why."""
    state, rows = status.state, []
    why = obstacle(status)
    if why is not None and why.kind not in _TOLD_ELSEWHERE:
        rows += _told("Not taken", safe(why.text, 400))
    if state.paused is not None:
        rows += _told("Held", f"everything ({safe(state.paused, 200)})")
    for hold in state.holds:
        rows += _told("Held", f"{safe(hold.version, 80)} ({safe(hold.reason, 200)})")
    if state.pin is not None:
        rows.append(("Pinned", f"{safe(state.pin, 80)}     see: osupdate pin --off"))
    return rows


def _log(status: Status) -> list[tuple[str, str]]:
    """What the channel says, who signed it, and what became of this machine's turn."""
    log, rows = status.log, []
    if log is not None:
        entry = log.entry
        what = f"{safe(entry.release, 80)} (number {log.release_number})"
        end = minute(entry.expires)
        rows.append(("", f"entry {entry.number}: {what}, expires {end}"))
        speed = rollout.speed(entry.rollout, status.device_time)
        if speed is not None:
            turn = status.turn or "this machine may have it"
            rows += _told("Rollout", f"{speed}; {turn}")
        for signer in log.signers:
            until = f" until {minute(signer.until)}" if signer.until else ""
            text = f"{signer.what} by {safe(signer.key, 200)}{until}"
            rows.append(("Signed", text))
    if status.pinned:
        rows.append(("Trust", "pinned in /etc/osupdate/trust: keys do not rotate"))
    return rows


def _channel(status: Status) -> str:
    channel = safe(status.channel, 80)
    if {"remote.url", "remote.channel"} & set(status.doubts):
        return "not known, see Config"
    if not status.url:
        return f"{channel} of nowhere: [remote] url is not set"
    return f"{channel} of {safe(status.url, 200)}"


def _next(status: Status) -> list[str]:
    match condition(status):
        case Condition.EMPTY:
            if status.doubts:
                return ["Begin: osupdate config --check"]
            if not status.url:
                return ["Begin: set [remote] url in /etc/osupdate/config.toml"]
            return ["Begin: osupdate check, then osupdate apply"]
        case Condition.UNKNOWN | Condition.FAILING | Condition.STALE:
            return ["Try again: osupdate check"]
        case Condition.AVAILABLE:
            see = "osupdate diff" if status.brief else "osupdate apply --dry-run"
            return [f"See what changes: {see}     Take it: osupdate apply"]
        case Condition.HELD:
            why = obstacle(status)
            return [why.hint] if why and why.hint else []
        case Condition.STAGED | Condition.ARMED:
            return ["See what changes: osupdate diff     Drop it: osupdate revert"]
        case _:
            return []


def count_of_changes(count: int) -> str:
    """`3 paths differ from the release`."""
    verb = "differs" if count == 1 else "differ"
    return f"{plural(count, 'path')} {verb} from the release"
