"""Markdown that pastes well, and in which a name is only ever a name."""

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from support import reports

from updater.core.text import safe
from updater.report import diff_md
from updater.report.diff_md import code, markdown

OURS = {"<details>", "</details>", "<summary>", "</summary>", "<code>", "</code>"}


def parsed(text):
    """Every token of a document, nested ones too, HTML tags apart."""
    found = []
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(text):
        found += [token, *(token.children or [])]
    return found


def text_outside_code(text):
    """What is neither in a code span nor in a block nor in `<code>`."""
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    html = re.sub(r"<code\b[^>]*>.*?</code>", "", html, flags=re.DOTALL)
    return re.sub(
        r"</?[a-z0-9]+( style=\"text-align:[a-z]+\")?( class=.*?)?>", "", html
    )


def test_the_report_begins_with_what_wants_attention():
    text = markdown(reports.full())
    headings = re.findall(r"^##+ (.*)$", text, re.MULTILINE)
    assert headings == [
        "`2026.04.2` → `2026.05.1`",
        "⚠️ ATTENTION (4)",
        "Security (2)",
        "Kernel",
        "Packages (10)",
        "Configuration (2)",
        "Units and sockets (3)",
        "Users and groups (2)",
        "Unexplained",
        "Changelogs (2)",
        "Files",
    ]
    assert (
        "- **setuid added** `/usr/libexec/polkit-agent-helper-1` (`policykit-1`) "
        "`0755` → `4755`: `runs as its owner, whoever starts it`\n"
    ) in text
    assert "- `openssh` `1:9.2p1-2+deb12u2` → `1:9.2p1-2+deb12u3`, **high**\n" in text
    assert "| `cups-browsed` | `1.28.17-3` | +1.2 MB |\n" in text


def test_the_tables_are_tables():
    rows = [
        token for token in parsed(markdown(reports.full())) if token.type == "tr_open"
    ]
    assert len(rows) == 4 + 7  # heads, and a row for each group of packages


def test_releases_that_are_alike_are_said_to_be():
    text = markdown(reports.report())
    assert "\nNothing differs.\n" in text
    assert "Packages" not in text


def test_no_name_becomes_a_link_an_image_or_html():
    tokens = parsed(markdown(reports.hostile()))
    assert not {"link_open", "image"} & {token.type for token in tokens}
    tags = [t.content for t in tokens if t.type in ("html_inline", "html_block")]
    found = {tag for text in tags for tag in re.findall(r"<[^>]*>", text)}
    assert found <= OURS


def test_no_name_stands_outside_of_code():
    text = text_outside_code(markdown(reports.hostile()))
    for word in (
        "owned",
        "@everyone",
        "#1",
        "evil.example",
        "alert",
        "xxxx",
        "{{",
        "pipe",
    ):
        assert word not in text


def test_a_table_row_has_three_cells_whatever_the_names():
    tokens = parsed(markdown(reports.hostile()))
    cells, rows = 0, 0
    for token in tokens:
        if token.type == "tr_close":
            assert cells == 3
            cells, rows = 0, rows + 1
        cells += token.type in ("td_open", "th_open")
    assert rows == 4 + 4 * len(reports.HOSTILE)


def test_a_long_report_fits_an_issue_and_counts_what_is_left_out():
    text = markdown(reports.large())
    assert len(text) <= diff_md.MOST
    shown = len(re.findall(r"^modified /", text, re.MULTILINE))
    assert shown > 100
    assert f"... {5000 - shown:,} more: osupdate diff --files\n" in text
    assert "\n- 100 more\n" in text  # of 300 package groups


def test_attention_is_cut_never_dropped_when_it_is_too_long():
    one = reports.full().attention[0]
    long = msgspec.structs.replace(one, text="y" * 200, old="z" * 200, new="z" * 201)
    report = msgspec.structs.replace(reports.full(), attention=(long,) * 200)
    text = markdown(report)
    assert len(text) <= diff_md.MOST
    assert text.count("**setuid added**") > 50
    assert "too long to paste" in text
    assert "\n### Files\n" in text


@pytest.mark.parametrize("name", reports.HOSTILE)
def test_a_code_span_is_one_line_without_control_characters(name):
    shown = code(name)
    assert shown.isprintable()
    assert reports.BIDI not in shown


@given(st.text(min_size=1, max_size=diff_md.NAME // 10))
def test_a_code_span_shows_exactly_the_name(name):
    [token] = MarkdownIt("commonmark", {"html": False}).parseInline(f"a {code(name)} b")
    kinds = [(child.type, child.content) for child in token.children]
    if "|" in name:
        assert code(name).startswith("<code>")
        assert not re.search(r"[^0-9A-Za-z &#;]", code(name)[6:-7])
    elif safe(name).strip():
        assert kinds == [("text", "a "), ("code_inline", safe(name)), ("text", " b")]


@given(st.lists(st.text("`~ab ", max_size=8), max_size=5))
def test_a_block_ends_where_it_ends(lines):
    tokens = MarkdownIt("commonmark").parse("\n".join([*diff_md.block(lines), "after"]))
    assert [t.type for t in tokens][:2] == ["fence", "paragraph_open"]
    assert tokens[0].content == "".join(f"{line}\n" for line in lines)
