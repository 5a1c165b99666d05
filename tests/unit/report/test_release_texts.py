"""log, notes, when and blame as people read them."""

import stat

import pytest
from msgspec.structs import replace
from support.fake_agent import NOW, offer
from support.releases import HOSTILE, assert_tame, known

from updater.core.changes import Change, Changes
from updater.core.provenance import Recipe
from updater.core.question import parse
from updater.report import blame, log, notes, when
from updater.report.blame import Blame, Local, Look
from updater.report.log import Log, Row
from updater.report.notes import Changed, Notes
from updater.report.when import Answer, Found

OLD = known("2026.04.1", 1, headline="sshd: no password logins")
NEW = known("2026.05.1", 2, headline="OpenSSH fix (CVE-2024-6387), kernel 6.1.94")


def make_log(*rows, **kw):
    values = {
        "name": "stable",
        "rows": rows,
        "paths": (),
        "offer": None,
        "complete": True,
        "oldest": OLD,
        "untold": (),
        "local": True,
    }
    return Log(**{**values, **kw})


def test_the_log_is_a_table_with_a_dot_at_what_runs():
    rows = (Row(NEW, "staged", gap=False), Row(OLD, "running", gap=False))
    assert log.text(make_log(*rows)) == [
        "  RELEASE    DATE        HERE       HEADLINE",
        f"  2026.05.1  2026-02-04  staged     {NEW.headline}",
        "● 2026.04.1  2026-02-03  running    sshd: no password logins",
    ]


def test_the_log_of_a_repository_has_no_here():
    lines = log.text(make_log(Row(OLD, "", gap=False), local=False))
    assert lines[0] == "  RELEASE    DATE        HEADLINE"


def test_the_log_says_where_knowledge_ends():
    text = "\n".join(log.text(make_log(Row(NEW, "", gap=True), complete=False)))
    assert "  ...  releases in between are not known here" in text
    assert "back to 2026.04.1; older and" in text
    assert 'history = "full"' in text
    text = "\n".join(log.text(make_log(paths=(b"etc/x",), untold=("1", "2", "3", "4"))))
    assert text.startswith("No release that is known here changed /etc/x\n")
    assert "What 1, 2, 3 and 1 more changed is not known here." in text
    assert log.text(make_log(oldest=None)) == ["No release is known here yet"]


def test_a_change_that_came_in_a_gap_is_said_to_be_one():
    row = Row(NEW, "", gap=False, since="2026.03.9")
    assert "or a release before it, after 2026.03.9" in log.text(make_log(row))[2]


def test_an_offer_that_is_not_here_is_a_row():
    line = log.text(make_log(offer=offer()))[1]
    assert line.startswith("  2026.05.1              available")
    assert "osupdate apply --download-only" in line


def change(**kw):
    values = {
        "version": "1:9.2p1-2+deb12u3",
        "release": 2,
        "date": None,
        "urgency": "high",
        "distribution": "bookworm-security",
        "security": True,
        "news": False,
        "cves": ("CVE-2024-6387",),
        "text": ("a fix",),
        "cut": 0,
    }
    return Change(**{**values, **kw})


FULL = Notes(
    known=NEW,
    here="running",
    markdown=f"# {NEW.headline}\n\nWhy now: <!-- x -->read.\n",
    changes=Changes(
        1,
        {
            "openssh": (change(), change(news=True, text=("Look out.",), cut=2)),
            "curl": (change(cves=(), urgency="low", security=True),),
            "vim": (change(cves=(), security=False),),
        },
    ),
    brief=("17 packages (2 security), 3 config", "setuid: /usr/bin/x, new"),
    changed=Changed("2026.04.1", 17, 2, 3, 312, comparable=True),
    recipe=Recipe("https://git.example.org/recipe", "3f2c9a1"),
)


def test_notes_come_in_layers():
    text = "\n".join(notes.text(FULL))
    parts = (
        "2026.05.1 - OpenSSH fix (CVE-2024-6387), kernel 6.1.94 ",
        "Why now: read.",
        "NEWS       openssh 1:9.2p1-2+deb12u3",
        "  Look out.",
        "  ... 2 more lines",
        "ATTENTION",
        "  ! setuid: /usr/bin/x, new",
        "SECURITY   2 sources, 1 CVE",
        "  openssh",
        "                 CVE-2024-6387",
        "  curl",
        "Changed:  17 packages (2 security), 3 config since 2026.04.1",
        "full: osupdate diff 2026.04.1..2026.05.1",
        "Source:   https://git.example.org/recipe at 3f2c9a1",
        "Release:  commit 020202020202, signed by a release key, running here",
    )
    assert [part for part in parts if part not in text] == []
    place = 0
    for part in parts:
        place = text.index(part, place) + len(part)
    assert "vim" not in text
    assert max(map(len, notes.text(FULL))) <= 80


def test_a_message_that_says_the_same_as_the_notes_is_shown_once():
    one = Notes(known("1", 1, text="Why now."), "", "What changed in 1\n\nWhy now.\n")
    assert "\n".join(notes.text(one)).count("Why now.") == 1
    two = Notes(known("1", 1, text="Signed."), "", "What changed in 1\n\nOther.\n")
    text = "\n".join(notes.text(two))
    assert text.index("Signed.") < text.index("Other.")


def test_without_a_kept_report_the_numbers_are_counted():
    lines = notes.text(replace(FULL, brief=()))
    counts = "17 packages, 2 security, 3 config, 312 paths since 2026.04.1"
    assert f"Changed:  {counts}" in lines
    assert "ATTENTION" not in lines


def test_thousands_of_vulnerabilities_take_a_line():
    many = tuple(f"CVE-2026-{number}" for number in range(10_000, 13_000))
    told = Changes(1, {"linux": (change(cves=many),)})
    lines = notes.text(Notes(NEW, "", changes=told))
    assert any(line.endswith("and 2,997 more") for line in lines)
    assert len(lines) < 20


def test_of_an_offer_only_the_way_to_its_notes_is_told():
    lines = notes.text(Notes(None, "available", offer=offer()))
    assert lines[0] == "2026.05.1 (4be1a90) is offered, and its notes are not here"


def found(release, version, has=True, here=""):
    return Found(release, has, version, here)


def answer(text, **kw):
    values = {
        "question": parse(text),
        "channel": "stable",
        "newest": None,
        "first": None,
        "exact": True,
        "running": None,
        "staged": None,
        "offer": None,
        "asked": 2,
        "oldest": OLD,
        "complete": True,
        "local": True,
    }
    return Answer(**{**values, **kw})


STAGED = found(NEW, "20.10.24", here="staged")
RUNS = found(OLD, "20.10.5", has=False)
SENTENCES = [
    (
        {"newest": STAGED, "first": STAGED, "running": RUNS, "staged": STAGED},
        "Yes: docker.io 20.10.24, since 2026.05.1 (2026-02-04); it is staged here",
    ),
    (
        {"newest": STAGED, "first": STAGED, "running": STAGED},
        "Yes: docker.io 20.10.24, since 2026.05.1 (2026-02-04); it runs here",
    ),
    (
        {
            "newest": found(NEW, "20.10.25"),
            "first": found(OLD, "20.10.24"),
            "running": found(OLD, "20.10.24"),
        },
        "Yes: docker.io 20.10.24, since 2026.04.1 (2026-02-03), 20.10.25 in 2026.05.1 "
        "(2026-02-04); 20.10.24 runs here",
    ),
    (
        {"newest": STAGED, "first": STAGED, "running": RUNS},
        "Yes: docker.io 20.10.24, since 2026.05.1 (2026-02-04); not in 2026.04.1, ",
    ),
    (
        {"newest": RUNS},
        "Not yet: 2026.04.1, the newest release known here, has docker.io 20.10.5, not "
        ">= 20.10.24",
    ),
    (
        {"newest": found(OLD, None, has=False)},
        "Not yet: 2026.04.1, the newest release known here, has no package docker.io",
    ),
    (
        {"newest": found(NEW, "1", has=False), "first": found(OLD, "21")},
        "No longer: docker.io >= 20.10.24 was in 2026.04.1 (2026-02-03); 2026.05.1",
    ),
    ({"newest": found(OLD, None, has=None)}, "Not known: what packages 2026.04.1 has"),
    ({}, "Not known: no release is known here yet"),
]


@pytest.mark.parametrize(("facts", "sentence"), SENTENCES)
def test_when_answers_in_its_first_words(facts, sentence):
    text = " ".join(when.text(answer("docker.io >= 20.10.24", **facts)))
    assert text.startswith(sentence)


def test_when_says_what_it_does_not_know():
    text = "\n".join(
        when.text(answer("x", newest=RUNS, offer=offer(), complete=False, exact=False))
    )
    assert "2026.05.1 is offered and not downloaded" in text
    assert "Asked: 2 releases known here, back to 2026.04.1" in text


def test_when_of_a_vulnerability_never_says_that_there_is_none():
    told = " ".join(when.text(answer("CVE-2024-6387", newest=found(OLD, None, False))))
    assert told.startswith(
        "Not said: no release that is known here names CVE-2024-6387"
    )
    assert "what they leave out is not found" in told
    named = found(NEW, None)
    told = " ".join(when.text(answer("CVE-2024-6387", newest=named, first=named)))
    assert told.startswith(
        "Yes: CVE-2024-6387 is named by the notes, and by no changelog"
    )
    fixed = found(NEW, "openssh 1:9.2")
    told = " ".join(when.text(answer("CVE-2024-6387", newest=fixed, first=fixed)))
    assert told.startswith("Yes: CVE-2024-6387 is fixed by openssh 1:9.2, since")


def look(mode=0o100644, size=3200, owner="root:root"):
    return Look(mode, 0, 0, size, owner)


def make_blame(**kw):
    values = {
        "asked": b"etc/ssh/sshd_config",
        "path": b"etc/ssh/sshd_config",
        "state": "modified",
        "release": NEW,
        "released": look(),
        "here": look(),
        "local": Local(NOW - 3600, 2, 0),
        "package": blame.Package(
            "openssh-server", "1:9.2p1-2", "openssh", conffile=True
        ),
        "packages_known": True,
        "origin": "overlay/etc/ssh/sshd_config",
        "recipe": Recipe("https://git.example.org/recipe", "3f2c9a1"),
        "changes": (NEW, OLD),
        "of": 2,
        "oldest": OLD,
        "since": None,
        "target": None,
        "closed": False,
        "now": NOW,
    }
    return Blame(**{**values, **kw})


def test_blame_tells_where_a_file_is_managed():
    assert blame.text(make_blame()) == [
        "/etc/ssh/sshd_config   0644 root:root 3.2 kB   MODIFIED HERE",
        " here      2 lines added, 0 removed, 2026-05-16 13:02 UTC (1h ago)",
        "           take back: osupdate restore /etc/ssh/sshd_config",
        " package   openssh-server 1:9.2p1-2 (conffile, source openssh), then "
        "overridden by:",
        " source    overlay/etc/ssh/sshd_config in https://git.example.org/recipe at "
        "3f2c9a1",
        " shipped   in 2026.05.1 (0202020, 2026-02-04), which runs",
        f" changed   2026.05.1 (0202020, 2026-02-04): {NEW.headline}",
        " before    1 earlier change in 2 releases   osupdate log -- "
        "/etc/ssh/sshd_config",
    ]


def test_blame_without_anything_known_says_so():
    text = "\n".join(
        blame.text(
            make_blame(
                state="clean", local=None, package=None, origin=None, recipe=None,
                changes=(), of=0, packages_known=False,
            )
        )
    )  # fmt: skip
    assert "as released" in text
    assert " package   not known" in text
    assert " changed   not known: no release before it was here" in text


def test_blame_of_a_type_that_changed_names_both():
    lines = blame.text(
        make_blame(
            here=look(stat.S_IFLNK | 0o777, 5), target=b"/dev/null",
            local=Local(None, None, None),
        )
    )  # fmt: skip
    assert lines[0].startswith("/etc/ssh/sshd_config   0777 root:root -> /dev/null")
    assert "was a file" in lines[1]


def test_blame_of_a_closed_deployment_says_who_may_look():
    lines = blame.text(
        make_blame(closed=True, state="unknown", local=None, package=None)
    )
    assert "only root may look" in lines[1]


EVIL = known(HOSTILE[:30], 3, headline=HOSTILE, text=HOSTILE, source=HOSTILE)
EVIL_BYTES = HOSTILE.encode("utf-8", "surrogatepass")
EVIL_FOUND = found(EVIL, HOSTILE, here="running")
EVIL_CHANGE = change(
    version=HOSTILE, urgency=HOSTILE, text=(HOSTILE,), cves=("CVE-2024-6387",)
)
TEXTS = {
    "log": log.text(
        make_log(
            Row(EVIL, "running", gap=True, since=HOSTILE),
            paths=(EVIL_BYTES,), untold=(HOSTILE,), oldest=EVIL, complete=False,
            offer=offer(version=HOSTILE),
        )
    ),
    "notes": notes.text(
        Notes(
            EVIL, HOSTILE[:0], markdown=f"# {HOSTILE}\n\n{HOSTILE}",
            changes=Changes(1, {
                HOSTILE: (EVIL_CHANGE, replace(EVIL_CHANGE, news=True)),
            }),
            brief=(HOSTILE, HOSTILE),
            changed=Changed(HOSTILE, 1, 1, 1, 1, comparable=True),
            recipe=Recipe(HOSTILE, HOSTILE),
        )
    ),
    "offer": notes.text(Notes(None, "available", offer=offer(version=HOSTILE))),
    "when": when.text(
        answer("x >= 1", newest=EVIL_FOUND, first=EVIL_FOUND, running=EVIL_FOUND,
               exact=False, offer=offer(version=HOSTILE), oldest=EVIL, complete=False,
               channel=HOSTILE)
    ),
    "not yet": when.text(answer("x", newest=found(EVIL, HOSTILE, has=False))),
    "blame": blame.text(
        make_blame(
            asked=EVIL_BYTES, path=EVIL_BYTES + b"/x", release=EVIL, oldest=EVIL,
            here=look(owner=HOSTILE), released=look(0o100600, owner=HOSTILE),
            package=blame.Package(HOSTILE, HOSTILE, HOSTILE, conffile=True),
            origin=HOSTILE, recipe=Recipe(HOSTILE, HOSTILE), changes=(EVIL, EVIL),
            since=HOSTILE, target=EVIL_BYTES,
        )
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_nothing_that_a_release_says_is_obeyed_by_a_terminal(name):
    lines = TEXTS[name]
    assert "pwned" in "\n".join(lines), "the hostile text is shown, only tamed"
    for line in lines:
        assert_tame(line)
