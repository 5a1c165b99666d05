"""The build id of an ELF file: what debuggers know a binary by.

Source of the format: elf(5), and the note NT_GNU_BUILD_ID of the GNU ABI.
"""

import struct

MAGIC = b"\x7fELF"
_LAYOUTS = {  # class: header (phoff, phentsize, phnum at), program header, its fields
    1: ("I", 28, "HH", 42, "IIIIIIII", (0, 1, 4)),
    2: ("Q", 32, "HH", 54, "IIQQQQQQ", (0, 2, 5)),
}
_NOTE, _BUILD_ID = 4, 3
_MAX_HEADERS = 1024
_MAX_NOTES = 1 << 20  # bytes, of all segments of a file


def build_id(data: bytes) -> str | None:
    """Hexadecimal; None when it is no ELF file, or has none."""
    if not data.startswith(MAGIC) or len(data) < 6:
        return None
    layout = _LAYOUTS.get(data[4])
    order = {1: "<", 2: ">"}.get(data[5])
    if layout is None or order is None:
        return None
    try:
        return _search(data, order, *layout)
    except (struct.error, OverflowError):
        return None


def _search(
    data: bytes,
    order: str,
    word: str,
    at: int,
    counts: str,
    counts_at: int,
    header: str,
    fields: tuple[int, int, int],
) -> str | None:
    offset = struct.unpack_from(order + word, data, at)[0]
    size, count = struct.unpack_from(order + counts, data, counts_at)
    budget = _MAX_NOTES
    for number in range(min(count, _MAX_HEADERS)):
        found = struct.unpack_from(order + header, data, offset + number * size)
        kind, start, length = (found[field] for field in fields)
        if kind == _NOTE and length <= budget:
            budget -= length
            name = _note(data[start : start + length], order)
            if name is not None:
                return name
    return None


def _note(notes: bytes, order: str) -> str | None:
    at = 0
    while at + 12 <= len(notes):
        name_size, size, kind = struct.unpack_from(order + "III", notes, at)
        name = notes[at + 12 : at + 12 + name_size]
        start = at + 12 + (name_size + 3 & ~3)
        if kind == _BUILD_ID and name == b"GNU\0":
            return notes[start : start + size].hex() or None
        at = start + (size + 3 & ~3)
    return None
