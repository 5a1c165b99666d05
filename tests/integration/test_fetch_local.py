"""Repositories on this machine are as hostile as any other."""

import os

import pytest
from support.fetching import Client, content_ids, homes, ids
from support.remote import Repository, git

from updater.errors import OsupdateError, RefusedError, TransportError, UntrustedError
from updater.system.git.child import ObjectSources


@pytest.fixture
def repository(tmp_path):
    made = Repository(tmp_path / "remote")
    made.first = made.commit({"a": "one\n", "d/b": "b\n"}, "1.0")
    made.second = made.commit({"a": "two\n"}, "1.1")
    return made


def refused(tmp_path, path, error, match, call="check"):
    client = Client(tmp_path, str(path))
    with pytest.raises(error, match=match):
        offer = client.check()
        if call == "fetch":
            client.fetch(offer)
    assert client.leftovers() == {}
    assert homes() == set()


def test_alternates_are_refused(tmp_path, repository):
    borrowed = tmp_path / "borrowed.git"
    git("clone", "-q", "--bare", "--shared", repository.path, borrowed)
    refused(tmp_path, borrowed, RefusedError, "alternates borrows objects")


def test_http_alternates_are_refused(tmp_path, repository):
    file = repository.path / "objects/info/http-alternates"
    file.write_text("http://127.0.0.1/objects\n")
    refused(tmp_path, repository.path, RefusedError, "http-alternates borrows")


@pytest.mark.parametrize("name", ["refs/heads/evil", "HEAD", "packed-refs"])
def test_a_ref_that_is_a_symlink_is_refused(tmp_path, repository, name):
    path = repository.path / name
    path.unlink(missing_ok=True)
    path.symlink_to("/etc/passwd")
    refused(tmp_path, repository.path, RefusedError, "symlink|symbolic")


@pytest.mark.parametrize("name", ["objects", "objects/pack", "objects/info"])
def test_an_objects_directory_that_is_a_symlink_is_refused(tmp_path, repository, name):
    path = repository.path / name
    moved = tmp_path / "moved"
    path.rename(moved)
    path.symlink_to(moved)
    refused(tmp_path, repository.path, RefusedError, f"{name} is not a directory")


def test_a_fifo_among_the_refs_does_not_hang(tmp_path, repository):
    os.mkfifo(repository.path / "refs/heads/pipe")
    refused(tmp_path, repository.path, RefusedError, "symlink or device")


@pytest.mark.parametrize("text", ["zzz", "ref: ref: x", "1" * 64, "A" * 40, "\x1b[31m"])
def test_odd_content_of_a_ref_is_refused(tmp_path, repository, text):
    (repository.path / "refs/heads/stable").write_text(text + "\n")
    refused(tmp_path, repository.path, OsupdateError, "40 hex digits|no branch stable")


def test_symbolic_refs_that_turn_in_a_circle_end(tmp_path, repository):
    heads = repository.path / "refs/heads"
    (heads / "stable").write_text("ref: refs/heads/x\n")
    (heads / "x").write_text("ref: refs/heads/stable\n")
    refused(tmp_path, repository.path, UntrustedError, "no branch stable")


def test_a_huge_ref_file_is_refused(tmp_path, repository):
    (repository.path / "refs/heads/big").write_text("x" * 10_000)
    refused(tmp_path, repository.path, RefusedError, "larger than")


def test_packed_refs_and_work_trees_are_read(tmp_path, repository):
    repository.git("pack-refs", "--all")
    assert Client(tmp_path, str(repository.path)).check().version == "1.1"
    # The work tree has the commits, and no tag.
    client = Client(tmp_path, str(repository.work))
    offer = client.check()
    assert (offer.version, offer.commit) == (None, repository.second)
    client.fetch(offer)


def test_config_and_hooks_of_the_repository_are_not_run(tmp_path, repository):
    mark = tmp_path / "ran"
    with (repository.path / "config").open("a") as config:
        config.write(f"[core]\n\tfsmonitor = touch {mark}\n")
        config.write(f"[uploadpack]\n\tpackObjectsHook = touch {mark}\n")
        config.write("[include]\n\tpath = /dev/zero\n")
    client = Client(tmp_path, str(repository.path))
    client.fetch(client.check())
    assert not mark.exists()


def test_a_damaged_object_is_refused(tmp_path, repository):
    oid = repository.git("rev-parse", "stable:a")
    path = repository.path / "objects" / oid[:2] / oid[2:]
    other = repository.git("rev-parse", "1.0:a")
    wrong = repository.path / "objects" / other[:2] / other[2:]
    path.chmod(0o644)
    path.write_bytes(wrong.read_bytes())
    refused(tmp_path, repository.path, UntrustedError, "damaged", "fetch")


def test_an_object_that_is_damaged_in_a_pack_is_refused(tmp_path, repository):
    repository.git("repack", "-a", "-d", "-f", "--depth=0", "--window=0")
    (pack,) = (repository.path / "objects/pack").glob("*.pack")
    oid = repository.git("rev-parse", "stable:a")
    listing = git("verify-pack", "-v", pack).splitlines()
    offset = next(int(line.split()[4]) for line in listing if line.startswith(oid))
    pack.chmod(0o644)
    with pack.open("r+b") as file:
        file.seek(offset + 5)
        file.write(b"\xff")
    refused(tmp_path, repository.path, UntrustedError, f"{oid} is damaged", "fetch")


@pytest.mark.parametrize("depth", [0, 50])
def test_a_repository_that_was_repacked_is_copied(tmp_path, repository, depth):
    """Whole objects as they stand; deltas by way of libgit2."""
    long = "".join(f"line {n}\n" for n in range(3000))
    repository.commit({"long": long, "c": "c\n"}, "1.2")
    repository.commit({"long": long + "more\n"}, "1.3")
    repository.git("repack", "-a", "-d", "-f", f"--depth={depth}")
    client = Client(tmp_path, str(repository.path))
    done = client.fetch(client.check())
    commit = repository.git("rev-parse", "stable")
    assert ids(done.objects) == content_ids(repository, commit) | {done.offer.tag}
    for index in os.listdir(f"{done.objects}/pack"):
        if index.endswith(".idx"):
            git("verify-pack", f"{done.objects}/pack/{index}")


def test_a_missing_object_is_named(tmp_path, repository):
    oid = repository.git("rev-parse", "stable:a")
    (repository.path / "objects" / oid[:2] / oid[2:]).unlink()
    refused(
        tmp_path, repository.path, TransportError, f"lacks blob {oid}", call="fetch"
    )


def test_a_tree_that_climbs_out_is_refused(tmp_path, repository):
    blob = bytes.fromhex(repository.git("rev-parse", "stable:a"))
    tree = git(
        "hash-object", "-t", "tree", "-w", "--literally", "--stdin",
        cwd=repository.path, stdin=b"100644 ..\0" + blob,
    )  # fmt: skip
    commit = git("commit-tree", "-m", "x", tree, cwd=repository.path)
    repository.git("update-ref", "refs/heads/stable", commit)
    refused(tmp_path, repository.path, UntrustedError, "check F2", "fetch")


def test_only_what_is_missing_is_copied(tmp_path, repository):
    client = Client(tmp_path, str(repository.path))
    old = client.fetch(client.check("1.0"))
    sources = ObjectSources((repository.first,), (old.objects,))
    new = client.fetch(client.check(), sources)
    offer = new.offer
    expected = content_ids(repository, repository.second) - content_ids(
        repository, repository.first
    )
    assert ids(new.objects) == expected | {offer.tag}


@pytest.mark.parametrize("kind", ["nothing", "file", "empty directory", "gitlink"])
def test_what_is_not_a_repository_is_refused(tmp_path, kind):
    path = tmp_path / "x"
    if kind == "file":
        path.write_text("")
    elif kind == "empty directory":
        path.mkdir()
    elif kind == "gitlink":
        path.mkdir()
        (path / ".git").write_text("gitdir: /etc\n")
    match = "cannot open|not a git repository|not a directory"
    refused(tmp_path, path, OsupdateError, match)
