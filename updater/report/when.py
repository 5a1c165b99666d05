"""`when`: which release has a package or a fix, and whether it is here yet."""

from typing import Any

from msgspec import Struct

from updater.core.chronicle import Known
from updater.core.question import Question
from updater.core.text import plural, safe
from updater.core.times import day, rfc3339
from updater.model import Offer
from updater.report import log
from updater.report.layout import wrap

_WIDTH = 80


class Found(Struct, frozen=True):
    """What one release has: `version` is None when it has no such package.

    `has` is None when its packages are not known.
    """

    release: Known
    has: bool | None
    version: str | None
    here: str = ""


class Other(Struct, frozen=True):
    """Another channel: its newest release, and the oldest that has it without a break.

    `at` is when its log was read; None: just now.
    """

    channel: str
    newest: Found
    first: Found | None
    at: int | None


class Answer(Struct, frozen=True):
    """The answer of one channel, by the releases of it that are known.

    `newest` is None when none is. `first` is the oldest release of those, up to the
    newest, that have it without a break, or that last had it. `exact`: the release
    before that one is known not to have it. `asked` counts releases, `offer` is newer
    than all of them and not here yet.
    """

    question: Question
    channel: str
    newest: Found | None
    first: Found | None
    exact: bool
    running: Found | None
    staged: Found | None
    offer: Offer | None
    asked: int
    oldest: Known | None
    complete: bool
    local: bool
    others: tuple[Other, ...] = ()

    @property
    def satisfied(self) -> bool | None:
        """Whether the newest known release has it."""
        return None if self.newest is None else self.newest.has


def text(answer: Answer) -> list[str]:
    """For a terminal: the answer, the channel, where knowledge ends."""
    lines = wrap(_sentence(answer), "", _WIDTH)
    if answer.newest is not None:
        lines += ["", *_table(answer)]
    ends = _ends(answer)
    return [*lines, "", *ends] if ends else lines


def _sentence(answer: Answer) -> str:
    asked, newest, first = str(answer.question), answer.newest, answer.first
    what = safe(asked, 200)
    if newest is None:
        return f"Not known: no release is known here yet, so nobody can tell of {what}"
    if newest.has is None:
        version = safe(newest.release.version, 64)
        return f"Not known: what packages {version} has is not known here"
    if not newest.has:
        return _no(answer, newest, first, what)
    assert first is not None
    since = f"since {_release(first.release)}"
    told = f"{_thing(answer, first)}, {since}"
    if not answer.exact:
        told += " or a release before it that is not known here"
    if not answer.question.is_cve and newest.version != first.version:
        told += f", {safe(newest.version or '', 80)} in {_release(newest.release)}"
    if answer.running is not None and answer.running.has:
        runs = answer.running.version
        same = answer.question.is_cve or newest.version == first.version == runs
        it = "it" if same or runs is None else safe(runs, 80)
        return f"Yes: {told}; {it} runs here"
    if answer.staged is not None and answer.staged.has:
        return f"Yes: {told}; it is staged here"
    if not answer.local or answer.running is None:
        return f"Yes: {told}"
    return f"Yes: {told}; not in {safe(answer.running.release.version, 64)}, which runs"


def _thing(answer: Answer, found: Found) -> str:
    name = safe(answer.question.name, 100)
    if not answer.question.is_cve:
        return f"{name} {safe(found.version or '', 80)}"
    if found.version is None:
        return f"{name} is named by the notes, and by no changelog"
    return f"{name} is fixed by {safe(found.version, 80)}"


def _no(answer: Answer, newest: Found, first: Found | None, what: str) -> str:
    if answer.question.is_cve:
        return f"Not said: no release that is known here names {what}"
    version = safe(newest.release.version, 64)
    if newest.version is not None:
        has = f"{safe(answer.question.name, 100)} {safe(newest.version, 80)}"
    else:
        has = f"no package {safe(answer.question.name, 100)}"
    if first is not None:
        last = _release(first.release)
        return f"No longer: {what} was in {last}; {version}, the newest, has {has}"
    if newest.version is not None:
        operator = safe(answer.question.operator, 4)
        has += f", not {operator} {safe(answer.question.version, 80)}"
    where = " known here" if answer.local else ""
    return f"Not yet: {version}, the newest release{where}, has {has}"


def _release(known: Known) -> str:
    return f"{safe(known.version, 64)} ({day(known.created)})"


def _table(answer: Answer) -> list[str]:
    newest, first = answer.newest, answer.first
    assert newest is not None
    note = "you are here" if answer.local else ""
    others = ((one, f"as of {day(one.at)}" if one.at else "") for one in answer.others)
    rows = [("CHANNEL", "HAS IT", "VERSION", "SINCE RELEASE", "NOTE" if note else "")]
    rows += [_row(one.channel, one.newest, one.first, told) for one, told in others]
    rows.append(_row(answer.channel, newest, first, note))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _row(
    channel: str, newest: Found, first: Found | None, note: str
) -> tuple[str, str, str, str, str]:
    has = {True: "yes", False: "no", None: "?"}[newest.has]
    since = _release(first.release) if newest.has and first else "-"
    return safe(channel, 20), has, safe(newest.version or "-", 30), since, note


def _ends(answer: Answer) -> list[str]:
    said = []
    if answer.offer is not None:
        called = safe(answer.offer.version or answer.offer.commit[:7], 64)
        said.append(
            f"{called} is offered and not downloaded: what it has is not known yet "
            "(osupdate apply --download-only)."
        )
    if answer.oldest is not None and not answer.complete:
        oldest = safe(answer.oldest.version, 64)
        count = plural(answer.asked, "release")
        said.append(
            f"Asked: {count} known here, back to {oldest}; others are not known."
        )
    if answer.question.is_cve and not answer.satisfied and answer.newest is not None:
        said.append(
            "Changelogs and notes were asked; what they leave out is not found."
        )
    return [line for sentence in said for line in wrap(sentence, "", _WIDTH)]


def to_json(answer: Answer) -> dict[str, Any]:
    """`osupdate.when/1`; the schema is docs/json/when-1.json."""
    offer, newest, first = answer.offer, answer.newest, answer.first
    return {
        "schema": "osupdate.when/1",
        "expr": str(answer.question),
        "channels": [
            {
                "channel": answer.channel,
                "satisfied": answer.satisfied,
                "version": newest and newest.version,
                "newest": newest and log.release(newest.release),
                "since": first and log.release(first.release),
                "exact": answer.exact,
                "running": _found(answer.running),
                "staged": _found(answer.staged),
                "unknown_offer": offer
                and {"version": offer.version, "commit": offer.commit},
                "as_of": None,
            },
            *map(_other, answer.others),
        ],
        "asked": answer.asked,
        "complete": answer.complete,
        "oldest": answer.oldest and answer.oldest.version,
    }


def _other(other: Other) -> dict[str, Any]:
    newest, first = other.newest, other.first
    return {
        "channel": other.channel,
        "satisfied": newest.has,
        "version": newest.version,
        "newest": log.release(newest.release),
        "since": first and log.release(first.release),
        "exact": False,
        "running": None,
        "staged": None,
        "unknown_offer": None,
        "as_of": None if other.at is None else rfc3339(other.at),
    }


def _found(found: Found | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "release": found.release.version,
        "has": found.has,
        "version": found.version,
    }
