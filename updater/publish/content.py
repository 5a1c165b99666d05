"""The content of a release: a root filesystem, read, judged, and described."""

import os
from collections.abc import Callable, Mapping, Sequence
from io import BufferedReader

from msgspec import Struct

from updater.core import manifest, packages, tree
from updater.core.rootfs import Kind, Node, describe, with_parents
from updater.core.text import plural, show_path
from updater.errors import HostError, RefusedError
from updater.model import (
    CHANGES_PATH,
    MANIFEST_PATH,
    NOTES_PATH,
    PACKAGES_PATH,
    RELEASE_TOML_PATH,
    GitMode,
    ObjectId,
    Package,
    TreeEntry,
)
from updater.publish.blobs import Blob
from updater.publish.excludes import Selection
from updater.system.archive import Archive
from updater.system.rootfs import Directory

OWN_FILES = (
    MANIFEST_PATH,
    RELEASE_TOML_PATH,
    NOTES_PATH,
    PACKAGES_PATH,
    CHANGES_PATH,
)
_ROOT_SHOWN = 3

Source = Directory | Archive


class Built(Struct, frozen=True):
    """The trees of a release; `objects` is raw id -> content of every SHA-1 tree."""

    root: bytes
    objects: dict[bytes, bytes]
    sha256: str
    entries: tuple[TreeEntry, ...]
    size: int


def open_source(
    rootfs: str, stdin: BufferedReader | None, spool: str, me: tuple[int, int] | None
) -> Source:
    """Open a directory, an archive, or (`-`) the archive on stdin.

    Raises:
        HostError: there is no such thing.
    """
    if rootfs == "-" and stdin is not None:
        return Archive(stdin, spool)
    if os.path.isdir(rootfs):
        return Directory(rootfs, me)
    try:
        with open(rootfs, "rb") as file:
            return Archive(file, spool)
    except OSError as error:
        raise HostError(f"cannot read the rootfs {rootfs}: {error.strerror}") from error


def select(source: Source, selection: Selection) -> dict[bytes, Node]:
    """The paths of a release, with the directories of its own files and without those.

    Raises:
        RefusedError: there is nothing, or no place for the release's own files.
    """
    walked = source.walk(selection.enter)
    if not walked:
        raise RefusedError("the rootfs is empty")
    own = tuple(path + b"/" for path in OWN_FILES)
    nodes = {
        path: node
        for path, node in selection.select(walked).items()
        if path not in OWN_FILES and not path.startswith(own)
    }
    here = MANIFEST_PATH
    while here := here.rpartition(b"/")[0]:
        if here in nodes and nodes[here].kind is not Kind.DIRECTORY:
            raise RefusedError(
                f"{show_path(here)} is a {nodes[here].kind.value}; a release keeps its "
                "own files there and needs a directory"
            )
    return nodes


def find_packages(
    nodes: Mapping[bytes, Node], source: Source
) -> tuple[list[Package], str | None]:
    """The packages of a root filesystem, and their architecture."""
    files = [path for path, node in nodes.items() if node.kind is Kind.FILE]
    found = packages.find(files, lambda path: bytes(source.read(nodes[path])))
    return found, packages.main_arch(found)


def write_manifest(nodes: dict[bytes, Node]) -> bytes:
    """The manifest, read back with the parser that machines use."""
    complete = dict(nodes)
    for path in OWN_FILES:
        complete[path] = Node(path, Kind.FILE, 0o644, 0, 0)
    with_parents(complete, nodes)
    described = describe(complete)
    data = manifest.write(described)
    if manifest.parse(data) != described:
        raise AssertionError("the manifest does not read back")
    return data


def build(
    nodes: Mapping[bytes, Node],
    blobs: Mapping[bytes, Blob],
    own: Mapping[bytes, bytes],
) -> Built:
    """The trees of a release, held to the rules that machines hold them to."""
    files: list[tuple[bytes, GitMode, Blob]] = [
        (path, mode, blobs[path])
        for path, node in nodes.items()
        if (mode := node.git_mode) is not None
    ]
    files += [(path, GitMode.FILE, blobs[path]) for path in own]
    root, objects = tree.build((p, m, blob.oid) for p, m, blob in files)
    root256, _ = tree.build(((p, m, blob.sha256) for p, m, blob in files), "sha256")
    flat = tree.flatten(ObjectId(root.hex()), lambda oid: objects[bytes.fromhex(oid)])
    return Built(
        root=root,
        objects=objects,
        sha256=root256.hex(),
        entries=flat.entries,
        size=sum(blob.size for _, _, blob in files),
    )


def notices(source: Source, *, unprivileged: bool) -> list[str]:
    """What of the root filesystem is not in the release."""
    found = []
    if source.sockets:
        shown = ", ".join(map(show_path, sorted(source.sockets)[:_ROOT_SHOWN]))
        found.append(f"{plural(len(source.sockets), 'socket')} left out: {shown}")
    for name, count in sorted(source.unrecorded.items()):
        why = " (format 1 has no labels)" if name == manifest.NOT_RECORDED else ""
        found.append(f"{name} of {plural(count, 'path')} is not recorded{why}")
    if unprivileged:
        found.append(
            "published without root privileges: your own files are recorded as root's"
        )
    return found


def small_blobs(contents: Mapping[bytes, bytes]) -> dict[bytes, Blob]:
    """Both ids of contents that are here in memory."""
    return {
        path: Blob(
            tree.object_id("blob", content, "sha1"),
            tree.object_id("blob", content, "sha256"),
            len(content),
        )
        for path, content in contents.items()
    }


def hash_files(
    nodes: Mapping[bytes, Node],
    known: Mapping[bytes, Blob],
    store: Callable[[Sequence[Node]], dict[bytes, Blob]],
) -> dict[bytes, Blob]:
    """A blob for every regular file; a file with several names is read once."""
    first: dict[object, Node] = {}
    wanted = [n for n in nodes.values() if n.kind is Kind.FILE and n.path not in known]
    for node in wanted:
        first.setdefault(node.link or node.path, node)
    stored = store(list(first.values()))
    found = dict(known)
    for node in wanted:
        found[node.path] = stored[first[node.link or node.path].path]
    return found
