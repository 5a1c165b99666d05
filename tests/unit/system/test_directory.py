import os

import pytest

from updater.core.rootfs import Kind
from updater.system.rootfs import Directory


@pytest.fixture
def root(tmp_path):
    made = tmp_path / "root"
    (made / "usr/share").mkdir(parents=True)
    (made / "usr/share/a").write_text("a")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("s")
    os.symlink("../outside", made / "out")
    os.symlink("usr", made / "in")
    return Directory(str(made))


def test_what_is_at_a_path_is_found_without_a_walk(root):
    node = root.lookup(b"usr/share/a")
    assert (node.path, node.kind, node.size) == (b"usr/share/a", Kind.FILE, 1)
    assert root.read(node) == b"a"
    assert root.lookup(b"usr").kind is Kind.DIRECTORY
    assert root.lookup(b"out").target == b"../outside"


@pytest.mark.parametrize(
    "path",
    [b"none", b"usr/none/a", b"usr/share/a/b", b"out/secret", b"in/share/a", b""],
)
def test_nothing_is_found_behind_a_link_or_a_file(root, path):
    assert root.lookup(path) is None
