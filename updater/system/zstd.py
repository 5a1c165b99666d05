"""Zstandard, where its library is installed."""

import importlib.util


def unpack(data: bytes, limit: int) -> tuple[bytes, bool]:
    """The content of a file, and whether it is whole; what is longer is cut.

    Raises:
        ValueError: it is damaged, or the library is not here.
    """
    if importlib.util.find_spec("zstandard") is None:
        raise ValueError("zstd is not read here: the library zstandard is missing")
    import zstandard  # noqa: PLC0415 - an extra, and only for such files

    parts, room = [], limit + 1
    try:
        promised = zstandard.get_frame_parameters(data).content_size
        with zstandard.ZstdDecompressor().stream_reader(data) as reader:
            while room > 0 and (part := reader.read(min(room, 1 << 20))):
                parts.append(part)
                room -= len(part)
    except zstandard.ZstdError as error:
        raise ValueError(f"it is damaged: {error}") from error
    found = limit + 1 - room
    if room > 0 and promised != zstandard.CONTENTSIZE_UNKNOWN and found < promised:
        raise ValueError("it is damaged: it ends early")
    return b"".join(parts)[:limit], room > 0
