"""The story of `osupdate site`: a repository becomes a directory of pages."""

import os
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from updater.core import manifest, treediff
from updater.core.text import plural
from updater.errors import RefusedError, UsageError
from updater.model import MANIFEST_PATH
from updater.report import compare
from updater.report.diff import Report, Side
from updater.report.snapshot import Blobs, Snapshot
from updater.site import channels, output, pages, releases
from updater.site.releases import Listed, State
from updater.system import signature
from updater.system.git.publishing import Repository

Progress = Callable[[str, int, int | None], None]


class Built(Struct, frozen=True):
    """What a run did. `unverified` counts releases without a signature that holds."""

    out: str
    newest: str
    releases: int
    made: int
    kept: int
    removed: int
    unverified: int
    notices: tuple[str, ...]


def build(
    repo: str,
    out: str,
    now: int,
    *,
    url: str | None = None,
    trust: str | None = None,
    progress: Progress = lambda _what, _done, _of: None,
) -> Built:
    """Write or refresh the site of a repository.

    Args:
        repo: a bare repository on this machine.
        out: the directory of the site.
        now: device time, seconds; only for keys that have an end.
        url: where the site will be served, for the feeds; None makes none.
        trust: an allowed-signers file of the role release; None checks nothing.
        progress: called with what is done, how many, and of how many.

    Raises:
        UsageError, RefusedError, HostError, ConfigError, BusyError: pages that were
            there are whole, old or new.
    """
    base = _base(url)
    role = signature.read_role(trust, "release") if trust else None
    if not os.path.isdir(repo):
        raise RefusedError(f"{repo} is not a directory; expected a bare repository")
    if os.path.isdir(os.path.join(repo, ".git")):
        raise RefusedError(
            f"{repo} has a working tree; expected a bare repository",
            hint=f"Name the one that machines fetch from, or: git clone --bare {repo}",
        )
    repository = Repository(repo)
    found = releases.find(
        repository, role, now, lambda done: progress("read", done, None)
    )
    keys = tuple(key.text for key in role.signers) if role else ()
    site = pages.Site(found.releases, base, keys, channels.find(repository))
    wanted = pages.of(site, lambda old, new: report(repository, old, new))
    written = output.write(out, wanted, lambda done, of: progress("write", done, of))
    return Built(
        out=out,
        newest=found.releases[0].version,
        releases=len(found.releases),
        made=written.made,
        kept=written.kept,
        removed=written.removed,
        unverified=sum(
            one.signature.state is not State.VERIFIED for one in found.releases
        ),
        notices=found.notices + _notices(found.releases, base, checked=bool(role)),
    )


def report(repository: Repository, old: Listed, new: Listed) -> Report:
    """What changes from one release of the repository to another."""
    return compare.compare(
        _snapshot(repository, old),
        _snapshot(repository, new),
        asked=(f"{old.version}..{new.version}",),
    )


def _snapshot(repository: Repository, one: Listed) -> Snapshot:
    objects = repository.objects
    tree = treediff.Browser(one.tree, objects.read_tree)
    leaf = tree.leaf(MANIFEST_PATH)
    metadata = {} if leaf is None else manifest.parse(objects.read_blob(leaf.oid))
    side = Side(name="", version=one.version, commit=one.commit, created=one.created)
    return Snapshot(side, tree, metadata, Blobs(objects.read_blob, objects.sizes({})))


def _base(url: str | None) -> str | None:
    if url is None:
        return None
    web = url.startswith(("https://", "http://"))
    if not web or not url.isprintable() or any(c in url for c in "?# "):
        raise UsageError(f"--url {url}: expected https://HOST/PATH or http://...")
    return url if url.endswith("/") else f"{url}/"


def _notices(
    found: tuple[Listed, ...], url: str | None, *, checked: bool
) -> tuple[str, ...]:
    told = []
    if not checked:
        told.append("signatures are not checked, and the pages say so: --trust FILE")
    refused = [one for one in found if one.signature.state is State.REFUSED]
    told += [f"{one.version}: {one.signature.why}" for one in refused]
    unsigned = [one for one in found if one.signature.state is State.UNSIGNED]
    if unsigned:
        told.append(f"{plural(len(unsigned), 'release')} without a signed tag")
    if url is None:
        told.append("no feeds: they need the address of the site, --url URL")
    return tuple(told)


def to_json(built: Built) -> dict[str, Any]:
    """`osupdate.site/1`; the schema is docs/json/site-1.json."""
    return {
        "schema": "osupdate.site/1",
        "out": built.out,
        "newest": built.newest,
        "releases": built.releases,
        "pages": {"made": built.made, "kept": built.kept, "removed": built.removed},
        "unverified": built.unverified,
        "notices": list(built.notices),
    }


def text(built: Built) -> list[str]:
    """For people."""
    pages_made = plural(built.made, "page")
    doubt = f"NOT VERIFIED: {built.unverified:,} of {built.releases:,} releases"
    return [
        *([doubt] if built.unverified else []),
        f"{built.out}: {plural(built.releases, 'release')}, the newest is "
        f"{built.newest}",
        f"{pages_made} made, {built.kept:,} as before, {built.removed:,} removed",
    ]
