"""The content of a difference, as a patch that `git apply` and `patch -p1` take.

What a patch cannot say stands in lines that begin with `#`, which both pass over:
owners and modes, binaries (sizes and build ids), and the text inside compressed files.
Bytes are as the releases have them: whoever shows them escapes them.
"""

from collections.abc import Callable, Iterator

from updater.core import elf, unpack
from updater.core.text import show_path, size
from updater.errors import RefusedError
from updater.model import ObjectId
from updater.report.diff import FileChange, Kind, Node, Report
from updater.report.diff_words import details
from updater.report.snapshot import Snapshot
from updater.system import zstd

MAX_TEXT = 4 << 20  # bytes of a file that is shown, unpacked
MAX_BINARY = 16 << 20  # bytes of a file that is looked into for its build id
_HEAD = 8000  # bytes in which a NUL makes a file binary, as for git
_NOTHING = "0" * 40
_ABBREVIATED = 12
_PLAIN = bytes(range(0x20, 0x7F)).translate(None, b'"\\')
_ESCAPES = {0x07: b"a", 0x08: b"b", 0x09: b"t", 0x0A: b"n", 0x0B: b"v", 0x0C: b"f"} | {
    0x0D: b"r",
    0x22: b'"',
    0x5C: b"\\",
}
Hunks = Callable[[bytes, bytes], bytes]


def lines(
    report: Report, old: Snapshot | None, new: Snapshot, hunks: Hunks
) -> Iterator[bytes]:
    """The patch, in pieces that end with a line feed.

    Args:
        report: what differs.
        old: the side before.
        new: the side after.
        hunks: makes the unified diff of two texts.
    """
    for change in report.files:
        told = details(change)
        if told:
            yield _comment(f"{show_path(change.path)}: {told}")
        if not change.content and not _mode_of_git(change):
            continue
        if change.kind is Kind.TYPE:
            # As git does: what was goes, what is comes.
            for half in (_only(change, old=True), _only(change, old=False)):
                yield from _change(half, old, new, hunks)
        else:
            yield from _change(change, old, new, hunks)


def _only(change: FileChange, *, old: bool) -> FileChange:
    before = change.old if old else None
    after = None if old else change.new
    return FileChange(change.path, before, after, change.bookkeeping, change.package)


def _change(
    change: FileChange, old: Snapshot | None, new: Snapshot, hunks: Hunks
) -> Iterator[bytes]:
    nodes = (change.old, change.new)
    if any(node and node.type not in ("file", "symlink") for node in nodes):
        return  # the comment above has told it
    try:
        before = _read(old, change.path, change.old)
        after = _read(new, change.path, change.new)
    except RefusedError as error:
        yield _comment(f"{show_path(change.path)}: {error}")
        return
    if before is None or after is None:
        sizes = " -> ".join(_size(node) for node in nodes)
        yield _comment(f"{show_path(change.path)}: {sizes}, too large to be shown")
    elif unpack.is_packed(after or before) or unpack.is_packed(before):
        yield from _packed(change, before, after, hunks)
    elif _is_binary(before) or _is_binary(after):
        yield _comment(_binary(change, before, after))
    else:
        yield from _header(change)
        if body := hunks(before, after):
            yield from _names(change)
            yield body


def _read(side: Snapshot | None, path: bytes, node: Node | None) -> bytes | None:
    """The content; empty where nothing is, None where there is too much."""
    if side is None or node is None:
        return b""
    if node.size is not None and node.size > MAX_TEXT and node.type != "symlink":
        return None if node.size > MAX_BINARY else side.read(path, MAX_BINARY)
    return side.read(path)


def _is_binary(data: bytes) -> bool:
    return len(data) > MAX_TEXT or b"\0" in data[:_HEAD]


def _binary(change: FileChange, before: bytes, after: bytes) -> str:
    """`Binary /usr/sbin/sshd: 1.1 MB -> 1.1 MB, build-id a1b2 -> c3d4`."""
    sizes = " -> ".join(_size(node) for node in (change.old, change.new))
    ids = [elf.build_id(data) for data in (before, after)]
    told = ""
    if any(ids):
        shown = [(name or "none")[:_ABBREVIATED] for name in ids]
        told = ", build-id " + (
            " -> ".join(shown) if ids[0] != ids[1] else f"{shown[0]} on both sides"
        )
    return f"Binary {show_path(change.path)}: {sizes}{told}"


def _packed(
    change: FileChange, before: bytes, after: bytes, hunks: Hunks
) -> Iterator[bytes]:
    """What differs inside: it cannot be applied, so it is told in comments."""
    sizes = " -> ".join(_size(node) for node in (change.old, change.new))
    head = f"Compressed {show_path(change.path)}: {sizes}"
    try:
        texts = [_unpack(data) for data in (before, after)]
    except ValueError as error:
        yield _comment(f"{head}; {error}")
        return
    if not all(whole for _, whole in texts) or any(_is_binary(t) for t, _ in texts):
        yield _comment(head)
        return
    body = hunks(texts[0][0], texts[1][0])
    yield _comment(f"{head}, inside:" if body else f"{head}, the same inside")
    for line in body.split(b"\n")[:-1]:
        yield b"#   " + line + b"\n"


def _unpack(data: bytes) -> tuple[bytes, bool]:
    if data.startswith(unpack.ZSTD):
        return zstd.unpack(data, MAX_TEXT)
    return unpack.unpack(data, MAX_TEXT)


def _header(change: FileChange) -> Iterator[bytes]:
    old, new = change.old, change.new
    ends = (b"a/" + change.path, b"b/" + change.path)
    yield b"diff --git %s %s\n" % tuple(map(_quote, ends))
    if old is None and new is not None:
        yield b"new file mode %s\n" % _git_mode(new)
    elif new is None and old is not None:
        yield b"deleted file mode %s\n" % _git_mode(old)
    elif _mode_of_git(change) and old is not None and new is not None:
        yield b"old mode %s\n" % _git_mode(old)
        yield b"new mode %s\n" % _git_mode(new)
    if change.content:
        mode = b""
        if old is not None and new is not None and not _mode_of_git(change):
            mode = b" " + _git_mode(new)
        yield b"index %s..%s%s\n" % (_id(old), _id(new), mode)


def _names(change: FileChange) -> Iterator[bytes]:
    """A name with a blank in it ends in a tab, so that `patch` finds its end."""
    for mark, letter, node in (
        (b"---", b"a/", change.old),
        (b"+++", b"b/", change.new),
    ):
        name = b"/dev/null" if node is None else _quote(letter + change.path)
        end = b"\t" if b" " in name and not name.startswith(b'"') else b""
        yield b"%s %s%s\n" % (mark, name, end)


def _mode_of_git(change: FileChange) -> bool:
    """Whether the executable bit differs, which is all that git knows of modes."""
    old, new = change.old, change.new
    if old is None or new is None:
        return False
    return _git_mode(old) != _git_mode(new)


def _git_mode(node: Node) -> bytes:
    if node.type == "symlink":
        return b"120000"
    return b"100755" if (node.mode or 0) & 0o100 else b"100644"


def _id(node: Node | None) -> bytes:
    oid = ObjectId(_NOTHING) if node is None or node.oid is None else node.oid
    return oid[:_ABBREVIATED].encode("ascii")


def _quote(name: bytes) -> bytes:
    """As git quotes names that are not plain."""
    if not name.translate(None, _PLAIN):
        return name
    return b'"' + b"".join(map(_escape, name)) + b'"'


def _escape(byte: int) -> bytes:
    if byte in _ESCAPES:
        return b"\\" + _ESCAPES[byte]
    return bytes((byte,)) if 0x20 <= byte < 0x7F else b"\\%03o" % byte


def _size(node: Node | None) -> str:
    if node is None:
        return "nothing"
    return "unknown" if node.size is None else size(node.size)


def _comment(text: str) -> bytes:
    return f"# {text}\n".encode("utf-8", "backslashreplace")
