"""Hostile trust branches, and honest ones: check T1, against a real git server."""

import pytest
from support import keys
from support.channels import World, make_ring
from support.remote import HttpServer, git

from updater.core.signers import fingerprint


@pytest.fixture(scope="session")
def ring(tmp_path_factory):
    return make_ring(tmp_path_factory.mktemp("ring"))


@pytest.fixture
def world(tmp_path, ring):
    """A machine whose keys came with the OS, and a channel with one entry."""
    (tmp_path / "served").mkdir()
    with HttpServer(tmp_path / "served") as server:
        made = World(tmp_path, ring, server.base)
        made.first = made.release("1.0", 1)
        made.entry(made.first)
        yield made


def version(world):
    """The version that counts on the machine."""
    return world.machine.run("trust", "show", "--json").json["version"]


def key_names(world, role):
    """What the machine calls the keys of a role."""
    found = world.machine.run("trust", "show", "--json").json["keys"]
    return [key["name"] for key in found if key["role"] == role]


def called(world, *names):
    """What these keys are called."""
    return [fingerprint(keys.public(world.ring[name])) for name in names]


def with_key(world, role, *names):
    """The files of a trust set in which a role has these keys."""
    return {role: "".join(world.line(role, name) for name in names)}


def test_every_step_is_walked_and_kept(world):
    world.trust(1, ["root1"])
    world.trust(2, ["root1"], files=with_key(world, "release", "release", "other"))
    done = world.check()
    assert "trust version 1 counts" in done.err
    assert "trust version 2 counts" in done.err
    assert version(world) == 2
    place = world.machine.state_dir / "trust"
    assert place.is_symlink()
    assert "version = 2" in (place / "trust.toml").read_text()
    assert [p.name for p in world.machine.state_dir.glob("trust-*")] == ["trust-2"]
    taken = [e for e in world.machine.ledger if e["event"] == "trust"]
    assert [e["data"]["version"] for e in taken] == [1, 2]
    world.check()
    assert len([e for e in world.machine.events if e == "trust"]) == 2


def test_a_key_that_came_by_rotation_counts_at_once(world):
    world.trust(1, ["root1"], files=with_key(world, "channel", "other"))
    done = world.machine.run("check", code=3)
    assert "(check C2)" in done.err
    assert "The trusted keys changed, and nothing else." in done.err
    assert version(world) == 1  # trust was accepted, the channel was not
    assert world.accepted == []
    world.log.clear()
    world.entry(world.first, key=world.ring["other"])
    world.check()
    assert world.accepted[0]["tip"] == world.log[0]


def test_a_lost_channel_key_ends_what_it_said(world):
    """A stolen key may have leapt far ahead: the new key begins the log anew."""
    world.check()
    world.entry(world.first)
    world.check()
    world.trust(1, ["root1"], files=with_key(world, "channel", "other"))
    world.log.clear()
    world.entry(world.first, key=world.ring["other"])
    world.check()
    assert world.accepted[0]["entry"]["number"] == 1


def test_a_key_that_is_added_keeps_what_the_others_said(world):
    world.check()
    world.entry(world.first)
    world.check()
    world.trust(1, ["root1"], files=with_key(world, "channel", "channel", "other"))
    world.point(world.log[0])
    world.machine.run("check", code=3)
    assert version(world) == 1
    assert world.accepted[0]["entry"]["number"] == 2


def test_root_keys_rotate_by_old_and_new_together(world):
    root2 = with_key(world, "root", "root2")
    world.trust(1, ["root1", "root2"], files=root2)
    world.trust(2, ["root2"], files=root2)
    world.check()
    assert version(world) == 2
    assert key_names(world, "root") == called(world, "root2")


# --- T1


def test_a_version_that_is_left_out_is_refused(world):
    world.trust(2, ["root1"])
    world.refused("T1", "follows version 0")


def test_a_version_that_comes_twice_is_refused(world):
    world.trust(1, ["root1"])
    world.trust(1, ["root1"], files=with_key(world, "release", "other"))
    world.refused("T1", "version 1 follows version 1")


def test_a_version_of_the_far_future_is_refused(world):
    world.trust(2**53 - 1, ["root1"])
    world.refused("T1")


def test_an_older_version_that_is_replayed_is_refused(world):
    world.trust(1, ["root1"])
    world.trust(2, ["root1"], files=with_key(world, "release", "release", "other"))
    world.check()
    world.point(world.trusted[0], "trust")
    world.refused("T1", "an older one is replayed")


def test_another_version_of_the_same_number_is_refused(world):
    world.trust(1, ["root1"])
    world.check()
    world.trust(1, ["root1"], parents=[], files=with_key(world, "release", "other"))
    world.refused("T1", "forked")


def test_a_trust_branch_that_vanished_is_refused(world):
    world.trust(1, ["root1"])
    world.check()
    (world.repository.path / "refs/heads/trust").unlink()
    world.refused("T1", "is gone")


@pytest.mark.parametrize(
    "signers",
    [[], ["other"], ["release"], ["channel"], ["root1:git"], ["root2"]],
    ids=str,
)
def test_a_step_without_a_root_signature_is_refused(world, signers):
    world.trust(1, signers)
    world.refused("T1", "signed by 0 of the old root keys; expected at least 1")


def test_new_root_keys_alone_do_not_sign_for_the_old(world):
    world.trust(1, ["root2"], files=with_key(world, "root", "root2"))
    world.refused("T1", "of the old root keys")


def test_old_root_keys_alone_do_not_sign_for_the_new(world):
    world.trust(1, ["root1"], files=with_key(world, "root", "root2"))
    world.refused("T1", "of the new root keys")


def two_of_three(world, version, signers, **changed):
    files = with_key(world, "root", "root1", "root2", "root3")
    return world.trust(version, signers, threshold=2, files=files, **changed)


def test_one_key_that_signs_twice_counts_once(world):
    two_of_three(world, 1, ["root1", "root1"])
    world.refused("T1", "signed by 1 of the new root keys; expected at least 2")
    two_of_three(world, 1, ["root1", "root3"], parents=[])
    world.check()
    assert version(world) == 1
    two_of_three(world, 2, ["root2", "root2", "root2"])
    world.refused("T1", "signed by 1 of the old root keys")


def test_a_threshold_cannot_be_lowered_by_fewer_keys_than_it(world):
    two_of_three(world, 1, ["root1", "root3"])
    world.check()
    files = with_key(world, "root", "root1", "root2", "root3")
    world.trust(2, ["root1"], threshold=1, files=files)
    world.refused("T1", "expected at least 2")


def test_an_expired_root_key_does_not_sign(world):
    line = world.line("root", "root1", ',valid-before="20260101Z"')
    (world.shipped / "root").write_text(line)
    world.trust(1, ["root1"])
    world.refused("T1", "signed by 0 of the old root keys")


@pytest.mark.parametrize("place", ["usr/share/osupdate/trust", "etc/osupdate/trust"])
def test_a_root_key_that_any_place_revokes_does_not_sign(world, place):
    directory = world.machine.root / place
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "revoked").write_text(keys.public(world.ring["root1"]) + "\n")
    world.trust(1, ["root1"])
    world.refused("T1", "signed by 0 of the old root keys")


def test_a_tampered_statement_is_refused(world):
    world.trust(1, ["root1"], tamper=lambda text: text + b"# more\n")
    world.refused("T1", "signed by 0 of the old root keys")


def test_a_file_that_the_statement_does_not_name_is_refused(world):
    """Keys put beside a good statement."""
    repository = world.repository
    good = world.trust(1, ["root1"])
    listing = {}
    for row in git("ls-tree", good, cwd=repository.path).splitlines():
        meta, name = row.split("\t")
        listing[name] = meta.split()[2]
    listing["release"] = repository.blob(world.line("release", "other").encode())
    rows = [("100644", name, oid) for name, oid in sorted(listing.items())]
    world.point(repository.commit(repository.tree(*rows)), "trust")
    world.refused("T1", "the file release beside it is another one")


@pytest.mark.parametrize(
    "changed",
    [
        {"format": 2},
        {"threshold": 0},
        {"threshold": 2},
        {"created": "now"},
        {"statement": b"\xff"},
        {"files": {"release": ""}},
        {"files": {"channel": "channel ssh-ed25519 AAAA\n"}},
    ],
    ids=str,
)
def test_a_statement_that_is_not_of_this_format_is_refused(world, changed):
    if "statement" in changed:
        tree = world.repository.tree(
            ("100644", "trust.toml", world.repository.blob(changed["statement"]))
        )
        world.point(world.repository.commit(tree), "trust")
    else:
        world.trust(1, ["root1"], **changed)
    world.refused("T1")


def test_a_merge_is_no_trust_branch(world):
    aside = world.repository.commit(world.repository.tree())
    world.trust(1, ["root1"], parents=[aside, world.log[0]])
    world.refused("T1", "is a merge")


def test_a_branch_without_trust_is_refused(world):
    world.point(world.log[0], "trust")
    world.refused("T1")


# --- pins, and machines without root keys


def test_pins_in_etc_turn_rotation_off_and_status_says_so(world):
    place = world.machine.etc / "trust"
    for role in ("release", "channel"):
        (place / role).write_text(world.line(role, role))
    world.trust(7, [])
    world.check()
    done = world.machine.run("status")
    assert "pinned in /etc/osupdate/trust: keys do not rotate" in done.out
    assert world.machine.run("status", "--json").json["pinned"] is True
    assert world.machine.run("trust", "show").out.startswith("Trust is pinned")


def test_without_a_root_key_nothing_rotates(world):
    (world.shipped / "root").unlink()
    world.trust(1, ["root1"])
    world.check()
    assert version(world) is None
    assert "missing" in world.machine.run("trust", "show", "--json").json


def test_newer_keys_that_come_with_the_os_count(world):
    world.trust(1, ["root1"])
    world.check()
    world.trust(2, ["root1"], files=with_key(world, "channel", "other"))
    repository = world.repository.path
    for name in ("root", "release", "channel", "revoked", "trust.toml"):
        text = git("show", f"trust:{name}", cwd=repository)
        (world.shipped / name).write_text(text + "\n" * (name != "revoked"))
    assert version(world) == 2
    assert key_names(world, "channel") == called(world, "other")


def test_status_names_who_signed_what_until_when(world):
    until = world.line("channel", "channel", ',valid-before="20990101Z"')
    (world.shipped / "channel").write_text(until)
    world.machine.run("apply")
    out = world.machine.run("status").out
    assert "channel by SHA256:" in out
    assert "until 2099-01-01 00:00 UTC" in out
    signers = world.machine.run("status", "--json").json["log"]["signers"]
    assert [s["what"] for s in signers] == ["channel", "release"]
    assert signers[0]["until"] == "2099-01-01T00:00:00Z"


def test_a_trust_place_that_is_damaged_refuses_everything(world):
    world.trust(1, ["root1"])
    world.check()
    place = world.machine.state_dir / "trust/release"
    place.write_text(place.read_text() + "# more\n")
    done = world.machine.run("check", code=2)
    assert "another one" in done.err
