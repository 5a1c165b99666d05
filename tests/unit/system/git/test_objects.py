"""An object database over packs and over the files of deployments."""

import os

import pytest

from updater.core.index import Row
from updater.core.tree import object_id
from updater.errors import HostError, UntrustedError
from updater.system import checkout
from updater.system.checkout.directories import Directories
from updater.system.git import objects
from updater.system.git.objects import DeploymentBlobs, open_objects, require_libgit2
from updater.system.git.pack import PackWriter


@pytest.fixture
def deployment(tmp_path):
    """deployment(files) -> DeploymentBlobs; a value of type str is a symlink."""
    top = tmp_path / "deployment"
    opened = []

    def make(files):
        rows = {}
        top.mkdir()
        root = os.open(top, os.O_RDONLY)
        opened.append(root)
        for name, given in files.items():
            path = top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(given, str):
                path.symlink_to(given)
            else:
                path.write_bytes(given)
            content = given.encode() if isinstance(given, str) else given
            directories = Directories(root)
            parent, _, base = os.fsencode(name).rpartition(b"/")
            found = checkout.stat_entry(directories.open(parent), base)
            directories.close()
            ids = [object_id("blob", content, kind) for kind in ("sha1", "sha256")]
            rows[os.fsencode(name)] = Row(*ids, found)
        return DeploymentBlobs(root, rows)

    yield make
    for fd in opened:
        os.close(fd)


def blob(content):
    return object_id("blob", content, "sha1").hex()


def test_blobs_are_read_out_of_a_deployment(deployment):
    large = os.urandom(1 << 20)
    found = open_objects([], [deployment({"a": b"one", "d/b": large, "l": "target"})])
    for content in (b"one", large, b"target"):
        oid = blob(content)
        assert oid in found
        assert found.read_blob(oid) == content
        assert bytes(found.blob(oid)) == content
        assert found.header(oid) == ("blob", len(content))


def test_what_changed_since_is_not_there(deployment, tmp_path):
    source = deployment({"a": b"one", "b": b"two", "d/c": b"three", "l": "target"})
    top = tmp_path / "deployment"
    (top / "a").write_bytes(b"ONE")  # the same size
    (top / "b").unlink()
    (top / "d").rename(top / "e")
    (top / "d").symlink_to("e")
    (top / "l").unlink()
    (top / "l").symlink_to("TARGET")
    found = open_objects([], [source])
    for content in (b"one", b"two", b"three", b"target"):
        with pytest.raises(KeyError):
            found.read(blob(content))
        with pytest.raises(UntrustedError, match=r"is missing.*F2"):
            found.read_blob(blob(content))


def test_a_pack_is_asked_before_a_deployment(deployment, tmp_path):
    writer = PackWriter(str(tmp_path / "objects/pack"))
    oid = writer.add("blob", b"one")
    writer.finish()
    source = deployment({"a": b"one"})
    (tmp_path / "deployment/a").write_bytes(b"ONE")
    found = open_objects([str(tmp_path / "objects")], [source])
    assert found.read_blob(oid) == b"one"


def test_an_object_of_another_kind_is_refused(tmp_path):
    writer = PackWriter(str(tmp_path / "objects/pack"))
    tree = writer.add("tree", b"")
    writer.finish()
    found = open_objects([str(tmp_path / "objects")])
    assert found.read_tree(tree) == b""
    with pytest.raises(UntrustedError, match="is a tree; expected a blob"):
        found.read_blob(tree)
    with pytest.raises(UntrustedError, match="is not a blob"):
        found.blob(tree)


def test_a_damaged_pack_is_not_believed(tmp_path):
    writer = PackWriter(str(tmp_path / "objects/pack"), level=0)
    oid = writer.add("blob", b"a" * 1000)
    name = writer.finish()
    path = tmp_path / f"objects/pack/{name}.pack"
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"aaaa", b"aaab", 1))
    with pytest.raises(UntrustedError, match="F2"):
        open_objects([str(tmp_path / "objects")]).read_blob(oid)


def test_what_is_nowhere_is_missing(tmp_path):
    found = open_objects([str(tmp_path / "absent")])
    assert "1" * 40 not in found
    with pytest.raises(KeyError):
        found.header("1" * 40)


def test_the_size_that_is_remembered_decides(deployment, tmp_path):
    source = deployment({"a": b"12345"})
    (tmp_path / "deployment/a").write_bytes(b"123456")
    assert objects.read_file(source.root, b"a", 5) is None
    assert objects.read_file(source.root, b"a", 6) == b"123456"
    assert objects.read_file(source.root, b"absent", 6) is None


def test_a_libgit2_without_the_fixes_is_refused():
    require_libgit2("1.9.7")
    require_libgit2("2.0.0")
    with pytest.raises(HostError, match=r"libgit2 1\.9\.6 is too old"):
        require_libgit2("1.9.6")
