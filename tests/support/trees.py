"""Directory trees as values, to compare one with another entry by entry."""

import os
import stat
from typing import NamedTuple

OWN = b"usr/lib/osupdate"
_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFLNK: "symlink",
    stat.S_IFDIR: "dir",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}


class Node(NamedTuple):
    """One path: `content` is bytes, a symlink's target, or a device's numbers.

    `links` are the names below the same tree that are the same file.
    """

    kind: str
    mode: int
    uid: int
    gid: int
    content: bytes | tuple[int, int] | None
    xattrs: tuple[tuple[str, bytes], ...]
    links: tuple[bytes, ...]


def read_tree(root, *, own=False):
    """path -> Node of everything below `root`; `own`: with what publishing adds."""
    found, inodes = {}, {}
    for path, full, facts in _walk(root, own=own):
        found[path] = (full, facts)
        if not stat.S_ISDIR(facts.st_mode):
            inodes.setdefault(facts.st_ino, []).append(path)
    return {
        path: _node(full, facts, tuple(sorted(inodes.get(facts.st_ino, ()))))
        for path, (full, facts) in found.items()
    }


def contents(root, *, own=False):
    """path -> (kind, content): what anybody sees, whoever laid it out."""
    return {
        path: (node.kind, node.content)
        for path, node in read_tree(root, own=own).items()
    }


def times(root):
    """path -> mtime in nanoseconds."""
    return {path: facts.st_mtime_ns for path, _, facts in _walk(root, own=True)}


def usage(*paths):
    """Bytes on disk below these paths; a file with several names counts once."""
    seen = {}
    for path in paths:
        for _, _, facts in _walk(path, own=True):
            seen[facts.st_dev, facts.st_ino] = facts.st_blocks * 512
    return sum(seen.values())


def everything(root):
    """Whatever could have changed below `root`, the access time aside."""
    return {
        path: (f.st_mode, f.st_ino, f.st_nlink, f.st_size, f.st_mtime_ns)
        for path, _, f in _walk(root, own=True)
    }


def _walk(root, *, own):
    top = os.fsencode(root)
    for directory, names, files in os.walk(top):
        below = os.path.relpath(directory, top)
        if not own and below == OWN:
            names.clear()
            continue
        for name in (*names, *files):
            full = os.path.join(directory, name)
            path = name if below == b"." else os.path.join(below, name)
            if own or path != OWN:
                yield path, full, os.lstat(full)
    yield b"", top, os.lstat(top)


def _node(full, facts, links):
    kind = _KINDS[stat.S_IFMT(facts.st_mode)]
    content = None
    if kind == "file":
        with open(full, "rb") as file:
            content = file.read()
    elif kind == "symlink":
        content = os.readlink(full)
    elif kind in ("char", "block"):
        content = (os.major(facts.st_rdev), os.minor(facts.st_rdev))
    names = sorted(os.listxattr(full, follow_symlinks=False))
    xattrs = tuple((n, os.getxattr(full, n, follow_symlinks=False)) for n in names)
    mode = stat.S_IMODE(facts.st_mode)
    return Node(kind, mode, facts.st_uid, facts.st_gid, content, xattrs, links)
