"""HTML pages from templates: the one door to Jinja2.

A page is one file: style and scripts are inline, named by their hashes in a policy that
allows nothing else, so that neither a name from a release nor a mistake here can load
or run anything. Every value that a template shows is made safe twice: `safe` for what
is hidden or turns text around, then the escaping of HTML.
"""

import base64
import hashlib
import os
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from updater.core.text import safe, show_path
from updater.errors import HostError

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = os.path.join(os.path.dirname(__file__), "templates")
_MANY = 1 << 20  # characters of one value: files that are shown whole are cut before


def render(
    template: str,
    values: dict[str, Any],
    *,
    folders: Sequence[str] = (),
    styles: Sequence[str] = ("style.css",),
    scripts: Sequence[str] = (),
) -> str:
    """One page.

    Args:
        template: its file name; it extends `base.html`.
        values: what it shows. Bytes are release paths; `markup` is HTML already.
        folders: where templates are, before those of the report.
        styles: file names of style sheets, which go into the page.
        scripts: file names of scripts, which do too.

    Raises:
        HostError: Jinja2 is not installed.
    """
    places = (*folders, TEMPLATES)
    environment = _environment(places)
    style = "".join(_read(places, name) for name in styles)
    code = [_read(places, name) for name in scripts]
    policy = [
        "default-src 'none'",
        "img-src data:",
        f"style-src {_hash(style)}",
        f"script-src {' '.join(map(_hash, code)) or _NONE}",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return environment.get_template(template).render(
        values,
        policy="; ".join(policy),
        style=markup(style),
        scripts=[markup(text) for text in code],
    )


def markup(html: str) -> Any:  # noqa: ANN401 - a type of the library
    """HTML that was made here, for a template to show as it is."""
    from markupsafe import Markup  # noqa: PLC0415 - comes with Jinja2

    return Markup(html)  # noqa: S704 - the one place that says so


_NONE = "'none'"


@cache
def _environment(places: tuple[str, ...]) -> "Environment":
    try:
        import jinja2  # noqa: PLC0415 - only for HTML
    except ImportError as error:
        raise HostError(
            "HTML needs the Python package Jinja2, which is not installed",
            hint="Install it: pip install 'osupdate[site]'",
        ) from error
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(places),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    del environment.filters["safe"]  # nothing in a template may claim to be HTML
    environment.filters["count"] = lambda number: f"{number:,}"
    return environment


def _shown(value: Any) -> Any:  # noqa: ANN401 - whatever a template shows
    if value is None:
        return ""
    if hasattr(value, "__html__"):
        return value
    if isinstance(value, bytes):
        return show_path(value)
    return safe(value, _MANY) if isinstance(value, str) else value


@cache
def _read(places: tuple[str, ...], name: str) -> str:
    found = [os.path.join(place, name) for place in places]
    path = next(path for path in found if os.path.exists(path))
    with open(path, encoding="utf-8") as file:
        return file.read()


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
