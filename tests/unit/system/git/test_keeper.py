"""objects.git: kept, pruned, cleaned after a crash, made anew when it is broken."""

import os

import pytest

from updater.errors import UntrustedError
from updater.system.git.keeper import Keeper, Kept
from updater.system.git.objects import open_objects
from updater.system.git.pack import PackWriter


class Source:
    """A release after a release, as a fetch leaves them."""

    def __init__(self, path):
        self.path = path
        self.number = 0

    def release(self):
        """One more; gives what to keep of it, and the objects to take it from."""
        self.number += 1
        writer = PackWriter(str(self.path / f"{self.number}/pack"))
        blob = writer.add("blob", b"content %d" % self.number)
        shared = writer.add("blob", b"shared")
        tree = writer.add("tree", b"100644 f\0" + bytes.fromhex(blob))
        person = b"a <a@example.org> %d +0000" % self.number
        commit = writer.add(
            "commit",
            b"tree %s\nauthor %s\ncommitter %s\n\nm\n"
            % (tree.encode(), person, person),
        )
        writer.finish()
        kept = Kept(commit, None, f"{self.number}", (tree,), (blob, shared))
        return kept, open_objects([str(self.path / f"{self.number}")])


@pytest.fixture
def source(tmp_path):
    return Source(tmp_path)


@pytest.fixture
def keeper(tmp_path):
    made = Keeper(str(tmp_path / "objects.git"))
    assert made.make() is False
    return made


def has(keeper, kept):
    here = open_objects([keeper.objects])
    return [oid in here for oid in kept.objects]


def refs(keeper):
    return set(os.listdir(os.path.join(os.path.dirname(keeper.objects), REFS)))


REFS = "refs/osupdate"


def test_a_release_is_kept_and_nothing_of_it_twice(keeper, source):
    one, objects = source.release()
    keeper.keep(one, objects)
    keeper.keep(one, objects)
    two, objects = source.release()
    keeper.keep(two, objects)
    assert len(keeper.packs()) == 2
    assert all(has(keeper, one) + has(keeper, two))
    assert refs(keeper) == {one.commit, two.commit}


def test_what_is_pruned_is_gone_and_the_rest_is_one_pack(keeper, source):
    kept = []
    for _ in range(4):
        release, objects = source.release()
        keeper.keep(release, objects)
        kept.append(release)
    keeper.prune(kept[2:])
    assert len(keeper.packs()) == 1
    assert all(has(keeper, kept[2]) + has(keeper, kept[3]))
    assert has(keeper, kept[0])[:2] == [False, False]
    assert refs(keeper) == {kept[2].commit, kept[3].commit}
    keeper.prune(kept[2:])
    assert all(has(keeper, kept[3]))
    assert keeper.make() is False


def test_a_missing_blob_is_a_failed_check_and_leaves_no_pack(keeper, source):
    kept, objects = source.release()
    wrong = Kept(kept.commit, None, "1", kept.trees, ("1" * 40,))
    with pytest.raises(UntrustedError, match=r"object 1{40} is missing.*F2"):
        keeper.keep(wrong, objects)
    assert os.listdir(os.path.join(keeper.objects, "pack")) == []
    assert refs(keeper) == set()


@pytest.mark.parametrize(
    "left",
    [
        "objects/pack/tmp_pack_1_2",
        f"objects/pack/pack-{'1' * 40}.pack",
        f"objects/pack/pack-{'1' * 40}.idx",
        f"objects/pack/pack-{'1' * 40}.idx.tmp",
        f"refs/osupdate/{'1' * 40}.tmp",
        "refs/tags/release/1.tmp",
        "shallow.tmp",
    ],
)
def test_what_a_crash_left_is_swept_and_does_not_count_as_broken(
    keeper, source, tmp_path, left
):
    kept, objects = source.release()
    keeper.keep(kept, objects)
    (tmp_path / "objects.git" / left).write_text("torn")
    assert keeper.make() is False
    assert not (tmp_path / "objects.git" / left).exists()
    assert all(has(keeper, kept))


@pytest.mark.parametrize("what", ["pack", "ref"])
def test_a_broken_store_is_moved_aside(keeper, source, tmp_path, what):
    kept, objects = source.release()
    keeper.keep(kept, objects)
    if what == "ref":
        (tmp_path / "objects.git" / REFS / ("2" * 40)).write_text("2" * 40)
    else:
        for path in keeper.packs():
            os.chmod(path, 0o600)
            with open(path, "r+b") as file:
                file.truncate(30)
    assert keeper.make() is True
    assert (tmp_path / "objects.git.broken").is_dir()
    assert refs(keeper) == set()
    keeper.keep(kept, objects)
    assert all(has(keeper, kept))
    assert keeper.make() is False


def test_an_interrupted_making_is_finished(tmp_path):
    (tmp_path / "objects.git").mkdir()
    keeper = Keeper(str(tmp_path / "objects.git"))
    assert keeper.make() is False
    assert (tmp_path / "objects.git/HEAD").is_file()
    assert (tmp_path / "objects.git").stat().st_mode & 0o777 == 0o700
