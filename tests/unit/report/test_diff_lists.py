"""The long lists, and the sections of the summary, of every report."""

import unicodedata

import pytest
from support import reports

from updater.report import diff_lists, diff_text
from updater.report.diff_json import to_json
from updater.report.layout import columns

VIEWS = {
    "summary": diff_text.summary,
    "packages": diff_text.packages,
    "files": diff_text.files,
    "changelogs": diff_lists.changelogs,
    "unexplained": diff_lists.unexplained,
}
REPORTS = {
    name: getattr(reports, name)
    for name in ("full", "hostile")
    if hasattr(reports, name)
}
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("report", REPORTS)
def test_nothing_in_a_report_can_move_the_cursor(report, view):
    text = VIEWS[view](REPORTS[report]())
    assert text
    for line in text.split("\n"):
        assert not HIDDEN & set(map(unicodedata.category, line))


@pytest.mark.parametrize("width", [80, 100, 120])
@pytest.mark.parametrize("report", REPORTS)
def test_lines_of_the_summary_fit_but_for_commands(report, width):
    for line in diff_text.summary(REPORTS[report](), width).split("\n"):
        assert columns(line) <= width or "osupdate diff" in line


def test_sections_stand_in_their_order():
    text = diff_text.summary(reports.full())
    order = ["ATTENTION", "SECURITY", "KERNEL", "PACKAGES", "CONFIG", "UNITS", "USERS"]
    order += ["UNEXPLAINED", "FILES", "METADATA"]
    heads = [line.split()[0] for line in text.split("\n") if line[:1].isupper()]
    assert [head for head in heads if head in order] == order


def test_every_danger_of_the_story_has_its_command_whole():
    report = reports.full()
    text = diff_text.summary(report)
    for one in report.attention:
        assert " ".join(("osupdate", *one.more)) in text
        assert one.package is None or f"({one.package})" in text


def test_the_changelogs_are_told_whole():
    report = reports.full()
    text = diff_lists.changelogs(report)
    for log in report.changelogs:
        assert f"{log.source}  " in text
        for entry in log.entries:
            assert all(line.strip() in text for line in entry.lines)


def test_what_is_told_by_a_channel_says_so_at_the_top():
    report = reports.report(told="channel", unknown=("users and groups",))
    lines = diff_text.summary(report).split("\n")
    assert "! As told by the channel: the content is not here yet." in lines
    assert "! Known after the download: users and groups." in lines


def test_a_problem_is_told_in_every_view():
    report = reports.report(problems=("x cannot be read",))
    for view in VIEWS.values():
        assert "! X cannot be read" in view(report)


def test_json_has_the_sections_of_the_story():
    found = to_json(reports.full())
    for section in ("attention", "security", "config", "units", "users"):
        assert found[section], section
