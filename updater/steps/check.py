"""check: what the remote proposes. Kilobytes; nothing of it is verified here."""

import re
from collections.abc import Callable, Sequence

from updater.core.text import safe
from updater.core.urls import parse_remote
from updater.core.versions import is_version
from updater.errors import ConfigError, UntrustedError, UsageError
from updater.model import ObjectId, Offer, RemoteHead, RemoteSettings, TrustMode
from updater.system.git import child
from updater.system.git.child import FetchLimits
from updater.system.git.retry import patiently

_HEADS, _TAGS, _RELEASE = "refs/heads/", "refs/tags/", "release/"
_FULL_ID = re.compile(r"[0-9a-f]{40}\Z")
_SHORT_ID = re.compile(r"[0-9a-f]{7,39}\Z")
_SHOWN = 5  # names in a message


def check(
    remote: RemoteSettings,
    mode: TrustMode,
    wanted: str | None = None,
    *,
    allow_plain: bool = False,
    limits: FetchLimits | None = None,
    sleep: Callable[[float], None],
    secrets_dir: str | None = None,
) -> Offer:
    """Ask the remote what this machine should run.

    Args:
        remote: where releases come from.
        mode: what makes a release acceptable.
        wanted: a version, tag or commit id that a person named; None for the channel's.
        allow_plain: whether http and git are acceptable without signatures; with
            signatures they are.
        limits: what the remote may cost.
        sleep: waits that many seconds between two tries.
        secrets_dir: where credential names are looked up.

    Raises:
        ConfigError: the settings cannot be used.
        UsageError: the remote has nothing called `wanted`.
        UntrustedError: C1: no such branch; R1: its tip is not released.
        TransportError: the remote cannot be reached.
    """
    require_url(remote)
    heads = patiently(
        lambda: child.list_heads(
            remote,
            limits or FetchLimits(),
            allow_plain=allow_plain or mode is not TrustMode.UNSIGNED,
            secrets_dir=secrets_dir,
        ),
        sleep,
    )
    return choose(remote, mode, heads, wanted)


def require_url(remote: RemoteSettings) -> None:
    """Refuse to ask nobody.

    Raises:
        ConfigError.
    """
    if not remote.url:
        raise ConfigError(
            "[remote] url is not set: nobody can be asked for releases",
            hint="Set it in /etc/osupdate/config.toml; docs/config.md has an example",
        )


def choose(
    remote: RemoteSettings,
    mode: TrustMode,
    heads: Sequence[RemoteHead],
    wanted: str | None = None,
) -> Offer:
    """Pick the offer from what a remote advertises.

    Raises:
        UsageError, UntrustedError: as `check`.
    """
    if wanted is not None:
        return _named(remote, mode, heads, wanted)
    tip = _tip(remote, heads)
    tags = _tags_at(tip, heads, mode)
    if tags:
        return _of_tag(remote, max(tags, key=_preference), mode)
    if mode is not TrustMode.UNSIGNED:
        raise UntrustedError(
            "R1",
            f"the tip of {safe(remote.channel, 100)} ({tip[:7]}) is not released: no "
            "release/* tag is on it",
        )
    return Offer(remote.url, remote.channel, _HEADS + remote.channel, tip)


def _tip(remote: RemoteSettings, heads: Sequence[RemoteHead]) -> ObjectId:
    branches = {
        head.name.removeprefix(_HEADS): head.oid
        for head in heads
        if head.name.startswith(_HEADS)
    }
    if remote.channel not in branches:
        raise UntrustedError(
            "C1",
            f"{_where(remote)} has no branch {safe(remote.channel, 100)}; it has "
            f"{_some(branches) or 'none at all'}",
            hint="The branch is remote.channel in the configuration.",
        )
    return branches[remote.channel]


def _tags_at(
    commit: ObjectId, heads: Sequence[RemoteHead], mode: TrustMode
) -> list[RemoteHead]:
    return [
        head
        for head in heads
        if head.name.startswith(_TAGS)
        and (head.peeled or head.oid) == commit
        and _is_release(head.name.removeprefix(_TAGS), mode)
    ]


def _is_release(name: str, mode: TrustMode) -> bool:
    """Whether a tag names a version; only `release/` ones are signed statements."""
    if mode is not TrustMode.UNSIGNED and not name.startswith(_RELEASE):
        return False
    return is_version(name.removeprefix(_RELEASE))


def _preference(head: RemoteHead) -> tuple[bool, bool, list[tuple[int, int, str]]]:
    name = head.name.removeprefix(_TAGS)
    parts = re.findall(r"[0-9]+|[^0-9]+", name.removeprefix(_RELEASE))
    order = [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts]
    return head.peeled is not None, name.startswith(_RELEASE), order


def _of_tag(remote: RemoteSettings, head: RemoteHead, mode: TrustMode) -> Offer:
    name = head.name.removeprefix(_TAGS)
    if mode is not TrustMode.UNSIGNED and head.peeled is None:
        raise UntrustedError(
            "R1",
            f"{safe(name, 100)} is a lightweight tag; expected an annotated tag, which "
            "can be signed",
        )
    return Offer(
        url=remote.url,
        channel=remote.channel,
        ref=head.name,
        commit=head.peeled or head.oid,
        tag=head.oid if head.peeled else None,
        tag_name=name,
        version=name.removeprefix(_RELEASE),
    )


def _named(
    remote: RemoteSettings, mode: TrustMode, heads: Sequence[RemoteHead], wanted: str
) -> Offer:
    by_name = {head.name: head for head in heads}
    for name in (f"{_TAGS}{_RELEASE}{wanted}", f"{_TAGS}{wanted}"):
        if name in by_name and _is_release(name.removeprefix(_TAGS), mode):
            return _of_tag(remote, by_name[name], mode)
    if _FULL_ID.match(wanted) or _SHORT_ID.match(wanted):
        return _by_id(remote, mode, heads, wanted)
    raise _unknown(remote, mode, heads, wanted)


def _by_id(
    remote: RemoteSettings, mode: TrustMode, heads: Sequence[RemoteHead], wanted: str
) -> Offer:
    commits: dict[ObjectId, RemoteHead] = {
        head.peeled or head.oid: head
        for head in heads
        if (head.peeled or head.oid).startswith(wanted)
    }
    if len(commits) > 1:
        raise UsageError(
            f"{wanted} is the beginning of several commits; give more of it"
        )
    for commit, head in commits.items():
        tags = _tags_at(commit, heads, mode)
        if tags:
            return _of_tag(remote, max(tags, key=_preference), mode)
        if mode is TrustMode.UNSIGNED:
            return Offer(remote.url, remote.channel, head.name, commit)
    if mode is TrustMode.UNSIGNED and _FULL_ID.match(wanted):
        # Not advertised, but the server may hand it out when it is asked by id.
        return Offer(remote.url, remote.channel, wanted, ObjectId(wanted))
    if commits:
        raise UntrustedError("R1", f"commit {wanted} is not released: no tag is on it")
    raise _unknown(remote, mode, heads, wanted)


def _unknown(
    remote: RemoteSettings, mode: TrustMode, heads: Sequence[RemoteHead], wanted: str
) -> UsageError:
    tags = [head for head in heads if head.name.startswith(_TAGS)]
    versions = [
        head.name.removeprefix(_TAGS).removeprefix(_RELEASE)
        for head in sorted(tags, key=_preference, reverse=True)
        if _is_release(head.name.removeprefix(_TAGS), mode)
    ]
    return UsageError(
        f"{_where(remote)} has no release {safe(wanted, 100)}; it has "
        f"{_some(versions) or 'none at all'}"
    )


def _where(remote: RemoteSettings) -> str:
    return safe(parse_remote(remote.url).host or remote.url, 200)


def _some(names: Sequence[str] | dict[str, ObjectId]) -> str:
    shown = [safe(name, 60) for name in names]
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(shown[:_SHOWN]) + more
