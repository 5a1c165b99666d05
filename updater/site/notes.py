"""Release notes as HTML: the one door to markdown-it.

Notes are written by people, yet they are text from a repository: no HTML of theirs is
kept, no image is loaded, and a link leads to the web or a mail address, nowhere else.
"""

from typing import TYPE_CHECKING, Any

from updater.core.text import safe_lines
from updater.errors import HostError
from updater.report import page

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

MOST = 1 << 20  # characters
DEEPER = 2  # a heading of the notes is below the two of the page
_SCHEMES = ("https://", "http://", "mailto:")


def html(notes: str) -> str:
    """Notes without their headline, which the page shows by itself.

    Raises:
        HostError: markdown-it-py is not installed.
    """
    body = notes.strip().partition("\n")[2]
    text: str = _parser().render(safe_lines(body, MOST))
    return text


def markup(notes: str) -> Any:  # noqa: ANN401 - a type of the template library
    """The same, for a template to show as it is."""
    return page.markup(html(notes))


def _parser() -> "MarkdownIt":
    try:
        from markdown_it import MarkdownIt  # noqa: PLC0415 - only for notes
    except ImportError as error:
        raise HostError(
            "a site needs the Python package markdown-it-py, which is not installed",
            hint="Install it: pip install 'osupdate[site]'",
        ) from error
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    parser.validateLink = _leads_outside  # type: ignore[method-assign]
    parser.core.ruler.push("deeper", _deeper)
    return parser


def _leads_outside(url: str) -> bool:
    return url.lower().startswith(_SCHEMES)


def _deeper(state: Any) -> None:  # noqa: ANN401 - the library's own state
    for token in state.tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + DEEPER)}"
