import pytest

from updater.core import manifest
from updater.core.rootfs import Kind, Node, describe, resolve
from updater.model import Metadata


def node(path, kind=Kind.FILE, mode=0o644, uid=0, gid=0, **kw):
    return Node(path, kind, mode, uid, gid, **kw)


def described(*nodes):
    return describe({n.path: n for n in nodes})


def test_what_git_says_by_itself_is_left_out():
    assert (
        described(
            node(b"usr", Kind.DIRECTORY, 0o755),
            node(b"usr/sh", mode=0o755),
            node(b"usr/text"),
            node(b"usr/link", Kind.SYMLINK, 0o777, target=b"sh"),
        )
        == {}
    )


def test_a_directory_without_files_below_it_is_one_that_git_cannot_hold():
    found = described(
        node(b"dev", Kind.DIRECTORY, 0o755),
        node(b"dev/null", Kind.CHAR, 0o666, dev=(1, 3)),
        node(b"run", Kind.DIRECTORY, 0o700),
    )
    assert found == {
        b"dev": Metadata(type="dir"),
        b"dev/null": Metadata(type="char", dev=(1, 3), mode=0o666),
        b"run": Metadata(type="dir", mode=0o700),
    }
    manifest.check_against_tree(found, [])


def test_the_first_name_of_a_file_is_the_target_of_the_others():
    found = described(
        node(b"b", link=(1, 7), mode=0o4755, gid=5),
        node(b"a", link=(1, 7), mode=0o4755, gid=5),
        node(b"c", link=(1, 8)),
    )
    assert found == {
        b"a": Metadata(mode=0o4755, gid=5),
        b"b": Metadata(hardlink=b"a"),
    }


def test_a_symlink_has_an_owner_and_no_mode():
    assert described(node(b"l", Kind.SYMLINK, 0o777, uid=8, target=b"x")) == {
        b"l": Metadata(uid=8)
    }


def test_a_private_file_and_an_odd_executable_bit_keep_their_modes():
    found = described(node(b"a", mode=0o600), node(b"b", mode=0o611))
    assert found == {b"a": Metadata(mode=0o600), b"b": Metadata(mode=0o611)}


def tree(**links):
    """A root filesystem with usr/doc/log, and symlinks to their targets."""
    made = {
        b"usr": node(b"usr", Kind.DIRECTORY),
        b"usr/doc": node(b"usr/doc", Kind.DIRECTORY),
        b"usr/doc/log": node(b"usr/doc/log"),
    }
    for name, target in links.items():
        path = name.replace("__", "/").encode()
        made[path] = node(path, Kind.SYMLINK, target=target.encode())
    return made.get


@pytest.mark.parametrize(
    ("links", "path"),
    [
        ({}, b"usr/doc/log"),
        ({"doc": "usr/doc"}, b"doc/log"),
        ({"doc": "/usr/doc"}, b"doc/log"),
        ({"usr__log": "doc/log"}, b"usr/log"),
        ({"usr__log": "../usr/./doc//log"}, b"usr/log"),
        ({"usr__log": "../../../../usr/doc/log"}, b"usr/log"),
        ({"a": "b", "b": "usr", "usr__c": "../a/doc"}, b"usr/c/log"),
    ],
)
def test_a_file_is_found_through_links_as_from_inside(links, path):
    assert resolve(path, tree(**links)) == node(b"usr/doc/log")


@pytest.mark.parametrize(
    ("links", "path"),
    [
        ({}, b"usr/doc"),
        ({}, b"usr/doc/log/x"),
        ({}, b"usr/none"),
        ({}, b""),
        ({"a": "b", "b": "a"}, b"a"),
        ({"a": "a/a"}, b"a"),
        ({"a": "usr/none"}, b"a"),
        ({"a": ".."}, b"a"),
        ({"a": ""}, b"a"),
    ],
)
def test_what_is_no_file_is_not_found_and_links_end(links, path):
    assert resolve(path, tree(**links)) is None
