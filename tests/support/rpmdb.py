"""rpm headers and databases, made without rpm."""

import contextlib
import sqlite3
import struct


def header(strings=(), numbers=(), lists=()):
    """An rpm header as the RPM documentation lays it out.

    `strings` are (tag, text), `numbers` (tag, value or values), `lists` (tag, texts).
    """
    rows, data = [], b""
    for tag, text in strings:
        rows.append((tag, 6, len(data), 1))
        data += text.encode() + b"\0"
    for tag, texts in lists:
        rows.append((tag, 8, len(data), len(texts)))
        data += b"".join(t.encode() + b"\0" for t in texts)
    data += b"\0" * (-len(data) % 4)
    for tag, value in numbers:
        values = value if isinstance(value, list) else [value]
        rows.append((tag, 4, len(data), len(values)))
        data += struct.pack(f">{len(values)}I", *values)
    index = b"".join(struct.pack(">IIiI", *row) for row in rows)
    return struct.pack(">II", len(rows), len(data)) + index + data


def package(name, version="1", release="1", *, numbers=(), lists=(), source=None):
    """The header of a package with a name, version and release."""
    strings = [(1000, name), (1001, version), (1002, release), (1022, "x86_64")]
    source = source or f"{name}-{version}-{release}.src.rpm"
    return header([*strings, (1044, source)], numbers, lists)


def database(path, headers, journal="delete"):
    """A database with these headers; its bytes."""
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute(f"PRAGMA journal_mode={journal}")
        db.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB)")
        db.executemany(
            "INSERT INTO Packages (blob) VALUES (?)", [(h,) for h in headers]
        )
    return path.read_bytes()


def hostile(path, *statements):
    """A database that somebody made with these statements; its bytes."""
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        for statement in statements:
            db.execute(statement)
    return path.read_bytes()
