"""Hostile channel logs against `osupdate check`: raw objects behind a real git server.

Every refusal names its check, ends with 3, changes nothing and accepts nothing.
"""

import shutil

import pytest
from support import keys
from support.channels import DAY, World, make_ring, signed_commit, stamp
from support.remote import HttpServer


@pytest.fixture(scope="session")
def ring(tmp_path_factory):
    return make_ring(tmp_path_factory.mktemp("ring"))


@pytest.fixture
def world(tmp_path, ring):
    (tmp_path / "served").mkdir()
    with HttpServer(tmp_path / "served") as server:
        yield World(tmp_path, ring, server.base)


@pytest.fixture
def known(world):
    """A world whose first entry the machine has accepted; `first` is its release."""
    world.first = world.release("1.0", 1)
    world.entry(world.first)
    world.check()
    assert world.accepted[0]["tip"] == world.log[0]
    return world


def test_the_log_that_all_attacks_start_from_is_accepted(world):
    release = world.release("1.0", 1)
    world.entry(release)
    done = world.check()
    assert "Update available: 1.0" in done.out
    assert "\n  acme-gw 1.0\n" in done.out
    (accepted,) = world.accepted
    assert (accepted["tip"], accepted["entry"]["number"]) == (world.log[0], 1)
    assert accepted["release_number"] == 1
    assert [s["what"] for s in accepted["signers"]] == ["channel", "release"]
    world.machine.run("apply")
    assert world.machine.running == "1.0"
    world.entry(world.release("1.1", 2))
    world.machine.run("apply")
    assert world.machine.running == "1.1"
    assert world.accepted[0]["entry"]["number"] == 2


# --- C1: the ref is advertised


def test_a_channel_that_is_not_there_is_refused(world):
    world.release("1.0", 1)
    world.refused("C1", "no branch channel/stable")


def test_a_channel_that_vanished_is_refused(known):
    (known.repository.path / "refs/heads/channel/stable").unlink()
    known.refused("C1")


def test_a_tag_of_the_channels_name_is_no_channel(known):
    known.repository.ref("refs/tags/channel/stable", known.log[0])
    (known.repository.path / "refs/heads/channel/stable").unlink()
    known.refused("C1")


# --- C2: the tip is signed by `channel`


def test_an_unsigned_entry_is_refused(known):
    known.entry(known.first, key="")
    known.refused("C2", "not signed")


@pytest.mark.parametrize("name", ["other", "release", "root1"])
def test_an_entry_signed_by_another_role_is_refused(known, name):
    known.entry(known.first, key=known.ring[name])
    known.refused("C2", "not trusted for that")


def test_an_entry_signed_for_another_namespace_is_refused(known):
    known.entry(known.first, namespace="file")
    known.refused("C2")


def test_an_entry_signed_by_an_expired_key_is_refused(known):
    line = known.line("channel", "channel", ',valid-before="20260101Z"')
    (known.shipped / "channel").write_text(line)
    known.refused("C2", "expired 2026-01-01")


def test_an_entry_signed_by_a_revoked_key_is_refused(known):
    (known.shipped / "revoked").write_text(keys.public(known.ring["channel"]) + "\n")
    known.refused("C2", "revokes")


def test_an_entry_with_two_signatures_is_refused(known):
    def twice(commit):
        return signed_commit(commit, known.ring["channel"])

    known.entry(known.first, key=known.ring["other"], transform=twice)
    known.refused("C2", "more than one signature")


def test_bytes_after_the_signature_are_refused(known):
    def more(commit):
        return commit.replace(b"-----END SSH SIGNATURE-----", b"-----END SSH "
                              b"SIGNATURE-----\n more")  # fmt: skip

    known.entry(known.first, transform=more)
    known.refused("C2")


def test_a_sha256_signature_header_beside_the_other_is_refused(known):
    def beside(commit):
        return commit.replace(b"\ngpgsig ", b"\ngpgsig-sha256 x\ngpgsig ", 1)

    known.entry(known.first, transform=beside)
    known.refused("C2")


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"an entry", b"an entrY"), (b"\ncommitter acme", b"\ncommitter Acme")],
)
def test_a_tampered_entry_is_refused(known, old, new):
    known.entry(known.first, transform=lambda c: c.replace(old, new))
    known.refused("C2")


def test_a_tree_put_under_a_signed_entry_is_refused(known):
    other = known.entry(known.release("1.1", 2))
    tree = known.repository.path / "objects"
    assert tree.exists()
    swapped = known.repository.tree()
    known.log.pop()

    def swap(commit):
        return b"tree " + swapped.encode() + commit[45:]

    known.entry(known.first, transform=swap)
    assert other != known.log[-1]
    known.refused("C2")


def test_a_branch_that_is_no_commit_is_refused(known):
    known.point(known.repository.blob(b"tree"))
    done = known.machine.run("check", code=None)
    assert done.code in (3, 4)
    assert known.accepted[0]["tip"] == known.log[0]


# --- C3: it is the accepted tip or its descendant


def test_a_log_that_is_rolled_back_is_refused(known):
    known.entry(known.first)
    known.check()
    known.point(known.log[0])
    known.refused("C3", "rolled back")


def test_a_log_that_was_begun_anew_is_refused(known):
    known.log.clear()
    known.entry(known.release("1.1", 2))
    known.refused("C3", "entry 1")


def test_a_fork_is_refused(known):
    known.entry(known.first)
    known.check()
    known.entry(known.release("1.1", 2), parents=[known.log[0]], number=2)
    known.refused("C3")


def test_a_merge_is_no_log(known):
    aside = known.repository.commit(known.repository.tree())
    known.entry(known.first, parents=[known.log[0], aside])
    known.refused("C3", "is a merge")


def test_a_rollback_is_refused_after_channels_git_was_lost(known):
    known.entry(known.first)
    known.check()
    shutil.rmtree(known.machine.state_dir / "channels.git")
    known.point(known.log[0])
    known.machine.run("check", code=3)
    assert known.accepted[0]["tip"] == known.log[1]
    known.point(known.log[1])
    known.check()


# --- C4: its number is larger, and no leap


@pytest.mark.parametrize("number", [1, 3, 2**53 - 1])
def test_a_number_that_is_not_the_next_is_refused(known, number):
    known.entry(known.first, number=number)
    known.refused("C4", "expected 2, its place in the log")


def test_a_log_that_begins_with_a_leap_is_refused(world):
    world.entry(world.release("1.0", 1), number=2**53 - 1)
    world.refused("C4")


# --- C5: format, channel, product


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"channel": "testing"},
        {"product": "acme-ap"},
        {"number": -1},
        {"created": "yesterday"},
        {"rollout": {"hours": 1}},
        {"release": "../1.0"},
        {"raw": b"\xff"},
        {"raw": b"x = " + b"[" * 5000},
        {"told": {"channel.toml": None}},
    ],
    ids=str,
)
def test_an_entry_that_is_not_of_this_format_channel_or_product_is_refused(
    known, change
):
    known.entry(known.first, **change)
    known.refused("C5")


def test_a_megabyte_of_channel_toml_is_refused(known):
    known.entry(known.first, raw=b"#" * (1 << 20) + b"\n")
    known.refused("C5", "at most 1,048,576")


# --- C6: freeze, and the future


def test_an_expired_entry_is_refused_and_status_says_so_first(known):
    known.entry(known.first, created=stamp(1_000), expires=stamp(2_000))
    known.refused("C6", "expired 1970-01-01", "--refresh")


def test_a_frozen_channel_becomes_stale(known, monkeypatch):
    known.machine.run("apply")
    later = known.now + 60 * DAY
    monkeypatch.setattr("updater.agent.room.Room.now", lambda _: later)
    known.refused("C6", verb=("check",))
    done = known.machine.run("status", "--exit-code", code=4)
    assert done.out.startswith("STALE: what stable said expired ")
    assert known.machine.run("status", "--json").json["expired"] is True
    assert known.machine.run("status", "--short").out == "osupdate: 1.0, stale\n"
    assert known.machine.running == "1.0"


def test_a_clock_set_back_does_not_thaw_a_frozen_channel(known, monkeypatch):
    known.entry(known.first, created=stamp(known.now), expires=stamp(known.now + DAY))
    monkeypatch.setattr("updater.agent.room.Room.now", lambda _: known.now + 2 * DAY)
    known.refused("C6")
    known.entry(
        known.first,
        created=stamp(known.now + 2 * DAY),
        expires=stamp(known.now + 30 * DAY),
    )
    known.check()
    short = known.now + 2 * DAY
    known.entry(known.first, created=stamp(known.now), expires=stamp(short - 1))
    monkeypatch.setattr("updater.agent.room.Room.now", lambda _: known.now)
    known.refused("C6")


def test_an_entry_from_the_future_is_refused_and_not_remembered(known):
    far = known.now + 400 * DAY
    known.entry(known.first, created=stamp(far), expires=stamp(far + DAY))
    known.refused("C6", "ahead of the clock")


def test_without_a_synchronised_clock_the_future_cannot_be_told(known, monkeypatch):
    known.machine.configure(update={"clock": "synchronised"})
    monkeypatch.setattr("updater.system.clock.is_synchronised", lambda: False)
    soon = known.now + 3 * DAY
    known.entry(known.first, created=stamp(soon), expires=stamp(soon + DAY))
    known.check()
    assert known.accepted[0]["entry"]["created"] == soon


# --- R1 to R4: the release that it offers


def test_an_entry_without_a_tag_is_refused(known):
    known.entry(known.first, told={"release.tag": None})
    known.refused("R1")


def test_an_unsigned_release_is_refused(known):
    release = known.release("1.1", 2)
    payload = release.raw.partition(b"-----BEGIN")[0]
    known.entry(release, told={"release.tag": payload})
    known.refused("R1", "not signed")


def test_bytes_after_a_releases_signature_are_refused(known):
    release = known.release("1.1", 2)
    known.entry(release, told={"release.tag": release.raw + b"\n"})
    known.refused("R1")


@pytest.mark.parametrize("name", ["channel", "other"])
def test_a_release_signed_by_another_role_is_refused(known, name):
    known.entry(known.release("1.1", 2, key=known.ring[name]))
    known.refused("R2", "role release")


def test_a_release_signed_for_another_namespace_is_refused(known):
    known.entry(known.release("1.1", 2, namespace="osupdate-trust"))
    known.refused("R2")


def test_a_release_of_another_product_is_refused(known):
    known.entry(known.release("1.1", 2, Product="acme-ap"))
    known.refused("R3", "wrong product")


def test_another_release_than_the_one_that_is_named_is_refused(known):
    """Mix and match: a good tag, in an entry that speaks of another."""
    newer = known.release("1.1", 2)
    known.entry(newer, told={"release.tag": known.first.raw})
    known.refused("R3")


def test_a_version_that_the_tag_does_not_have_is_refused(known):
    known.entry(known.first, release="9.9")
    known.refused("R3", "offers 9.9")


def test_a_tag_under_another_name_is_refused(known):
    known.entry(known.release("1.1", 2, name="release/9.9"))
    known.refused("R3")


def test_a_release_whose_security_floor_is_above_itself_is_refused(known):
    known.entry(known.release("1.1", 2, floor=3))
    known.refused("R4")


# --- R4, R5 and F3, where somebody acts on an offer


@pytest.fixture
def deployed(known):
    """Release 1.1 (number 2, floor 2) runs."""
    known.second = known.release("1.1", 2, floor=2)
    known.entry(known.second)
    known.machine.run("apply")
    assert known.machine.running == "1.1"
    return known


def test_an_older_offer_is_waited_for(deployed):
    deployed.entry(deployed.first)
    done = deployed.check()
    assert "below the security floor" in done.out
    before = deployed.remembered()
    deployed.machine.run("apply", code=3)
    after = deployed.remembered()
    assert before.pop("ledger") != after.pop("ledger")
    assert after == before
    assert deployed.machine.running == "1.1"


def test_no_word_of_a_channel_leads_below_the_security_floor(deployed):
    deployed.entry(deployed.first)
    done = deployed.machine.run("channel", "stable", "--allow-downgrade")
    assert "security floor" in done.out
    done = deployed.machine.run("apply", code=3)
    assert "(check R4)" in done.err
    assert deployed.machine.running == "1.1"


def test_a_withdrawn_release_is_not_taken(deployed):
    third = deployed.release("1.2", 3)
    marks = [{"number": 3, "reason": "eats disks"}]
    deployed.entry(third, withdrawn=marks)
    assert "eats disks" in deployed.check().out
    done = deployed.machine.run("apply", code=3)
    assert "withdrawn: eats disks (check R5)" in done.err
    done = deployed.machine.run("apply", "1.2", code=3)
    assert "(check R5)" in done.err
    assert deployed.machine.running == "1.1"


def test_a_staged_release_that_is_withdrawn_is_dropped(deployed):
    third = deployed.release("1.2", 3)
    deployed.entry(third)
    deployed.machine.run("apply", "--no-arm")
    assert deployed.machine.state["phase"] == "staged"
    deployed.entry(third, withdrawn=[{"number": 3, "reason": "eats disks"}])
    done = deployed.check()
    assert "1.2 was withdrawn: eats disks; it was staged, and is given up" in done.err
    assert deployed.machine.state["phase"] == "idle"
    assert deployed.machine.events[-1] == "drop"
    assert "1.2 (withdrawn: eats disks)" in deployed.machine.run("status").out
    assert deployed.machine.run("revert", code=1).err.startswith("osupdate: failed: ")
    assert deployed.machine.running == "1.1"
    deployed.machine.run("apply", "staged", code=2)


def test_a_barrier_is_taken_first(deployed):
    barrier, last = deployed.release("1.2", 3), deployed.release("1.3", 4)
    deployed.entry(
        last,
        barriers=[{"number": 3, "reason": "new partition table"}],
        told={"tags/3": barrier.raw},
    )
    assert "Update available: 1.2" in deployed.check().out
    done = deployed.machine.run("apply", "1.3", code=3)
    assert "barrier on the way" in done.err
    deployed.machine.run("apply")
    assert deployed.machine.running == "1.2"
    deployed.machine.run("apply")
    assert deployed.machine.running == "1.3"


def test_a_barrier_with_the_tag_of_another_is_refused(deployed):
    last = deployed.release("1.3", 4)
    marks = [{"number": 3, "reason": "x"}]
    deployed.entry(last, barriers=marks, told={"tags/3": last.raw})
    deployed.refused("R3", "barrier 3 has the tag of number 4")
    deployed.log.pop()
    deployed.entry(last, barriers=marks)
    deployed.refused("R1", "no tags/3")
    deployed.log.pop()
    forged = deployed.release("1.2", 3, key=deployed.ring["channel"])
    deployed.entry(last, barriers=marks, told={"tags/3": forged.raw})
    deployed.refused("R2")


def test_no_update_leads_from_a_dead_end(deployed):
    marks = [{"number": 2, "reason": "reinstall with the new key"}]
    deployed.entry(deployed.release("1.2", 3), dead_ends=marks)
    assert "dead end" in deployed.check().out
    done = deployed.machine.run("apply", code=3)
    assert "reinstall with the new key (check R5)" in done.err
    assert deployed.machine.running == "1.1"


@pytest.mark.parametrize("name", ["manifest", "release.toml", "files"])
def test_content_that_is_not_what_the_channel_told_is_refused(deployed, name):
    third = deployed.release("1.2", 3)
    told = third.told[name] + b"# more\n"
    if name == "files":
        told = third.told[name].replace(b"/version", b"/versiom")
    deployed.entry(third, told={name: told})
    done = deployed.machine.run("apply", code=3)
    assert "(check F3)" in done.err
    assert deployed.machine.running == "1.1"
    assert deployed.machine.versions == ["1.1"]


def test_files_that_the_channel_told_and_the_release_lacks_are_refused(deployed):
    third = deployed.release("1.2", 3)
    deployed.entry(third, told={"packages.json": b"[]\n"})
    done = deployed.machine.run("apply", code=3)
    assert "packages.json is not what the channel told" in done.err


def test_another_tag_in_the_repository_than_in_the_channel_is_refused(deployed):
    """The forge swaps the tag for another that is signed just as well."""
    third = deployed.release("1.2", 3)
    deployed.entry(third)
    other = deployed.release("1.2", 3, text="another text")
    assert other.tag != third.tag
    done = deployed.machine.run("apply", code=3)
    assert "(check F1)" in done.err
    assert deployed.machine.running == "1.1"
