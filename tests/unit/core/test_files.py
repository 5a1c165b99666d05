import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.core import files, tree
from updater.errors import UntrustedError
from updater.model import GitMode, ObjectId, TreeEntry

A, B = "a" * 40, "b" * 40
HEAD = b"osupdate-files 1\n"
ROW = b"100644 " + A.encode() + b" - /etc/motd\n"


def entry(path, mode=GitMode.FILE, oid=A):
    return TreeEntry(path, mode, ObjectId(oid))


def refusal(data):
    with pytest.raises(UntrustedError) as caught:
        files.parse(data)
    assert caught.value.check == "F3"
    return str(caught.value)


def test_a_list_has_mode_id_owner_and_path_sorted_by_path():
    entries = [
        entry(b"usr/bin/x y", GitMode.EXECUTABLE, B),
        entry(b"etc/motd"),
        entry(b"bin", GitMode.SYMLINK, B),
    ]
    owners = {b"usr/bin/x y": "x-tools", b"bin": "base-files"}
    assert files.write(entries, owners.get) == (
        b"osupdate-files 1\n"
        b"120000 " + B.encode() + b" base-files /bin\n"
        b"100644 " + A.encode() + b" - /etc/motd\n"
        b"100755 " + B.encode() + b" x-tools /usr/bin/x\\x20y\n"
    )


def test_an_empty_list_is_its_header():
    assert files.write([], {}.get) == HEAD
    assert files.parse(HEAD) == files.Files((), {})


PATHS = st.lists(
    st.binary(min_size=1, max_size=8).filter(tree.safe_name), min_size=1, max_size=3
).map(b"/".join)
OWNERS = st.none() | st.text(min_size=1, max_size=9).filter(lambda name: name != "-")


@given(st.dictionaries(PATHS, st.tuples(st.sampled_from(list(GitMode)[1:]), OWNERS)))
def test_what_is_written_is_read_back(rows):
    held = {path: row for path, row in rows.items() if not _is_above(path, rows)}
    entries = [entry(path, mode) for path, (mode, _) in held.items()]
    data = files.write(entries, lambda path: held[path][1])
    found = files.parse(data)
    assert found.entries == tuple(sorted(entries, key=lambda one: one.path))
    assert found.owners == {path: o for path, (_, o) in held.items() if o is not None}
    assert files.write(found.entries, found.owners.get) == data


def _is_above(path, paths):
    return any(other.startswith(path + b"/") for other in paths)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "line 1: the last line does not end"),
        (HEAD[:-1], "line 1: the last line does not end"),
        (b"osupdate-files 2\n", 'line 1: expected "osupdate-files 1"'),
        (HEAD + ROW[:-1], "line 2: the last line does not end"),
        (HEAD + b"\n", 'line 2: expected "mode id owner path"'),
        (HEAD + ROW + ROW, "line 3: /etc/motd is not sorted"),
        (HEAD + ROW.replace(b"100644", b"100664"), "line 2: mode"),
        (HEAD + ROW.replace(b"100644", b"40000"), "line 2: mode"),
        (HEAD + ROW.replace(b"aa", b"AA"), "line 2: id"),
        (HEAD + ROW.replace(b"aa ", b" "), "line 2: id"),
        (HEAD + ROW.replace(b" - ", b" "), 'line 2: expected "mode id owner path"'),
        (HEAD + ROW.replace(b" - ", b"  "), "line 2: owner"),
        (HEAD + ROW.replace(b" - ", b" \\xff "), "line 2: 'utf-8'"),
        (HEAD + ROW.replace(b" - ", b" " + b"x" * 1025 + b" "), "line 2: owner"),
        (HEAD + ROW.replace(b"/etc", b"etc"), "line 2: path"),
        (HEAD + ROW.replace(b"motd", b".."), "line 2: path"),
        (HEAD + ROW.replace(b"motd", b".git"), "line 2: path"),
        (HEAD + ROW.replace(b"motd", b"m\\x6ftd"), "line 2: path"),
        (HEAD + ROW.replace(b"motd", b"m\xf6td"), "line 2: path"),
        (HEAD + ROW.replace(b"\n", b"\r\n"), "line 2: path"),
        (HEAD + ROW + ROW.replace(b"motd", b"motd/x"), "line 3: /etc/motd is a file"),
    ],
)
def test_what_the_format_does_not_say_is_refused_with_its_line(data, reason):
    message = refusal(data)
    assert message.startswith(f"files {reason}")
    assert message.isprintable()


def test_a_file_between_a_directory_and_what_is_in_it_hides_nothing():
    first, second, third = (
        ROW.replace(b"motd", name) for name in (b"a", b"a-b", b"a/b")
    )
    assert "line 4: /etc/a is a file" in refusal(HEAD + first + second + third)


@pytest.mark.parametrize("name", [b"GIT~1", b"git~1", b".git", b"..", b"x" * 256])
def test_a_name_is_held_to_the_rules_in_a_directory_that_is_known(name):
    above = ROW.replace(b"motd", b"!")
    assert "line 3: path" in refusal(HEAD + above + ROW.replace(b"motd", name))


def test_a_directory_is_not_taken_for_one_that_is_escaped_otherwise():
    above = ROW.replace(b"etc", b"a\\x5cx20b")
    below = ROW.replace(b"etc", b"a\\x20b")
    assert files.parse(HEAD + below + above).entries[0].path == b"a b/motd"
    assert "line 3: /a b/motd is not sorted" in refusal(HEAD + above + below)


def test_more_files_than_a_release_can_have_are_refused_unread():
    assert "more than 1000000" in refusal(HEAD + b"x\n" * 1_000_001)
