"""Compiled Python files that no clock can make stale (PEP 552).

A timestamp `.pyc` is valid only beside a source with one mtime, and git keeps no
mtimes. An unchecked-hash `.pyc` is loaded as it is.
"""

import struct

_HEADER = struct.Struct("<HHI8s")  # magic number, CR LF, flags, mtime and size or hash
_CRLF = 0x0A0D
# CPython's magic numbers since the format of PEP 552 (3.7); 3.14 has 3627.
_FIRST_MAGIC, _LAST_MAGIC = 3392, 3999
_TIMESTAMP, _UNCHECKED_HASH = 0b00, 0b01
_CODE = (0x63, 0xE3)  # marshal's TYPE_CODE, without and with FLAG_REF
# Never compared in an unchecked-hash file; fixed, so that equal code is equal bytes.
_NO_HASH = bytes(8)


def unchecked(data: bytes) -> bytes:
    """A timestamp `.pyc` as an unchecked-hash one; anything else as it is."""
    if len(data) <= _HEADER.size or data[_HEADER.size] not in _CODE:
        return data
    magic, crlf, flags, _ = _HEADER.unpack_from(data)
    if crlf != _CRLF or not _FIRST_MAGIC <= magic <= _LAST_MAGIC:
        return data
    if flags != _TIMESTAMP:
        return data
    header = _HEADER.pack(magic, crlf, _UNCHECKED_HASH, _NO_HASH)
    return header + data[_HEADER.size :]
