"""Every page of a site, from releases; a page is made when it is asked for."""

import hashlib
import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import msgspec
from msgspec import Struct

from updater import __version__
from updater.core.text import plural, size
from updater.core.times import day, minute
from updater.report import diff_html, page
from updater.report.diff import Report
from updater.report.layout import clip
from updater.site import feeds, links, notes, pairs, timeline
from updater.site.channels import Channel
from updater.site.output import Page
from updater.site.releases import Listed, State

TEMPLATES = os.path.join(os.path.dirname(__file__), "templates")
STYLES = ("style.css", "site.css")
NAME = 14  # characters of a version in the drawing; its title has them all
Compare = Callable[[Listed, Listed], Report]
_WORDS = {
    State.VERIFIED: "signed",
    State.REFUSED: "BAD SIGNATURE",
    State.UNCHECKED: "not checked",
    State.UNSIGNED: "UNSIGNED",
}


class Site(Struct, frozen=True):
    """What the pages are made from.

    `releases`: newest first. `url`: of the site, with its slash, or None. `signers`:
    the keys that were trusted, as lines of an allowed-signers file.
    """

    releases: tuple[Listed, ...]
    url: str | None
    signers: tuple[str, ...]
    channels: tuple[Channel, ...] = ()


def of(site: Site, compare: Compare) -> list[Page]:
    """All pages, in the order in which they can be written.

    Args:
        site: what they are made from.
        compare: makes the report from one release to another.
    """
    by_version = {one.version: one for one in site.releases}
    versions = [one.version for one in site.releases]
    compared = pairs.of(
        versions,
        [[one.version for one in channel.offered] for channel in site.channels],
    )
    found = [
        _pair(site, by_version[old], by_version[new], compare) for old, new in compared
    ]
    found += [
        _release(site, position, compared, compare)
        for position in range(len(site.releases))
    ]
    found.append(_pick(site, compared))
    if site.url is not None:
        found += _feeds(site, site.url)
    return [*found, _index(site)]


def _page(
    path: str,
    inputs: object,
    template: str,
    values: Callable[[], dict[str, Any]],
    scripts: Sequence[str] = (),
) -> Page:
    def make() -> bytes:
        shared = {
            "made_by": __version__,
            "up": "../" * path.count("/"),
            "day": day,
            "minute": minute,
            "size": size,
            "links": links,
            "signed": _WORDS,
        }
        text = page.render(
            template,
            {**shared, **values()},
            folders=[TEMPLATES],
            styles=STYLES,
            scripts=scripts,
        )
        return text.encode()

    return Page(path, _digest(path, inputs), make)


def _pair(site: Site, old: Listed, new: Listed, compare: Compare) -> Page:
    return _page(
        links.pair_file(old.version, new.version),
        (old, new, site.releases[0].product),
        "compare.html",
        lambda: {
            **diff_html.values(compare(old, new)),
            "site": site,
            "old": old,
            "new": new,
        },
        scripts=diff_html.SCRIPTS,
    )


def _release(
    site: Site, position: int, compared: Sequence[tuple[str, str]], compare: Compare
) -> Page:
    one = site.releases[position]
    newer = site.releases[position - 1] if position else None
    older = site.releases[position + 1] if position + 1 < len(site.releases) else None
    others = [old for old, new in compared if new == one.version]
    places = _places(site, one)

    def values() -> dict[str, Any]:
        told = diff_html.values(compare(older, one)) if older else {}
        return {
            **told,
            "site": site,
            "one": one,
            "newer": newer,
            "older": older,
            "others": others,
            "notes": notes.markup(one.notes),
            "facts": _facts(one),
            "places": places,
            "files_at": links.pair(older.version, one.version) if older else None,
        }

    product = site.releases[0].product
    inputs = (one, newer, older, others, places, site.signers, product)
    return _page(links.release_file(one.version), inputs, "release.html", values)


def _pick(site: Site, compared: Sequence[tuple[str, str]]) -> Page:
    rows: dict[str, list[str]] = {}
    for old, new in compared:
        rows.setdefault(new, []).append(old)
    return _page(
        links.PICK,
        (site.releases, compared),
        "pick.html",
        lambda: {"site": site, "rows": rows, "all": len(rows) <= pairs.ALL_UP_TO},
        scripts=("pick.js",),
    )


def _feeds(site: Site, url: str) -> list[Page]:
    inputs = (site.releases[: feeds.MOST], url)
    return [
        Page(
            feeds.ATOM,
            _digest(feeds.ATOM, inputs),
            lambda: feeds.atom(site.releases, url),
        ),
        Page(
            feeds.JSON,
            _digest(feeds.JSON, inputs),
            lambda: feeds.json_feed(site.releases, url),
        ),
    ]


def _index(site: Site) -> Page:
    known = {one.version for one in site.releases}
    lanes = [
        (
            channel.name,
            [(at.version, at.since) for at in channel.offered if at.version in known],
        )
        for channel in site.channels
    ]
    lanes.append(("releases", [(one.version, one.created) for one in site.releases]))
    return _page(
        links.INDEX,
        site,
        "index.html",
        lambda: {
            "site": site,
            "newest": site.releases[0],
            "feeds": feeds,
            "known": known,
            "withdrawn": {
                one.version
                for one in site.releases
                if any(channel.withdrawn(one.number) for channel in site.channels)
            },
            "drawing": timeline.draw([lane for lane in lanes if lane[1]]),
            "short": lambda version: clip(version, NAME),
        },
    )


def _places(site: Site, one: Listed) -> list[tuple[str, int, str | None]]:
    """Channel, since when, and why withdrawn, for each that offered a release."""
    found = []
    for channel in site.channels:
        since, mark = channel.since(one.version), channel.withdrawn(one.number)
        if since is not None:
            found.append((channel.name, since, None if mark is None else mark.reason))
    return found


def _facts(one: Listed) -> list[tuple[str, str, bool]]:
    """Word, value, and whether the value is code."""
    told = [
        ("Number", f"{one.number:,}", False),
        ("Made", minute(one.created), False),
        ("Product", f"{one.product}, {one.arch}", False),
    ]
    if one.files is not None and one.size is not None:
        content = f"{plural(one.files, 'file')}, {size(one.size)}"
        told.append(("Content", content, False))
    if one.security_floor:
        floor = f"machines do not go below number {one.security_floor:,}"
        told.append(("Floor", floor, False))
    told.append(("Commit", one.commit, True))
    if one.tag is not None:
        told.append(("Tag", f"release/{one.version}", True))
    if one.tree_sha256 is not None:
        told.append(("Tree-SHA256", one.tree_sha256, True))
    return told


def _digest(path: str, inputs: object) -> str:
    told = msgspec.json.encode([_generator(), path, inputs])
    return hashlib.sha256(told).hexdigest()


@cache
def _generator() -> str:
    """A digest of what makes the pages: another version makes all of them again."""
    digest = hashlib.sha256(__version__.encode())
    for room in (TEMPLATES, os.path.dirname(__file__), page.TEMPLATES, _REPORT):
        for name in sorted(os.listdir(room)):
            path = os.path.join(room, name)
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    digest.update(hashlib.sha256(file.read()).digest())
    return digest.hexdigest()


_REPORT = os.path.dirname(page.TEMPLATES)
