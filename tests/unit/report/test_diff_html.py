"""One HTML file that needs nothing but itself, and in which names stay names."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from msgspec import structs
from support import reports

from updater.report import diff_html, page
from updater.report.diff_view import emphasis
from updater.report.sections import Fix

VOID = {"meta", "link", "input", "br"}
ATTRIBUTES = {"aria-label", "aria-labelledby", "autocomplete", "charset", "class"}
ATTRIBUTES |= {"content", "for", "hidden", "href", "http-equiv", "id", "lang", "name"}
ATTRIBUTES |= {"open", "rel", "role", "scope", "spellcheck", "type"}


class Reader(HTMLParser):
    """Checks the nesting; remembers tags, attributes and the text of each tag."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.stack, self.tags, self.attributes, self.texts = [], [], [], {}
        self.feed(html)
        self.close()
        assert not self.stack

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if self.stack:
            self.texts.setdefault(self.stack[-1], []).append(data)

    def text(self, tag):
        return "".join(self.texts.get(tag, []))


def read(name):
    return Reader(diff_html.page_of(getattr(reports, name)()))


def test_the_sections_stand_in_the_order_of_what_matters():
    html = diff_html.page_of(reports.full())
    assert re.findall(r'<section id="(\w+)"', html) == [
        "attention",
        "security",
        "kernel",
        "packages",
        "changelogs",
        "config",
        "units",
        "users",
        "unexplained",
        "files",
    ]


@pytest.mark.parametrize("name", ["full", "hostile", "large", "report"])
def test_the_page_is_well_formed_and_every_link_leads_somewhere(name):
    found = read(name)
    ids = [value for _, key, value in found.attributes if key == "id"]
    assert len(ids) == len(set(ids))
    links = [v for tag, key, v in found.attributes if (tag, key) == ("a", "href")]
    assert {link.removeprefix("#") for link in links} <= set(ids)
    levels = [int(tag[1]) for tag in found.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert found.tags.count("main") == 1


@pytest.mark.parametrize("name", ["full", "hostile"])
def test_the_policy_allows_the_style_and_the_script_of_the_page_and_nothing_else(name):
    found = read(name)
    [policy] = [
        value
        for tag, key, value in found.attributes
        if (tag, key) == ("meta", "content") and "default-src" in value
    ]

    def told(text):
        digest = hashlib.sha256(text.encode()).digest()
        return f"'sha256-{base64.b64encode(digest).decode()}'"

    assert policy.split("; ") == [
        "default-src 'none'",
        "img-src data:",
        f"style-src {told(found.text('style'))}",
        f"script-src {told(found.text('script'))}",
        "base-uri 'none'",
        "form-action 'none'",
    ]


def test_no_name_becomes_a_tag_or_an_attribute():
    found = read("hostile")
    assert found.tags.count("script") == 1
    assert not {"img", "b onerror", "iframe"} & set(found.tags)
    assert {key for _, key, _ in found.attributes} <= ATTRIBUTES
    assert not [v for _, _, v in found.attributes if v and "javascript:" in v]
    assert not [
        v for _, key, v in found.attributes if key == "href" and "http" in v[:4]
    ]


def test_what_is_hidden_is_shown_as_escapes():
    html = diff_html.page_of(reports.hostile())
    assert not [c for c in html if not (c.isprintable() or c == "\n")]
    assert "\\x1b[31mred" in html
    assert "\\u202etxt.exe" in html
    assert "/etc/bytes \\xff\\xfe" in html or "bytes \\xff\\xfe" in html


def test_a_name_is_shown_whole_when_it_is_long():
    assert "x" * 10_000 in diff_html.page_of(reports.hostile())


def test_five_thousand_files_stay_small_and_every_one_is_there():
    html = diff_html.page_of(reports.large())
    assert html.count('<tr><td><span class="tag modified">') == 5000
    assert len(html) < 1_500_000


def test_more_files_than_a_browser_takes_are_counted(monkeypatch):
    monkeypatch.setattr(diff_html, "LISTED", 40)
    html = diff_html.page_of(reports.large(100))
    assert html.count('<tr><td><span class="tag modified">') == 40
    assert "<p>60 more: <code>osupdate diff --files 2026.04.2..2026.05.1</code>" in html


def test_a_template_cannot_call_a_value_html(tmp_path):
    (tmp_path / "bad.html").write_text("{{ name | safe }}")
    with pytest.raises(Exception, match="No filter named 'safe'"):
        page.render("bad.html", {"name": "<b>"}, folders=[str(tmp_path)])


def test_a_value_that_is_missing_is_a_mistake_not_a_blank(tmp_path):
    (tmp_path / "bad.html").write_text("{{ nmae }}")
    with pytest.raises(Exception, match="'nmae' is undefined"):
        page.render("bad.html", {"name": "<b>"}, folders=[str(tmp_path)])


@pytest.mark.parametrize(
    ("old", "new", "same", "other"),
    [
        ("1:9.2p1-2+deb12u2", "1:9.2p1-2+deb12u3", "1:9.2p1-2+", "deb12u3"),
        ("1.9", "1.10", "1.", "10"),
        ("9", "10", "", "10"),
        ("1.4-2", "1.4-2+b1", "1.4-2", "+b1"),
        ("1.4-2+b1", "1.4-2", "1.4-2", ""),
        ("1.0", "1.0", "1.0", ""),
    ],
)
def test_what_differs_of_a_version_begins_at_a_component(old, new, same, other):
    assert emphasis(old, new) == (same, other)


def test_many_dangers_of_a_kind_take_a_line_each_and_all_are_there():
    one = reports.full().attention[0]
    many = tuple(
        structs.replace(one, path=b"usr/bin/x%d" % number) for number in range(9)
    )
    html = diff_html.page_of(structs.replace(reports.full(), attention=many))
    found = html.partition('<section id="attention"')[2].partition("</section>")[0]
    assert found.count("<details>") == 1
    assert f"<summary>{9 - diff_html.FEW} more</summary>" in found
    assert [f"/usr/bin/x{number}<" in found for number in range(9)] == [True] * 9


def test_many_fixes_of_one_source_are_folded_and_all_are_there():
    one = reports.full().security[0]
    fixes = tuple(Fix(f"CVE-2026-{number}", "a fix") for number in range(1000, 1100))
    advisory = structs.replace(one, fixes=fixes)
    html = diff_html.page_of(structs.replace(reports.full(), security=(advisory,)))
    assert html.count("<li><b>CVE-2026-1") == 100
    assert f"<summary>{100 - diff_html.FIXES} more</summary>" in html
