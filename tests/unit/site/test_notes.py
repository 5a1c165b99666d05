"""Notes are Markdown of people, and text from a repository."""

import pytest

from updater.site import notes


def test_the_headline_is_left_to_the_page():
    assert notes.html("OpenSSH fix\n\nWhy *now*.\n") == "<p>Why <em>now</em>.</p>\n"
    assert notes.html("OpenSSH fix\n") == ""
    assert notes.html("") == ""


def test_headings_are_below_those_of_the_page():
    assert notes.html("x\n# One\n###### Six\n") == "<h3>One</h3>\n<h6>Six</h6>\n"


def test_tables_are_tables():
    assert "<td>1</td>" in notes.html("x\n\n| a |\n|---|\n| 1 |\n")


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "text <b onclick=alert(1)>bold</b>",
        "![i](https://evil.example/x.png)",
        "![i][r]\n\n[r]: https://evil.example/x.png",
        "[x](javascript:alert(1))",
        "[x](data:text/html,alert)",
        "[x](JaVaScRiPt:alert(1))",
        "[x](vbscript:x)",
        "[x](../../etc)",
        "[x](//evil.example/)",
        "<javascript:alert(1)>",
        "```\n</pre><script>x</script>\n```",
    ],
)
def test_no_html_no_image_and_no_link_but_to_the_web(text):
    html = notes.html(f"x\n\n{text}\n")
    for bad in ("<script", "<img", "<b ", 'href="j', 'href="J', 'href="d', 'href="v'):
        assert bad not in html
    for bad in ('href="/', 'href="."', 'href="..'):
        assert bad not in html


def test_links_to_the_web_are_links():
    html = notes.html("x\n\n[a](https://example.org/?a=1&b=2) <mailto:a@example.org>")
    assert '<a href="https://example.org/?a=1&amp;b=2">a</a>' in html
    assert 'href="mailto:a@example.org"' in html


def test_what_is_hidden_is_shown_as_escapes():
    html = notes.html("x\n\nred \x1b[31m bidi \u202e nul \0\n")
    assert "\\x1b[31m" in html
    assert "\\u202e" in html
    assert "\\x00" in html
    assert "\x1b" not in html
