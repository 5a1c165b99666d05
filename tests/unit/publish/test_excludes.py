import pytest

from updater.core.rootfs import Kind, Node
from updater.errors import UsageError
from updater.publish.defaults import DEFAULT_EXCLUDES
from updater.publish.excludes import Selection


def kept(paths, excludes, includes=()):
    nodes = {}
    for text in paths:
        path = text.strip("/").encode()
        kind = Kind.DIRECTORY if text.endswith("/") else Kind.FILE
        nodes[path] = Node(path, kind, 0o755, 0, 0)
    made = Selection(excludes, includes)
    entered = {
        p: n
        for p, n in nodes.items()
        if all(made.enter(p[:i]) for i, c in enumerate(p) if c == 0x2F)
    }
    return {path.decode() for path in made.select(entered)}


def test_the_content_of_a_directory_goes_and_the_directory_stays():
    paths = ["proc/", "proc/1/", "proc/1/stat", "etc/", "etc/passwd", "procx"]
    assert kept(paths, ["/proc/*"]) == {"proc", "etc", "etc/passwd", "procx"}


def test_two_stars_take_files_and_leave_directories():
    paths = ["var/log/", "var/log/a.log", "var/log/apt/", "var/log/apt/b.log"]
    assert kept(paths, ["/var/log/**"]) >= {"var/log", "var/log/apt"}
    assert not any(p.endswith(".log") for p in kept(paths, ["/var/log/**"]))


def test_a_pattern_without_a_slash_is_a_name_anywhere():
    paths = ["a/", "a/x.o", "a/b/", "a/b/y.o", "a/b/o"]
    assert kept(paths, ["*.o"]) == {"a", "a/b", "a/b/o"}


def test_a_star_does_not_cross_a_slash():
    assert kept(["a/", "a/b/", "a/b/c", "a/c"], ["/a/*c"]) == {"a", "a/b", "a/b/c"}


def test_an_excluded_directory_goes_with_all_below_it():
    assert kept(["opt/", "opt/x/", "opt/x/y", "z"], ["/opt/x"]) == {"opt", "z"}


def test_an_include_brings_back_one_path_and_the_directories_above_it():
    paths = ["run/", "run/lock/", "run/lock/keep", "run/lock/drop", "run/other"]
    assert kept(paths, ["/run/*"], ["/run/lock/keep"]) == {
        "run",
        "run/lock",
        "run/lock/keep",
    }


def test_a_question_mark_and_a_set_match_one_byte():
    paths = ["a1", "a2", "a10", "b1"]
    assert kept(paths, ["/a?"]) == {"a10", "b1"}
    assert kept(paths, ["/[ab]1"]) == {"a2", "a10"}


def test_characters_of_expressions_mean_themselves():
    assert kept(["a.b", "axb", "c++"], ["/a.b", "/c++"]) == {"axb"}


def test_the_defaults_keep_what_a_system_needs_at_boot():
    paths = [
        *("dev/", "dev/null", "proc/", "sys/", "run/", "run/x", "tmp/", "tmp/x"),
        *("var/tmp/", "var/tmp/x", "var/log/", "var/log/apt/", "var/log/apt/term.log"),
        *("var/lib/apt/lists/", "var/lib/apt/lists/x", "var/lib/dpkg/status"),
        *(".dockerenv", "etc/os-release", "home/tmp/x", "srv/proc/x"),
    ]
    found = kept(paths, [pattern for pattern, _ in DEFAULT_EXCLUDES])
    assert found >= {"dev", "proc", "sys", "run", "tmp", "var/tmp", "var/log/apt"}
    assert found >= {"var/lib/dpkg/status", "etc/os-release", "home/tmp/x"}
    assert found >= {"srv/proc/x", "var/lib/apt/lists"}
    assert not {"dev/null", "run/x", "tmp/x", "var/log/apt/term.log"} & found
    assert not {"var/lib/apt/lists/x", ".dockerenv", "var/tmp/x"} & found


@pytest.mark.parametrize(
    "pattern", ["", "/", "/a/../b", "/a//b", "./x", "**", "/a/**/b"]
)
def test_a_pattern_that_means_nothing_is_refused(pattern):
    with pytest.raises(UsageError, match="pattern"):
        Selection([pattern])
