"""`notes`: a release in the words of those who made it, then what it changed.

Layers, each left out where it has nothing: the signed message and notes.md; notices of
packages (NEWS); what a report says of danger and security; where it comes from.
"""

import re
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from updater.core.changes import Change, Changes
from updater.core.chronicle import Known
from updater.core.provenance import Recipe
from updater.core.text import plural, safe, safe_lines
from updater.core.times import day
from updater.model import Offer
from updater.report import log
from updater.report.layout import clip, flush, labelled, wrap

SECURITY_ROWS = 10
CVES = 3  # of one source; more are counted
NEWS_LINES = 12  # of one notice
_WIDTH = 80
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_URGENT = ("emergency", "critical", "high", "medium", "low")


class Changed(Struct, frozen=True):
    """How much a release changed since `since`, a version; None is not known.

    `comparable`: both are deployed here, so that `diff` can tell all of it.
    """

    since: str
    packages: int | None
    security: int
    config: int | None
    files: int | None
    comparable: bool


class Notes(Struct, frozen=True):
    """Everything that there is to read of a release.

    `known` None: it is only offered, as `offer` says. `here` is what this machine does
    with it. `markdown` is notes.md. `brief` is what was kept of a report: a line,
    then warnings; empty where none was.
    """

    known: Known | None
    here: str
    markdown: str | None = None
    changes: Changes | None = None
    brief: tuple[str, ...] = ()
    changed: Changed | None = None
    recipe: Recipe | None = None
    offer: Offer | None = None


def text(notes: Notes) -> list[str]:
    """For a terminal."""
    known = notes.known
    if known is None:
        return _offered(notes)
    title = f"{safe(known.version, 64)} - {safe(known.headline, 200)}"
    date = day(known.created)
    if len(title) + len(date) + 2 <= _WIDTH:
        lines = [f"{title}{date.rjust(_WIDTH - len(title))}"]
    else:
        lines = [*wrap(title, "", _WIDTH), date]
    for part in (_written(notes), _news(notes), _danger(notes), _security(notes)):
        if part:
            lines += ["", *part]
    return [*lines, "", *_facts(notes)]


def _offered(notes: Notes) -> list[str]:
    assert notes.offer is not None
    called = safe(notes.offer.version or "a release", 64)
    return [
        f"{called} ({notes.offer.commit[:7]}) is offered, and its notes are not here",
        "Download and verify it: osupdate apply --download-only",
    ]


def _written(notes: Notes) -> list[str]:
    """notes.md; before it the signed message, where that says something else."""
    assert notes.known is not None
    message = notes.known.text.strip("\n")
    body = _body(notes.markdown or "", notes.known.headline)
    parts = [message, body]
    if not message or safe_lines(body).startswith(message[: len(safe_lines(body))]):
        parts = [body or message]
    shown = "\n\n".join(part for part in parts if part)
    return safe_lines(shown).split("\n") if shown else []


def _body(markdown: str, headline: str) -> str:
    """notes.md without the headline that is shown already, and without comments."""
    plain = _COMMENT.sub("", markdown).strip("\n")
    first, _, rest = plain.partition("\n")
    same = safe(first.lstrip("#").strip(), 200) == safe(headline, 200)
    return rest.strip("\n") if same else plain


def _news(notes: Notes) -> list[str]:
    lines = []
    for source, change in _entries(notes, news=True):
        lines.append(f"NEWS       {safe(source, 60)} {safe(change.version, 60)}")
        lines += [f"  {safe(line, 200)}".rstrip() for line in change.text[:NEWS_LINES]]
        left = max(0, len(change.text) - NEWS_LINES) + change.cut
        if left > 0:
            lines.append(f"  ... {plural(left, 'more line')}")
    return lines


def _danger(notes: Notes) -> list[str]:
    if not notes.brief[1:]:
        return []
    shown = (clip(f"  ! {safe(line, 400)}", _WIDTH) for line in notes.brief[1:])
    return ["ATTENTION", *shown]


def _security(notes: Notes) -> list[str]:
    found = advisories(notes)
    if not found:
        return []
    cves = {cve for _, _, _, every in found for cve in every}
    counts = f"{plural(len(found), 'source')}, {plural(len(cves), 'CVE')}"
    lines = labelled("SECURITY", counts, _WIDTH)
    for source, version, urgency, every in found[:SECURITY_ROWS]:
        named = f"  {safe(source, 40):<14} {safe(version, 60)}"
        lines.append(flush(clip(named, _WIDTH - 12), safe(urgency, 10), _WIDTH))
        if every:
            more = f" and {len(every) - CVES:,} more" if len(every) > CVES else ""
            lines.append(f"{'':<17}{', '.join(every[:CVES])}{more}")
    left = len(found) - SECURITY_ROWS
    return [*lines, f"  ... {left:,} more: osupdate diff"] if left > 0 else lines


def advisories(notes: Notes) -> list[tuple[str, str, str, tuple[str, ...]]]:
    """(source, newest version, urgency, CVE ids), the most urgent first."""
    found: dict[str, tuple[str, list[str], dict[str, None]]] = {}
    for source, change in _entries(notes, news=False):
        if change.security or change.cves:
            row = found.setdefault(source, (change.version, [], {}))
            row[1].append(change.urgency)
            row[2].update(dict.fromkeys(change.cves))
    rows = [
        (source, version, min(urgencies, key=_urgency), tuple(every))
        for source, (version, urgencies, every) in found.items()
    ]
    return sorted(rows, key=lambda row: (_urgency(row[2]), row[0]))


def _urgency(word: str) -> int:
    return _URGENT.index(word) if word in _URGENT else len(_URGENT)


def _entries(notes: Notes, *, news: bool) -> Iterable[tuple[str, Change]]:
    if notes.changes is None:
        return
    for source, found in sorted(notes.changes.sources.items()):
        for change in found:
            if change.news == news:
                yield source, change


def _facts(notes: Notes) -> list[str]:
    known = notes.known
    assert known is not None
    rows = _changed(notes, known) if notes.changed is not None else []
    if notes.recipe is not None:
        commit = f" at {safe(notes.recipe.commit, 64)}" if notes.recipe.commit else ""
        rows += _fact("Source:", f"{safe(notes.recipe.url, 200)}{commit}")
    signed = "signed by a release key" if known.signed else "not known to be signed"
    where = f", {notes.here} here" if notes.here else ""
    where += ", as told by the channel" if known.heard else ""
    return rows + _fact("Release:", f"commit {known.commit[:12]}, {signed}{where}")


def _changed(notes: Notes, known: Known) -> list[str]:
    assert notes.changed is not None
    since = safe(notes.changed.since, 64)
    counts = safe(notes.brief[0], 400) if notes.brief else _counts(notes.changed)
    rows = _fact("Changed:", f"{counts} since {since}")
    if not notes.changed.comparable:
        return rows
    more = f"full: osupdate diff {since}..{safe(known.version, 64)}"
    if len(rows) == 1 and len(rows[0]) + 3 + len(more) <= _WIDTH:
        return [f"{rows[0]}   {more}"]
    return [*rows, f"{'':<10}{more}"]


def _fact(name: str, words: str) -> list[str]:
    first, *more = wrap(words, " " * 10, _WIDTH)
    return [f"{name:<10}{first.strip()}", *more]


def _counts(changed: Changed) -> str:
    told = []
    if changed.packages is not None:
        told.append(plural(changed.packages, "package"))
    if changed.security:
        told.append(f"{changed.security:,} security")
    if changed.config is not None:
        told.append(f"{changed.config:,} config")
    if changed.files is not None:
        told.append(plural(changed.files, "path"))
    return ", ".join(told) or "not known"


def to_json(notes: Notes) -> dict[str, Any]:
    """`osupdate.notes/1`; the schema is docs/json/notes-1.json."""
    known, offer, changed = notes.known, notes.offer, notes.changed
    return {
        "schema": "osupdate.notes/1",
        "release": known and log.release(known),
        "offer": offer and {"version": offer.version, "commit": offer.commit},
        "here": notes.here or None,
        "signed": known and known.signed,
        "message": known and known.text,
        "markdown": notes.markdown,
        "news": [
            {
                "source": source,
                "version": change.version,
                "date": change.date,
                "lines": list(change.text),
                "cut": change.cut,
            }
            for source, change in _entries(notes, news=True)
        ],
        "security": [
            {"source": s, "version": v, "urgency": u or None, "cves": list(every)}
            for s, v, u, every in advisories(notes)
        ],
        "attention": list(notes.brief[1:]) if notes.brief else None,
        "summary": notes.brief[0] if notes.brief else None,
        "changed": changed
        and {
            "since": changed.since,
            "packages": changed.packages,
            "security": changed.security,
            "config": changed.config,
            "paths": changed.files,
        },
        "recipe": notes.recipe
        and {"url": notes.recipe.url, "commit": notes.recipe.commit or None},
    }
