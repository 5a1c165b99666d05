"""The manual, the completion and the tables say what the program does."""

import re
from pathlib import Path

import pytest

from updater.cli import topics
from updater.cli.parser import build
from updater.model import Phase

DOCS = Path(__file__).parents[2] / "docs"
MANUAL = (DOCS / "man/osupdate.8").read_text().replace("\\-", "-")
COMPLETION = (DOCS / "completion/osupdate.bash").read_text()


def verbs():
    parser = build()
    [subparsers] = [a for a in parser._actions if hasattr(a.choices, "items")]
    return subparsers.choices


def options(parser):
    """Those of a parser, and of the verbs below it."""
    found = {name for action in parser._actions for name in action.option_strings}
    below = [a.choices for a in parser._actions if hasattr(a.choices, "items")]
    if parser.prog != "osupdate":
        found = found.union(*(options(p) for c in below for p in c.values()))
    return found


GLOBAL = options(build())


def has_word(text, word):
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) is not None


@pytest.mark.parametrize("verb", sorted(verbs()))
def test_the_manual_has_the_command_with_every_option(verb):
    match = re.search(
        rf'^\.SS "?{verb}\b.*?(?=^\.S[SH] )', MANUAL, re.MULTILINE | re.DOTALL
    )
    assert match, f"no section on {verb}"
    missing = [
        name for name in options(verbs()[verb]) - GLOBAL if not has_word(match[0], name)
    ]
    assert not missing


def test_the_manual_has_every_global_option():
    assert not [name for name in GLOBAL if not has_word(MANUAL, name)]


def test_the_manual_names_no_option_that_does_not_exist():
    known = set().union(GLOBAL, *(options(parser) for parser in verbs().values()))
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", MANUAL))
    assert named <= known


@pytest.mark.parametrize("verb", sorted(verbs()))
def test_the_completion_has_the_command_with_every_option(verb):
    assert has_word(COMPLETION, verb)
    own = options(verbs()[verb]) - GLOBAL - {"--version"}
    if not own:
        return
    match = re.search(rf"(?ms)^        {verb}\).*?;;", COMPLETION)
    assert match, f"no case for {verb}"
    assert not [name for name in own if not has_word(match[0], name)]


def test_the_completion_has_every_long_global_option():
    long = [name for name in GLOBAL if name.startswith("--")]
    assert not [name for name in long if not has_word(COMPLETION, name)]


def test_every_command_has_an_example_or_needs_none():
    for name, parser in verbs().items():
        assert parser.description, name
        assert parser.epilog, name
        assert f"osupdate {name}" in parser.epilog


def test_the_exit_codes_of_the_document_are_those_of_the_help():
    text = (DOCS / "exit-codes.md").read_text()
    rows = re.findall(r"^\| (\d+) \| (.*?) \|$", text, re.MULTILINE)
    assert [(int(code), meaning) for code, meaning in rows] == list(topics.EXIT_CODES)


@pytest.mark.parametrize(
    "path",
    [DOCS.parent / "README.md", *sorted(DOCS.glob("*.md"))],
    ids=lambda path: path.name,
)
def test_links_between_documents_lead_somewhere(path):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text())
    assert not [link for link in links if not (path.parent / link).exists()]


def test_the_readme_draws_the_phases_of_the_machine():
    text = (DOCS.parent / "README.md").read_text()
    picture = text.partition("## The phases")[2].split("```")[1]
    drawn = set(re.findall(r"[a-z]+(?= ->)|(?<=-> )[a-z]+", picture))
    assert drawn == {phase.value for phase in Phase}
