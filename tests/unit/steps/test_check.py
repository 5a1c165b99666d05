"""What is offered, out of what a remote advertises."""

import pytest

from updater.errors import UntrustedError, UsageError
from updater.model import Offer, RemoteHead, RemoteSettings, TrustMode
from updater.steps.check import choose

REMOTE = RemoteSettings(url="https://os.example.org/acme.git", channel="stable")
OLD, TIP, TAG1, TAG2 = ("a" * 40, "b" * 40, "1" * 40, "2" * 40)
HEADS = (
    RemoteHead("HEAD", TIP),
    RemoteHead("refs/heads/stable", TIP),
    RemoteHead("refs/heads/test", OLD),
    RemoteHead("refs/tags/release/1.0", TAG1, OLD),
    RemoteHead("refs/tags/release/1.1", TAG2, TIP),
)


def tagged(name, tag, commit):
    return Offer(
        url=REMOTE.url,
        channel="stable",
        ref=f"refs/tags/{name}",
        commit=commit,
        tag=tag,
        tag_name=name,
        version=name.removeprefix("release/"),
    )


@pytest.mark.parametrize("mode", [TrustMode.TAG, TrustMode.UNSIGNED])
def test_the_release_at_the_tip_is_offered(mode):
    assert choose(REMOTE, mode, HEADS) == tagged("release/1.1", TAG2, TIP)


def test_a_tip_without_a_release_tag_is_not_released():
    heads = [*HEADS[:4], RemoteHead("refs/tags/v1.1", TAG2, TIP)]
    with pytest.raises(UntrustedError, match=r"the tip of stable .* is not released"):
        choose(REMOTE, TrustMode.TAG, heads)


def test_a_lightweight_release_tag_is_refused_in_tag_mode():
    heads = [*HEADS[:4], RemoteHead("refs/tags/release/1.1", TIP)]
    with pytest.raises(UntrustedError, match="lightweight") as caught:
        choose(REMOTE, TrustMode.TAG, heads)
    assert caught.value.check == "R1"


def test_a_plain_tag_names_the_version_in_unsigned_mode():
    heads = [*HEADS[:3], RemoteHead("refs/tags/v7", TIP)]
    offer = choose(REMOTE, TrustMode.UNSIGNED, heads)
    assert (offer.version, offer.tag, offer.ref) == ("v7", None, "refs/tags/v7")


def test_an_untagged_tip_has_no_version_yet_in_unsigned_mode():
    offer = choose(REMOTE, TrustMode.UNSIGNED, HEADS[:4])
    assert offer == Offer(REMOTE.url, "stable", "refs/heads/stable", TIP)


def test_of_several_tags_the_annotated_and_then_the_highest_counts():
    tags = [
        RemoteHead("refs/tags/1.9", "9" * 40, TIP),
        RemoteHead("refs/tags/1.10", "8" * 40, TIP),
        RemoteHead("refs/tags/2.0", TIP),
        RemoteHead("refs/tags/not a version", "7" * 40, TIP),
    ]
    offer = choose(REMOTE, TrustMode.UNSIGNED, [*HEADS[:2], *tags])
    assert offer.version == "1.10"


@pytest.mark.parametrize("mode", [TrustMode.TAG, TrustMode.UNSIGNED])
def test_missing_branch_is_c1_and_names_a_few(mode):
    heads = [RemoteHead(f"refs/heads/b{number}", OLD) for number in range(9)]
    with pytest.raises(UntrustedError) as caught:
        choose(REMOTE, mode, heads)
    assert caught.value.check == "C1"
    assert "no branch stable; it has b0, b1, b2, b3, b4 and 4 more" in str(caught.value)


def test_branch_names_are_made_safe_to_show():
    with pytest.raises(UntrustedError) as caught:
        choose(REMOTE, TrustMode.TAG, [RemoteHead("refs/heads/\x1b[31mred", OLD)])
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("mode", [TrustMode.TAG, TrustMode.UNSIGNED])
@pytest.mark.parametrize("wanted", ["1.0", "release/1.0", OLD, OLD[:7]])
def test_a_release_can_be_named_by_version_tag_or_commit(mode, wanted):
    assert choose(REMOTE, mode, HEADS, wanted) == tagged("release/1.0", TAG1, OLD)


def test_plain_tags_are_releases_only_in_unsigned_mode():
    heads = [*HEADS, RemoteHead("refs/tags/23.1", "c" * 40)]
    assert choose(REMOTE, TrustMode.UNSIGNED, heads, "23.1").commit == "c" * 40
    with pytest.raises(UsageError, match=r"no release 23\.1; it has 1\.1, 1\.0"):
        choose(REMOTE, TrustMode.TAG, heads, "23.1")


def test_a_branch_that_is_called_like_a_version_is_none():
    heads = [RemoteHead("refs/heads/1.0", OLD)]
    with pytest.raises(UsageError, match="it has none at all"):
        choose(REMOTE, TrustMode.UNSIGNED, heads, "1.0")


def test_a_commit_that_is_not_advertised_is_asked_for_only_when_unsigned():
    wanted = "d" * 40
    offer = choose(REMOTE, TrustMode.UNSIGNED, HEADS, wanted)
    assert (offer.ref, offer.commit, offer.version) == (wanted, wanted, None)
    with pytest.raises(UsageError):
        choose(REMOTE, TrustMode.TAG, HEADS, wanted)


def test_a_commit_without_a_release_tag_is_not_released():
    heads = [*HEADS, RemoteHead("refs/heads/dev", "c" * 40)]
    with pytest.raises(UntrustedError, match="is not released"):
        choose(REMOTE, TrustMode.TAG, heads, "c" * 40)
    assert choose(REMOTE, TrustMode.UNSIGNED, heads, "c" * 9).ref == "refs/heads/dev"


def test_an_ambiguous_commit_id_is_refused():
    heads = [RemoteHead("refs/heads/x", "abcdef0" + "1" * 33)]
    heads += [RemoteHead("refs/heads/y", "abcdef0" + "2" * 33)]
    with pytest.raises(UsageError, match="several commits"):
        choose(REMOTE, TrustMode.UNSIGNED, heads, "abcdef0")
