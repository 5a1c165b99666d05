"""Fetching works over every transport, shallow, and only what was asked for."""

import random
import subprocess

import pytest
from support.fetching import Client, content_ids, homes, ids
from support.remote import (
    Authority,
    GitDaemon,
    HttpServer,
    Repository,
    SshServer,
    git,
)

from updater.core.index import Index, Row, Stat
from updater.errors import ConfigError, TransportError, UsageError
from updater.model import TrustMode
from updater.system.git.child import FetchLimits, ObjectSources


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    made = Repository(tmp_path_factory.mktemp("remote"))
    made.root.chmod(0o755)
    noise = random.Random(1).randbytes
    made.first = made.commit({"a": "one\n", "big": noise(50_000), "d/x": "x\n"}, "1.0")
    made.second = made.commit({"a": "two\n", "d/y": "y\n"}, "release/1.1")
    return made


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def make_key(directory, name):
    path = directory / name
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True
    )
    return path


def assert_complete(candidate, repository, commit):
    got = ids(candidate.objects)
    assert content_ids(repository, commit) <= got
    if candidate.offer.tag:
        assert candidate.offer.tag in got
    git("--git-dir", repository.path, "cat-file", "-e", commit)


def test_http_fetches_only_the_newest_release(tmp_path, repository):
    with HttpServer(repository.root) as server:
        client = Client(tmp_path, f"{server.base}/os.git")
        offer = client.check()
        candidate = client.fetch(offer)
    assert (offer.version, offer.commit) == ("1.1", repository.second)
    assert_complete(candidate, repository, repository.second)
    assert repository.first not in ids(candidate.objects)
    assert candidate.received > 50_000
    assert client.progress[0].phase == "preparing"
    assert homes() == set()


def test_https_with_a_private_authority(tmp_path, repository, authority):
    certificate = authority.issue("127.0.0.1")
    with HttpServer(repository.root, certificate=certificate) as server:
        client = Client(tmp_path, f"{server.base}/os.git", ca=str(authority.pem))
        candidate = client.fetch(client.check())
    assert_complete(candidate, repository, repository.second)


def test_ssh_with_a_pinned_host_key(tmp_path, repository):
    host, mine = make_key(tmp_path, "host"), make_key(tmp_path, "mine")
    with SshServer(repository.root, host, mine) as server:
        known = tmp_path / "known_hosts"
        known.write_text(server.known_hosts())
        client = Client(
            tmp_path,
            f"{server.base}/os.git",
            known_hosts=str(known),
            ssh_key=str(mine),
        )
        candidate = client.fetch(client.check())
    assert_complete(candidate, repository, repository.second)
    assert set(server.users) == {"git"}


def test_git_protocol(tmp_path, repository):
    with GitDaemon(repository.root) as server:
        client = Client(tmp_path, f"{server.base}/os.git")
        candidate = client.fetch(client.check())
    assert_complete(candidate, repository, repository.second)


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_repository_on_this_machine(tmp_path, repository, form):
    client = Client(tmp_path, form.format(repository.path))
    candidate = client.fetch(client.check())
    assert ids(candidate.objects) == content_ids(repository, repository.second) | {
        candidate.offer.tag
    }


def test_an_older_release_by_version_and_by_commit(tmp_path, repository):
    with HttpServer(repository.root) as server:
        client = Client(tmp_path, f"{server.base}/os.git")
        for wanted in ("1.0", repository.first, repository.first[:9]):
            offer = client.check(wanted)
            assert (offer.version, offer.commit) == ("1.0", repository.first)
        assert_complete(client.fetch(offer), repository, repository.first)


def test_a_commit_that_no_ref_names_is_asked_for_by_id(tmp_path):
    made = Repository(tmp_path)
    hidden = made.commit({"a": "1"})
    made.commit({"a": "2"})
    made.git("config", "uploadpack.allowReachableSHA1InWant", "true")
    with HttpServer(made.root) as server:
        client = Client(tmp_path, f"{server.base}/os.git")
        candidate = client.fetch(client.check(hidden))
        assert content_ids(made, hidden) <= ids(candidate.objects)


def test_a_server_may_refuse_a_commit_by_id(tmp_path):
    made = Repository(tmp_path)
    hidden = made.commit({"a": "1"})
    made.commit({"a": "2"})
    with HttpServer(made.root) as server:
        client = Client(tmp_path, f"{server.base}/os.git")
        offer = client.check(hidden)
        with pytest.raises(TransportError):
            client.fetch(offer)
    assert client.leftovers() == {}


def test_an_update_sends_little_when_the_older_release_is_here(tmp_path, repository):
    with HttpServer(repository.root) as server:
        client = Client(tmp_path, f"{server.base}/os.git")
        old = client.fetch(client.check("1.0"))
        sources = ObjectSources((repository.first,), (old.objects,))
        new = client.fetch(client.check(), sources)
    assert new.received < 5_000 < old.received
    assert content_ids(repository, repository.second) <= ids(new.objects) | ids(
        old.objects
    )
    assert client.said == []


@pytest.mark.parametrize("transport", ["http", "file"])
def test_nothing_is_downloaded_when_everything_is_here(tmp_path, transport):
    made = Repository(tmp_path)
    commit = made.commit({"a": "1"}, "1", annotated=False)
    sources = ObjectSources((commit,), (str(made.path / "objects"),))
    with HttpServer(made.root) as server:
        url = f"{server.base}/os.git" if transport == "http" else str(made.path)
        client = Client(tmp_path, url)
        candidate = client.fetch(client.check(), sources)
    assert candidate.objects is None or ids(candidate.objects) == set()
    assert client.said == []


def test_deltas_against_objects_that_are_not_here_lead_to_a_complete_fetch(tmp_path):
    """The commit is a have, but its blob is in none of the places: a damaged store."""
    made = Repository(tmp_path)
    text = "".join(f"line {number}\n" for number in range(5000))
    first = made.commit({"a": text})
    second = made.commit({"a": text + "one more\n"}, "2")
    made.git("repack", "-adq")
    store = tmp_path / "store"
    git("init", "-q", "--bare", store)
    names = f"{first}\n{made.git('rev-parse', first + '^{tree}')}\n"
    git(
        "pack-objects", "-q", store / "objects/pack/pack",
        cwd=made.path, stdin=names.encode(),
    )  # fmt: skip
    with HttpServer(made.root) as server:
        client = Client(tmp_path, f"{server.base}/os.git")
        sources = ObjectSources((first,), (str(store / "objects"),))
        candidate = client.fetch(client.check(), sources)
    assert content_ids(made, second) <= ids(candidate.objects)
    assert len(client.said) == 1
    assert "complete" in client.said[0]


def test_deltas_are_resolved_from_the_files_of_a_deployment(tmp_path):
    """Only commits and trees are in the store; the blob is a file that runs."""
    made = Repository(tmp_path)
    text = "".join(f"line {number * number}\n" for number in range(20_000))
    first = made.commit({"usr/a": text})
    second = made.commit({"usr/a": text + "one more\n"}, "2")
    made.git("repack", "-adq")
    blob = made.git("rev-parse", f"{first}:usr/a")
    store = tmp_path / "store"
    git("init", "-q", "--bare", store)
    trees = [made.git("rev-parse", f"{first}:{path}") for path in ("", "usr")]
    git(
        "pack-objects", "-q", store / "objects/pack/pack",
        cwd=made.path, stdin="\n".join([first, *trees, ""]).encode(),
    )  # fmt: skip
    deployment = tmp_path / "private" / "deployment"
    (deployment / "usr").mkdir(parents=True)
    (tmp_path / "private").chmod(0o700)
    (deployment / "usr/a").write_text(text)
    facts = (deployment / "usr/a").stat()
    stat = Stat(
        facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino, 0, 0, 0, 1
    )
    row = Row(bytes.fromhex(blob), bytes(32), stat)
    stored = tmp_path / "index"
    stored.write_bytes(Index(facts.st_dev, {b"usr/a": row}).to_bytes())
    stored.chmod(0o600)
    sources = ObjectSources(
        (first,), (str(store / "objects"),), ((str(deployment), str(stored)),)
    )
    with HttpServer(made.root) as server:
        client = Client(tmp_path, f"{server.base}/os.git")
        candidate = client.fetch(client.check(), sources)
        assert client.said == []
        assert candidate.received < 2_000
        assert made.git("rev-parse", f"{second}:usr/a") in ids(candidate.objects)

        (deployment / "usr/a").write_text(text.replace("1", "2"))
        again = client.fetch(client.check(), sources)
    assert len(client.said) == 1
    assert content_ids(made, second) <= ids(again.objects)


def test_a_difference_that_takes_too_much_memory_is_fetched_completely(tmp_path):
    """libgit2 holds the old file and the new one, of 30 MB each; whole files stream."""
    made = Repository(tmp_path)
    noise = bytearray(random.Random(1).randbytes(30 << 20))
    first = made.commit({"a": bytes(noise)})
    noise[:100] = bytes(100)
    second = made.commit({"a": bytes(noise)}, "2")
    made.git("repack", "-adq")
    store = tmp_path / "store"
    git("clone", "-q", "--bare", made.path, store)
    git("update-ref", "refs/heads/stable", first, cwd=store)
    git("tag", "-d", "2", cwd=store)
    git("-c", "gc.reflogExpire=now", "repack", "-adq", cwd=store)
    sources = ObjectSources((first,), (str(store / "objects"),))
    with HttpServer(made.root) as server:
        client = Client(tmp_path, f"{server.base}/os.git")
        assert client.fetch(client.check(), sources).received < 1 << 20
        assert client.said == []
        client.limits = FetchLimits(memory=50 << 20)
        candidate = client.fetch(client.check(), sources)
    assert candidate.received > 30 << 20
    assert content_ids(made, second) <= ids(candidate.objects)
    [said] = client.said
    assert "memory" in said
    assert "complete" in said


@pytest.mark.parametrize("gone", ["deployment", "index", "damaged index"])
def test_a_source_that_is_gone_leads_to_a_complete_fetch(tmp_path, repository, gone):
    index = tmp_path / "index"
    index.write_bytes(b"junk" if gone == "damaged index" else Index(0, {}).to_bytes())
    if gone == "index":
        index.unlink()
    place = tmp_path / "gone" if gone == "deployment" else tmp_path
    sources = ObjectSources(
        (repository.first,),
        (str(repository.path / "objects"),),
        ((str(place), str(index)),),
    )
    with HttpServer(repository.root) as server:
        client = Client(tmp_path, f"{server.base}/os.git")
        candidate = client.fetch(client.check(), sources)
    assert len(client.said) == 1
    assert content_ids(repository, repository.second) <= ids(candidate.objects)


def test_a_release_that_is_here_only_in_part_is_fetched_completely(
    tmp_path, repository
):
    with HttpServer(repository.root) as server:
        client = Client(tmp_path, f"{server.base}/os.git")
        here = client.fetch(client.check("1.0"))
        part = client.fetch(client.check())
        keep = tmp_path / "keep"
        (tmp_path / "incoming" / repository.second).rename(keep)
        sources = ObjectSources(
            (repository.first,), (here.objects, str(keep / "objects"))
        )
        again = client.fetch(client.check(), sources)
    assert part.offer == again.offer
    assert content_ids(repository, repository.second) <= ids(again.objects)


def test_leftovers_of_an_interrupted_download_are_removed(tmp_path, repository):
    client = Client(tmp_path, str(repository.path))
    stale = client.incoming / "0123.part" / "objects"
    stale.mkdir(parents=True)
    (stale / "tmp_pack").write_text("half")
    offer = client.check()
    client.fetch(offer)
    assert [path.name for path in client.incoming.iterdir()] == [offer.commit]


def test_unknown_version_names_what_there_is(tmp_path, repository):
    with pytest.raises(UsageError, match=r"no release 9\.9; it has 1\.1, 1\.0"):
        Client(tmp_path, str(repository.path)).check("9.9")


def test_plain_http_needs_signatures_or_to_be_asked_for(tmp_path):
    client = Client(tmp_path, "http://127.0.0.1:9/os.git")
    with pytest.raises(ConfigError, match="protects nothing"):
        client.check(allow_plain=False)
    with pytest.raises(TransportError):
        client.check(mode=TrustMode.TAG, allow_plain=False)


def test_full_history_when_asked_for(tmp_path, repository):
    with HttpServer(repository.root) as server:
        for url in (f"{server.base}/os.git", str(repository.path)):
            client = Client(tmp_path, url, history="full")
            candidate = client.fetch(client.check())
            assert content_ids(repository, repository.first) <= ids(candidate.objects)
