"""`diff` prints one report in the format asked for, and UTF-8 into files."""

import json
import sys
from types import SimpleNamespace

import pytest
from support import reports

from updater.report import diff_html, diff_json, diff_md, page


@pytest.fixture
def compared(agent):
    """The answer of the agent: everything differs."""
    agent.answers["diff"] = SimpleNamespace(report=reports.full())
    return agent


@pytest.mark.parametrize(
    ("form", "render"), [("md", diff_md.markdown), ("html", diff_html.page_of)]
)
def test_documents_are_the_renderings_and_nothing_else(
    osupdate, compared, form, render
):
    code, out, err = osupdate("diff", "--format", form)
    assert (code, err) == (0, "")
    assert out == render(reports.full())


def test_json_is_asked_for_in_two_ways(osupdate, compared):
    _, one, _ = osupdate("diff", "--format", "json")
    _, other, _ = osupdate("--json", "diff")
    _, both, _ = osupdate("--json", "diff", "--format", "html")
    assert one == other == both
    assert json.loads(one) == diff_json.to_json(reports.full())


@pytest.mark.parametrize("form", ["text", "md", "html", "json"])
def test_the_exit_code_tells_in_every_format(osupdate, compared, form):
    assert osupdate("diff", "--format", form, "--exit-code")[0] == 1


@pytest.mark.parametrize("form", ["md", "html", "json"])
@pytest.mark.parametrize("view", ["--packages", "--files"])
def test_a_view_of_text_is_refused_in_another_format(osupdate, compared, form, view):
    code, out, err = osupdate("diff", view, "--format", form)
    assert (code, out) == (2, "")
    assert f"{view} is a view of text; {form} has it all" in err
    assert compared.asked == []


@pytest.mark.parametrize("view", [[], ["--files"], ["--packages"]])
def test_colour_is_laid_over_the_same_words(osupdate, compared, view):
    _, plain, _ = osupdate("diff", *view)
    _, painted, _ = osupdate("diff", *view, "--color", "always")
    assert "\033" not in plain
    assert "\033[1m" in painted
    for code in (1, 31, 32, 33, 36, 0):
        painted = painted.replace(f"\033[{code}m", "")
    assert painted == plain


def test_html_without_its_library_is_one_sentence(osupdate, compared, monkeypatch):
    page._environment.cache_clear()
    monkeypatch.setitem(sys.modules, "jinja2", None)
    code, out, err = osupdate("diff", "--format", "html")
    assert (code, out) == (1, "")
    assert "HTML needs the Python package Jinja2" in err
    assert "pip install 'osupdate[site]'" in err
