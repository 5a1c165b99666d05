"""The manifest: what git cannot say about a tree (format 1, DESIGN section 3.2).

A strict parser and a writer that is its inverse. The rules that need the tree
beside the manifest are `check_against_tree`.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence

from updater.core.escape import escape, parse_path, plain, unescape
from updater.core.text import safe
from updater.errors import UntrustedError
from updater.model import GitMode, Metadata, TreeEntry

HEADER = b"osupdate-manifest 1"
MAX_ID = 2**32 - 2  # (uid_t) -1 means "leave unchanged" to chown(2)
MAX_MAJOR = 2**12 - 1
MAX_MINOR = 2**20 - 1
MAX_XATTR_NAME = 255
MAX_XATTR = 65536
TYPES = ("dir", "char", "block", "fifo")
# Other xattrs change how the kernel or an overlay mount reads the tree.
XATTRS = re.compile(
    r"(?:security\.capability|system\.posix_acl_(?:access|default)|user\..+)\Z",
    re.DOTALL,
)
NOT_RECORDED = "security.selinux"

_KEYS = ("type", "dev", "mode", "uid", "gid", "hardlink")
_WORD = re.compile(rb"([!-<>-~]+)=([!-~]+)")
_NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,9})\Z")
_MODE = re.compile(r"[0-7]{4}\Z")
_DEV = re.compile(r"(0|[1-9][0-9]{0,9}):(0|[1-9][0-9]{0,9})\Z")


def parse(data: bytes) -> dict[bytes, Metadata]:
    """Read a manifest.

    Returns:
        path -> metadata, in the file's order.

    Raises:
        UntrustedError: F4, with the line number.
    """
    if not data.endswith(b"\n"):
        raise _bad(data.count(b"\n") + 1, "the last line does not end in a line feed")
    lines = data[:-1].split(b"\n")
    if lines[0] != HEADER:
        raise _bad(1, f'expected "{HEADER.decode()}", got "{safe(lines[0], 80)}"')
    found: dict[bytes, Metadata] = {}
    previous = b""
    for number, line in enumerate(lines[1:], 2):
        try:
            path, metadata = _parse_line(line)
        except ValueError as error:
            raise _bad(number, str(error)) from error
        if path in found:
            raise _bad(number, f"/{safe(path)} appears twice")
        if found and path < previous:
            raise _bad(number, f"/{safe(path)} is not sorted after /{safe(previous)}")
        found[path] = metadata
        previous = path
    return found


def write(entries: Mapping[bytes, Metadata]) -> bytes:
    """The manifest of these entries, sorted; `parse` reads it back unchanged.

    What says no more than the default is left out.
    """
    lines = [HEADER]
    for path in sorted(entries):
        if entries[path] != Metadata():
            lines.append(b"/" + escape(path) + _keys(entries[path]))
    return b"\n".join(lines) + b"\n"


def check_against_tree(
    metadata: Mapping[bytes, Metadata], entries: Sequence[TreeEntry]
) -> None:
    """Hold a manifest to the tree it describes.

    Raises:
        UntrustedError: F4: a path that is not in the tree (or is, when git cannot
            hold it), a hardlink that is not one, a link without a plain target.
    """
    by_path = {entry.path: entry for entry in entries}
    directories = _directories(by_path)
    for path, meta in metadata.items():
        where = f"manifest: /{safe(path)}"
        if meta.type:
            _check_extra(path, where, by_path, directories, metadata)
        elif path not in by_path and path not in directories:
            raise UntrustedError("F4", f"{where} is not in the tree")
        if meta.hardlink is not None:
            _check_link(path, meta.hardlink, where, by_path, metadata)
        entry = by_path.get(path)
        link = entry is not None and entry.mode is GitMode.SYMLINK
        if link and (meta.mode is not None or meta.xattrs):
            raise UntrustedError("F4", f"{where} is a symlink: no mode, no xattrs")


def _check_extra(
    path: bytes,
    where: str,
    by_path: Mapping[bytes, TreeEntry],
    directories: set[bytes],
    metadata: Mapping[bytes, Metadata],
) -> None:
    if path in by_path or path in directories:
        raise UntrustedError(
            "F4", f"{where} has a type= although git holds it: remove the key"
        )
    parent = path.rpartition(b"/")[0]
    empty = metadata.get(parent, Metadata()).type == "dir"
    if parent and parent not in directories and not empty:
        raise UntrustedError("F4", f"{where}: its directory is not in the release")


def _check_link(
    path: bytes,
    target: bytes,
    where: str,
    by_path: Mapping[bytes, TreeEntry],
    metadata: Mapping[bytes, Metadata],
) -> None:
    link, aim = by_path.get(path), by_path.get(target)
    if aim is None or aim.mode is GitMode.SYMLINK:
        raise UntrustedError("F4", f"{where}: /{safe(target)} is not a plain file")
    if metadata.get(target, Metadata()).hardlink is not None:
        raise UntrustedError("F4", f"{where}: /{safe(target)} is a hardlink itself")
    if link is None or (link.oid, link.mode) != (aim.oid, aim.mode):
        raise UntrustedError(
            "F4", f"{where} differs from /{safe(target)}, which it is a hardlink of"
        )


def _directories(paths: Iterable[bytes]) -> set[bytes]:
    found: set[bytes] = set()
    for path in paths:
        parent = path.rpartition(b"/")[0]
        while parent and parent not in found:
            found.add(parent)
            parent = parent.rpartition(b"/")[0]
    return found


def _parse_line(line: bytes) -> tuple[bytes, Metadata]:
    words = line.split(b" ")
    path = parse_path(words[0])
    if len(words) == 1:
        raise ValueError("has no key: a line with only defaults is left out")
    keys: dict[str, str] = {}
    order: list[str] = []
    for word in words[1:]:
        match = _WORD.fullmatch(word)
        if not match:
            raise ValueError(f'expected key=value, got "{safe(word, 80)}"')
        name, value = match[1].decode("ascii"), match[2].decode("ascii")
        if name in keys:
            raise ValueError(f"key {safe(name, 80)} appears twice")
        keys[name] = value
        order.append(name)
    if order != _key_order(order):
        raise ValueError(
            f"keys are out of order: expected {' '.join(_key_order(order))}"
        )
    return path, _parse_keys(path, keys)


def _key_order(names: Sequence[str]) -> list[str]:
    unknown = [n for n in names if n not in _KEYS and not n.startswith("xattr.")]
    if unknown:
        raise ValueError(f'unknown key "{safe(unknown[0], 80)}"')
    known = [name for name in _KEYS if name in names]
    xattrs = [name for name in names if name.startswith("xattr.")]
    return known + sorted(xattrs, key=_plain_key)


def _plain_key(key: str) -> bytes:
    return plain(key.encode("ascii"))


def _parse_keys(path: bytes, keys: Mapping[str, str]) -> Metadata:
    if "hardlink" in keys:
        if len(keys) > 1:
            raise ValueError("hardlink= stands alone: the target's line has the rest")
        target = parse_path(keys["hardlink"].encode("ascii"))
        if target == path:
            raise ValueError("is a hardlink of itself")
        return Metadata(hardlink=target)
    kind = keys.get("type")
    if kind is not None and kind not in TYPES:
        raise ValueError(f'type "{safe(kind, 40)}" is none of {", ".join(TYPES)}')
    if ("dev" in keys) != (kind in ("char", "block")):
        raise ValueError("dev= belongs to type=char and type=block, and only to them")
    return Metadata(
        type=kind,
        dev=_parse_dev(keys["dev"]) if "dev" in keys else None,
        mode=_parse_mode(keys["mode"]) if "mode" in keys else None,
        uid=_parse_id("uid", keys.get("uid")),
        gid=_parse_id("gid", keys.get("gid")),
        xattrs=_parse_xattrs(keys),
    )


def _parse_id(name: str, text: str | None) -> int:
    if text is None:
        return 0
    if not _NUMBER.match(text) or not 0 < int(text) <= MAX_ID:
        raise ValueError(f'{name} "{safe(text, 40)}" is not a number in 1..{MAX_ID}')
    return int(text)


def _parse_mode(text: str) -> int:
    if not _MODE.match(text):
        raise ValueError(f'mode "{safe(text, 40)}" is not four octal digits')
    return int(text, 8)


def _parse_dev(text: str) -> tuple[int, int]:
    match = _DEV.match(text)
    if not match or int(match[1]) > MAX_MAJOR or int(match[2]) > MAX_MINOR:
        raise ValueError(f'dev "{safe(text, 40)}" is not major:minor')
    return int(match[1]), int(match[2])


def _parse_xattrs(keys: Mapping[str, str]) -> tuple[tuple[str, bytes], ...]:
    found = []
    for key, value in keys.items():
        if not key.startswith("xattr."):
            continue
        word = key.removeprefix("xattr.")
        name = unescape(word.encode("ascii"), _escape_xattr)
        text = (name or b"").decode("utf-8", "surrogateescape")
        if name is None or not XATTRS.match(text) or len(name) > MAX_XATTR_NAME:
            raise ValueError(f'xattr "{safe(word, 80)}" is not one a release may set')
        found.append((text, _parse_base64(word, value)))
    return tuple(found)


def _parse_base64(name: str, text: str) -> bytes:
    try:
        value = base64.b64decode(text.removeprefix("0s").encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        value = b""
    if text != "0s" + base64.b64encode(value).decode("ascii") or len(value) > MAX_XATTR:
        raise ValueError(f"the value of xattr {safe(name, 80)} is not 0s and base64")
    return value


def _escape_xattr(name: bytes) -> bytes:
    return escape(name).replace(b"=", b"\\x3d")


def _raw(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _keys(meta: Metadata) -> bytes:
    if meta.hardlink is not None:
        return b" hardlink=/" + escape(meta.hardlink)
    words = []
    if meta.type:
        words.append(f"type={meta.type}")
    if meta.dev:
        words.append(f"dev={meta.dev[0]}:{meta.dev[1]}")
    if meta.mode is not None:
        words.append(f"mode={meta.mode:04o}")
    words += [f"{n}={v}" for n, v in (("uid", meta.uid), ("gid", meta.gid)) if v]
    for raw, value in sorted((_raw(name), data) for name, data in meta.xattrs):
        name = _escape_xattr(raw).decode("ascii")
        words.append(f"xattr.{name}=0s{base64.b64encode(value).decode('ascii')}")
    return "".join(f" {word}" for word in words).encode("ascii")


def _bad(line: int, reason: str) -> UntrustedError:
    return UntrustedError("F4", f"manifest line {line}: {reason}")
