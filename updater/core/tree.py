"""Git trees from outside: parsed and validated before anything is written.

libgit2 checks nothing of a tree when it fetches, and normalises odd modes when it
reads one, so the raw bytes are parsed here. The order and its meaning are those of
git's own `base_name_compare`: a directory sorts as if its name ended in a slash.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from updater.core.text import safe
from updater.errors import UntrustedError
from updater.model import GitMode, Listing, ObjectId, RawEntry, TreeEntry

MAX_NAME = 255
MAX_PATH = 4095
MAX_DEPTH = 64
MAX_ENTRIES = 1_000_000
SUBMODULE = b"160000"

_MODES = {mode.value.encode(): mode for mode in GitMode}
_CONTROL = bytes(range(0x20)) + b"\x7f"
_ENTRY = re.compile(rb"(100644|100755|120000|40000) ([^\0]{1,255})\0(.{20})", re.DOTALL)
# Names, each after a NUL, that `safe_name` has to look at: what is not ASCII or not
# printable, has a slash, or begins as `.`, `..`, `.git` and `git~1` do.
_SUSPECT = re.compile(
    rb"[^\0\x20-\x2e\x30-\x7e]|(?:^|\0)(?:\.+(?:\0|$)|\.?git)", re.IGNORECASE
)
# Code points that HFS+ ignores in a name; git refuses them inside a `.git`.
_IGNORED = dict.fromkeys(
    [*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF]
)


class Flat(Struct, frozen=True):
    """A whole release: its files and symlinks by path, its trees, what was skipped.

    `submodules` and `empty` (directories without any entry) are paths that a checkout
    by git would not fill either.
    """

    entries: tuple[TreeEntry, ...]
    trees: dict[ObjectId, Listing]
    submodules: tuple[bytes, ...]
    empty: tuple[bytes, ...]


def parse(data: bytes, where: bytes = b"", *, submodules: bool = False) -> Listing:
    """Read one raw tree object.

    Args:
        data: the object's content, without git's header.
        where: the tree's path, for messages.
        submodules: skip gitlinks and name them instead of refusing them.

    Returns:
        The entries in git's order, and the names of skipped gitlinks.

    Raises:
        UntrustedError: F2: an odd mode, an unsafe or duplicate name, a wrong order.
    """
    return _parse_ordinary(data) or _parse_each(data, where, submodules=submodules)


def _parse_ordinary(data: bytes) -> Listing | None:
    """What a tree without anything odd lists, three times as fast; None for others."""
    found = _ENTRY.findall(data)
    names = [name for _, name, _ in found]
    modes = [_MODES[mode] for mode, _, _ in found]
    # Every byte belongs to an entry: mode, space, name, NUL, id.
    length = sum(map(len, names)) + 22 * len(found)
    if length + sum(len(mode) for mode, _, _ in found) != len(data):
        return None
    if len(set(names)) != len(names) or _SUSPECT.search(b"\0".join(names)):
        return None
    keys = [
        name + b"/" if mode is GitMode.TREE else name
        for mode, name in zip(modes, names, strict=True)
    ]
    if keys != sorted(keys):
        return None
    ids = [ObjectId(raw.hex()) for _, _, raw in found]
    return list(map(RawEntry, modes, names, ids)), []


def _parse_each(data: bytes, where: bytes, *, submodules: bool) -> Listing:
    """The same entry by entry, to say which one is wrong."""
    found: list[RawEntry] = []
    skipped: list[bytes] = []
    position, end = 0, len(data)
    last = b""
    files: set[bytes] = set()
    while position < end:
        space = data.find(b" ", position, position + 8)
        nul = data.find(b"\0", space, space + MAX_NAME + 2) if space > 0 else -1
        if nul < 0 or nul + 21 > end:
            raise _refuse(where, data[position : position + 80], "is not a tree entry")
        raw_mode, name = data[position:space], data[space + 1 : nul]
        position = nul + 21
        if not safe_name(name):
            raise _refuse(where, name, "is not a name that a release may have")
        mode = _MODES.get(raw_mode)
        if mode is None and not (submodules and raw_mode == SUBMODULE):
            raise _refuse(where, name, _odd_mode(raw_mode))
        directory = mode is GitMode.TREE  # a submodule sorts as a file does
        key = name + b"/" if directory else name
        if key <= last or (directory and name in files):
            raise _refuse(where, name, "is out of git's order, or appears twice")
        last = key
        if not directory:
            files.add(name)
        if mode is None:
            skipped.append(name)
        else:
            found.append(RawEntry(mode, name, ObjectId(data[nul + 1 : position].hex())))
    return found, skipped


def safe_name(name: bytes) -> bool:
    """Whether a tree entry may be called this.

    Refused: empty, `.`, `..`, anything git or a filesystem reads as `.git`, slashes,
    NUL and other control characters, more than 255 bytes. Names need not be UTF-8.
    """
    if not name or len(name) > MAX_NAME or name in (b".", b".."):
        return False
    if b"/" in name or name.translate(None, _CONTROL) != name:
        return False
    return not _looks_like_git(name)


def _looks_like_git(name: bytes) -> bool:
    low = name.lower()
    if low[:1] not in (b".", b"g") and name.isascii():
        return False
    if low.rstrip(b". ") in (b".git", b"git~1"):
        return True
    text = low.decode("utf-8", "replace").translate(_IGNORED)
    return text == ".git"


def flatten(
    root: ObjectId,
    read: Callable[[ObjectId], bytes],
    *,
    submodules: bool = False,
    max_entries: int = MAX_ENTRIES,
) -> Flat:
    """Walk a release's trees, validating each, without recursion.

    Args:
        root: the commit's tree.
        read: gives the raw bytes of a tree object; raises when it is not a tree.
        submodules: skip gitlinks instead of refusing them.
        max_entries: the number of files and symlinks that the statement promised.

    Returns:
        Entries sorted by raw path bytes.

    Raises:
        UntrustedError: F2.
    """
    entries: list[TreeEntry] = []
    skipped: list[bytes] = []
    empty: list[bytes] = []
    parsed: dict[ObjectId, Listing] = {}
    stack: list[tuple[bytes, ObjectId, int]] = [(b"", root, 0)]
    directories = 0
    while stack:
        path, oid, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise _refuse(path, b"", f"is deeper than {MAX_DEPTH} directories")
        if oid not in parsed:
            parsed[oid] = parse(read(oid), path, submodules=submodules)
        raw, links = parsed[oid]
        skipped += [_join(path, name) for name in links]
        if path and not raw and not links:
            empty.append(path)
        above = path + b"/" if path else b""
        for mode, name, child in raw:
            full = above + name
            if len(full) > MAX_PATH:
                raise _refuse(path, name, f"makes a path over {MAX_PATH} bytes")
            if mode is GitMode.TREE:
                stack.append((full, child, depth + 1))
                directories += 1
            else:
                entries.append(TreeEntry(full, mode, child))
        _check_growth(len(entries), directories, max_entries)
    entries.sort(key=lambda entry: entry.path)
    return Flat(tuple(entries), parsed, tuple(sorted(skipped)), tuple(sorted(empty)))


def _check_growth(files: int, directories: int, max_files: int) -> None:
    if files > max_files:
        raise UntrustedError("F2", f"the tree has more than {max_files:,} files")
    # A few small trees that name each other can stand for billions of directories.
    most = min(max_files * MAX_DEPTH, MAX_ENTRIES)
    if directories > most:
        raise UntrustedError("F2", f"the tree has more than {most:,} directories")


def sha256_id(
    root: ObjectId,
    trees: Mapping[ObjectId, Listing],
    sha256: Mapping[bytes, bytes],
) -> str:
    """The id that a tree has in a SHA-256 git repository (`Tree-SHA256`).

    Source of the format: git's hash-function-transition document.

    Args:
        root: the tree.
        trees: it and everything below it, from `flatten`.
        sha256: path -> SHA-256 blob id (32 bytes) of every file and symlink.
    """
    return _sha256_tree(root, b"", trees, sha256).hex()


def _sha256_tree(
    oid: ObjectId,
    path: bytes,
    trees: Mapping[ObjectId, Listing],
    sha256: Mapping[bytes, bytes],
) -> bytes:
    parts = []
    for mode, name, child in trees[oid][0]:
        full = _join(path, name)
        if mode is GitMode.TREE:
            digest = _sha256_tree(child, full, trees, sha256)
        else:
            digest = sha256[full]
        parts += [mode.value.encode(), b" ", name, b"\0", digest]
    return object_id("tree", b"".join(parts), "sha256")


def object_id(kind: str, content: bytes | memoryview, algorithm: str) -> bytes:
    """The id that git gives an object: the hash of its header and content."""
    digest = hashlib.new(algorithm, f"{kind} {len(content)}\0".encode())
    digest.update(content)
    return digest.digest()


def build(
    entries: Iterable[tuple[bytes, GitMode, bytes]], algorithm: str = "sha1"
) -> tuple[bytes, dict[bytes, bytes]]:
    """Make the tree objects of a set of files.

    Args:
        entries: (path, mode, raw id) of files and symlinks, in any order.
        algorithm: sha1 for the repository, sha256 for `Tree-SHA256`.

    Returns:
        The root tree's raw id, and raw id -> content of every tree.
    """
    children: dict[bytes, list[tuple[bytes, bytes, bytes]]] = {b"": []}
    for path, mode, oid in entries:
        parent, _, name = path.rpartition(b"/")
        _adopt(children, parent)
        children[parent].append((name, mode.value.encode(), oid))
    objects: dict[bytes, bytes] = {}
    root = b""
    for path in sorted(children, key=lambda p: (-p.count(b"/") - bool(p), p)):
        content = _tree_content(children[path])
        root = object_id("tree", content, algorithm)
        objects[root] = content
        if path:
            parent, _, name = path.rpartition(b"/")
            children[parent].append((name, GitMode.TREE.value.encode(), root))
    return root, objects


def _adopt(
    children: dict[bytes, list[tuple[bytes, bytes, bytes]]], path: bytes
) -> None:
    while path not in children:
        children[path] = []
        path = path.rpartition(b"/")[0]


def _tree_content(entries: Sequence[tuple[bytes, bytes, bytes]]) -> bytes:
    tree = GitMode.TREE.value.encode()
    ordered = sorted(entries, key=lambda e: e[0] + b"/" if e[1] == tree else e[0])
    return b"".join(b"%b %b\0%b" % (mode, name, oid) for name, mode, oid in ordered)


def _join(path: bytes, name: bytes) -> bytes:
    return path + b"/" + name if path else name


def _odd_mode(raw: bytes) -> str:
    if raw == SUBMODULE:
        return "is a submodule, which a release cannot have"
    modes = ", ".join(GitMode)
    return f"has mode {safe(raw, 20)}; expected one of {modes}"


def _refuse(where: bytes, name: bytes, reason: str) -> UntrustedError:
    path = _join(where, name)
    return UntrustedError("F2", f"tree entry /{safe(path, 200)} {reason}")
