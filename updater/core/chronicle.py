"""What is known of releases: the one that runs, others here, and those seen before.

Pure: how they are ordered, named and cut to a range, and where knowledge ends.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from updater.core import changes
from updater.core.changes import Changes
from updater.core.names import LEAST_COMMIT
from updater.core.text import safe
from updater.errors import UsageError
from updater.model import ObjectId

MAX_CVES = 500  # that notes and message of one release name
_CVE = re.compile(r"\bCVE-\d{4}-\d{4,7}\b")


class Known(Struct, frozen=True):
    """What a release said of itself when its content was here.

    `headline` and `text` are the message that was signed, or the commit's. `parent` is
    the release before it, `base` the one that its changed paths were told against: the
    newest older one that was here, which may not be the parent. `packages` is the id of
    the file that its packages are known from. `source` is where its recipe lies,
    `cves` are those that message and notes name. `heard`: only its channel told, its
    content was never here; `parent` is then what the channel offered before, or empty.
    """

    commit: ObjectId
    version: str
    number: int
    created: int
    headline: str = ""
    text: str = ""
    tag: ObjectId | None = None
    signed: bool = False
    parent: ObjectId | None = None
    base: ObjectId | None = None
    packages: ObjectId | None = None
    source: str = ""
    cves: tuple[str, ...] = ()
    heard: bool = False


class Range(Struct, frozen=True):
    """Releases from after `older` up to `newest`; None is without end."""

    older: Known | None = None
    newest: Known | None = None


def newest_first(releases: Iterable[Known]) -> tuple[Known, ...]:
    """In the order of their numbers; of equal ones a child comes before its parent.

    Numbers are equal where they are times: commits of one second.
    """
    alike: dict[int, list[Known]] = {}
    for release in sorted(releases, key=lambda r: (r.created, r.commit), reverse=True):
        alike.setdefault(release.number, []).append(release)
    found: list[Known] = []
    for number in sorted(alike, reverse=True):
        found += _children_first(alike[number])
    return tuple(found)


def _children_first(releases: list[Known]) -> list[Known]:
    found: list[Known] = []
    while releases:
        parents = {release.parent for release in releases}
        first = next((r for r in releases if r.commit not in parents), releases[0])
        found.append(first)
        releases.remove(first)
    return found


def named(
    releases: Sequence[Known], wanted: str, roles: Mapping[str, ObjectId] | None = None
) -> Known:
    """The release that a person means.

    Args:
        releases: all that are known.
        wanted: version, tag, number:42, commit id, or a role.
        roles: running, staged, previous, available -> commit, as far as there is one.

    Raises:
        UsageError: none is called so, or several are.
    """
    commit = (roles or {}).get(wanted)
    found = [r for r in releases if r.commit == commit or _matches(r, wanted)]
    if len({release.commit for release in found}) == 1:
        return found[0]
    if found:
        names = ", ".join(f"{safe(r.version, 80)} ({r.commit[:7]})" for r in found)
        raise UsageError(f'"{safe(wanted, 80)}" may be any of {names}: say more of it')
    names = ", ".join(safe(r.version, 80) for r in releases[:10]) or "none"
    more = ", ..." if len(releases) > 10 else ""
    raise UsageError(
        f'no release "{safe(wanted, 80)}" is known here',
        hint=f"Known are: {names}{more}. See: osupdate log",
    )


def _matches(release: Known, wanted: str) -> bool:
    if wanted in (release.version, f"release/{release.version}", release.tag):
        return True
    if wanted == f"number:{release.number}":
        return True
    return len(wanted) >= LEAST_COMMIT and release.commit.startswith(wanted.lower())


def within(releases: Sequence[Known], asked: Range) -> tuple[Known, ...]:
    """The releases of a range, newest first."""
    return tuple(
        release
        for release in newest_first(releases)
        if (asked.older is None or release.number > asked.older.number)
        and (asked.newest is None or release.number <= asked.newest.number)
    )


def gap_after(releases: Sequence[Known], position: int) -> bool:
    """Whether releases between this one and the next older one may be unknown.

    Args:
        releases: newest first.
        position: of the newer one.
    """
    parent = releases[position].parent
    older = releases[position + 1 :]
    return bool(older) and parent is not None and older[0].commit != parent


def is_complete(releases: Sequence[Known]) -> bool:
    """Whether these, newest first, go back to the first release without a gap."""
    return bool(releases) and releases[-1].parent is None and not gaps(releases)


def gaps(releases: Sequence[Known]) -> int:
    """At how many places releases may be missing between these, newest first."""
    return sum(gap_after(releases, place) for place in range(len(releases)))


def cves(*texts: str) -> tuple[str, ...]:
    """The vulnerabilities that texts name, in their order; not more than `MAX_CVES`."""
    found = dict.fromkeys(cve for text in texts for cve in _CVE.findall(text))
    return tuple(found)[:MAX_CVES]


def brought(told: Changes, older: Known | None, release: Known) -> Changes:
    """What a release brings to those who had the older one, in changelogs' words."""
    return changes.after(told, older.number if older else release.number - 1)


def is_cve(text: str) -> bool:
    """Whether this is the id of a vulnerability."""
    return bool(_CVE.fullmatch(text))


def touches(paths: Iterable[bytes], wanted: Sequence[bytes]) -> bool:
    """Whether one of the paths is wanted, or lies below one that is."""
    tops = tuple(top + b"/" for top in wanted)
    exact = set(wanted)
    return any(path in exact or path.startswith(tops) for path in paths)
