"""What publishing made, and the words for it."""

from typing import Any

from msgspec import Struct

from updater.core.release_toml import ReleaseToml
from updater.core.text import plural, safe
from updater.core.text import size as bytes_text
from updater.model import ObjectId
from updater.publish.blobs import Blob
from updater.publish.content import Built
from updater.publish.target import Target


class Published(Struct, frozen=True, kw_only=True):
    """The outcome. `outcome` is published or unchanged; `text` says it to a person."""

    outcome: str
    version: str
    number: int
    commit: ObjectId
    tree: ObjectId
    tag: ObjectId | None
    tree_sha256: str
    files: int
    size: int
    read_files: int
    read_bytes: int
    signed: bool
    notices: tuple[str, ...]
    text: str


class Made(Struct, frozen=True):
    """A release in the making. `small` is the content of what no worker stores."""

    release: ReleaseToml
    notes: str
    hashed: dict[bytes, Blob]
    small: dict[bytes, bytes]
    built: Built
    as_before: Built | None
    read_files: int
    read_bytes: int
    notices: tuple[str, ...]


class Statement(Struct, frozen=True):
    """The ids of the commit and the tag that were written."""

    commit: ObjectId
    tag: ObjectId


def unchanged(goal: Target, made: Made, told: list[str]) -> Published:
    """Nothing was published, because nothing changed."""
    assert goal.previous is not None
    assert made.as_before is not None
    last = goal.previous
    return Published(
        outcome="unchanged",
        version=last.release.version,
        number=last.release.number,
        commit=last.commit,
        tree=last.tree,
        tag=None,
        tree_sha256=made.as_before.sha256,
        files=len(made.as_before.entries),
        size=made.as_before.size,
        read_files=made.read_files,
        read_bytes=made.read_bytes,
        signed=False,
        notices=tuple(told),
        text=f"Nothing to publish: the rootfs is that of {safe(last.release.version)} "
        f"(number {last.release.number}, commit {last.commit[:12]}) in {goal.name}.",
    )


def published(
    goal: Target,
    made: Made,
    statement: Statement,
    key: str | None,
    told: list[str],
) -> Published:
    """A release was published."""
    release, built = made.release, made.built
    tree = ObjectId(built.root.hex())
    last = goal.previous
    signed = f"signed with {key}" if key else "UNSIGNED"
    before = f"{last.commit[:12]} ({safe(last.release.version)})" if last else "none"
    lines = [
        f"Published {release.product} {release.version} (number {release.number}, "
        f"{release.arch}) to {goal.name}",
        f"  commit   {statement.commit}, previous {before}",
        f"  tag      release/{release.version}, {signed}",
        f"  tree     {tree}, SHA-256 {built.sha256}",
        f"  content  {plural(len(built.entries), 'file')}, {bytes_text(built.size)}; "
        f"read {plural(made.read_files, 'file')}, {bytes_text(made.read_bytes)}",
        "Next: osupdate check, on a machine whose [remote] url is this repository.",
    ]
    return Published(
        outcome="published",
        version=release.version,
        number=release.number,
        commit=statement.commit,
        tree=tree,
        tag=statement.tag,
        tree_sha256=built.sha256,
        files=len(built.entries),
        size=built.size,
        read_files=made.read_files,
        read_bytes=made.read_bytes,
        signed=key is not None,
        notices=tuple(told),
        text="\n".join(lines),
    )


def to_json(value: Published, seconds: float) -> dict[str, Any]:
    """`osupdate.published/1`."""
    names = (
        "outcome",
        "version",
        "number",
        "commit",
        "tree",
        "tag",
        "tree_sha256",
        "files",
        "size",
        "read_files",
        "read_bytes",
        "signed",
    )
    return {
        "schema": "osupdate.published/1",
        **{name: getattr(value, name) for name in names},
        "notices": list(value.notices),
        "elapsed": round(seconds, 3),
    }
