"""Atom (RFC 4287) and JSON Feed 1.1 of the newest releases."""

import json
from collections.abc import Sequence
from xml.etree import ElementTree

from updater.core.text import safe
from updater.core.times import rfc3339
from updater.site import links, notes
from updater.site.releases import Listed

ATOM, JSON = "feed.atom", "feed.json"
MOST = 50  # releases
_ATOM = "http://www.w3.org/2005/Atom"


def atom(releases: Sequence[Listed], url: str) -> bytes:
    """The newest releases as Atom.

    Args:
        releases: newest first, at least one.
        url: of the site, with its slash.
    """
    newest = releases[0]
    feed = ElementTree.Element("feed", {"xmlns": _ATOM, "xml:lang": "en"})
    _put(feed, "title", _title(newest))
    _put(feed, "id", url)
    _put(feed, "updated", rfc3339(max(one.created for one in releases)))
    _put(_put(feed, "author"), "name", newest.product)
    _put(feed, "link", rel="self", type="application/atom+xml", href=url + ATOM)
    _put(feed, "link", rel="alternate", type="text/html", href=url)
    for one in releases[:MOST]:
        entry = _put(feed, "entry")
        where = url + links.release(one.version)
        _put(entry, "title", _headline(one))
        _put(entry, "id", where)
        _put(entry, "link", rel="alternate", type="text/html", href=where)
        _put(entry, "published", rfc3339(one.created))
        _put(entry, "updated", rfc3339(one.created))
        _put(entry, "content", notes.html(one.notes), type="html")
    ElementTree.indent(feed)
    text: bytes = ElementTree.tostring(feed, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def json_feed(releases: Sequence[Listed], url: str) -> bytes:
    """The same as JSON Feed."""
    items = [
        {
            "id": url + links.release(one.version),
            "url": url + links.release(one.version),
            "title": _headline(one),
            "content_html": notes.html(one.notes),
            "date_published": rfc3339(one.created),
        }
        for one in releases[:MOST]
    ]
    feed = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": _title(releases[0]),
        "home_page_url": url,
        "feed_url": url + JSON,
        "language": "en",
        "items": items,
    }
    return (json.dumps(feed, ensure_ascii=False, indent=1) + "\n").encode()


def _title(newest: Listed) -> str:
    return f"Releases of {safe(newest.product, 100)}"


def _headline(one: Listed) -> str:
    return f"{safe(one.version, 100)}: {safe(one.headline, 300)}"


def _put(
    parent: ElementTree.Element, name: str, text: str | None = None, **attributes: str
) -> ElementTree.Element:
    child = ElementTree.SubElement(parent, name, attributes)
    child.text = text
    return child
