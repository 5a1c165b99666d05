"""The reboot lock in one SQLite file, for one service.

A change is on disk before it is answered: the file is in WAL mode with full
synchronisation, one sync for a whole batch of requests. The group as the rules see it
lives in memory and follows the file: it is replaced after the commit, and read anew
after a failed one. A lock file keeps a second service away.
"""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from updater.core.batch import Changes, Folded, Job, changes, fold
from updater.core.fleet import (
    Answer,
    Drain,
    Entry,
    Group,
    GroupSettings,
    Holder,
    Node,
)
from updater.core.text import safe
from updater.core.waiting import Place, from_places
from updater.errors import HostError
from updater.lock.store import Line, StoreError, View, unknown_group
from updater.lock.turns import to_the_end
from updater.system.lockfile import locked

MOST_NODES = 100_000  # of a group that are remembered
_FORMAT = 1
_APPLICATION = 0x6F73754C  # "osuL", shown by file(1)
_Result = TypeVar("_Result")

_TABLES = """
CREATE TABLE groups (name TEXT PRIMARY KEY, data TEXT NOT NULL) STRICT;
CREATE TABLE holders (
    "group" TEXT NOT NULL, id TEXT NOT NULL, data TEXT NOT NULL,
    PRIMARY KEY ("group", id)
) STRICT, WITHOUT ROWID;
CREATE TABLE places (
    "group" TEXT NOT NULL, id TEXT NOT NULL, data TEXT NOT NULL,
    PRIMARY KEY ("group", id)
) STRICT, WITHOUT ROWID;
CREATE TABLE nodes (
    "group" TEXT NOT NULL, id TEXT NOT NULL, data TEXT NOT NULL,
    PRIMARY KEY ("group", id)
) STRICT, WITHOUT ROWID;
CREATE TABLE ledger (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, entry TEXT NOT NULL
) STRICT;
CREATE TRIGGER ledger_is_never_rewritten BEFORE UPDATE ON ledger
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_is_never_shortened BEFORE DELETE ON ledger
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
"""


class _GroupRow(Struct, frozen=True):
    """What the row of a group holds; its holders and places have their own."""

    settings: GroupSettings
    configured: GroupSettings | None = None
    drain: Drain | None = None
    holds: tuple[int, ...] = ()


class SqliteStore:
    """The store at `path`.

    Args:
        path: of the database; made when it does not exist.
        now: seconds since the epoch, for the lock file.
        journal: the journal mode; another one is for measuring.
    """

    batch = 500
    alone = True

    def __init__(self, path: str, now: int, journal: str = "WAL") -> None:
        self.path = path
        self._now = now
        self._journal = journal
        self._turn = asyncio.Lock()
        self._held = contextlib.ExitStack()
        self._connection: sqlite3.Connection | None = None
        self._groups: dict[str, Group] = {}
        self._nodes: dict[str, dict[str, Node]] = {}
        self._fresh = False

    async def open(self) -> None:
        """Take the file, make its tables, read it.

        Raises:
            BusyError: another service has it.
            StoreError: it is no such file, or broken.
        """
        self._held.enter_context(locked(f"{self.path}.lock", "lock serve", self._now))
        await self._do(self._open)

    async def close(self) -> None:
        """Close the file."""
        async with self._turn:
            if self._connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.close()
                self._connection = None
            self._held.close()

    async def run(
        self, group: str, jobs: Sequence[Job], *, create: bool = False
    ) -> Sequence[Answer]:
        """One transaction."""
        async with self._turn:
            if not self._fresh:
                await self._thread(self._load)
            before = self._groups.get(group)
            if before is None and not create:
                return [unknown_group(group)] * len(jobs)
            known = self._nodes.get(group, {})
            done = _bounded(fold(before or Group(group), known, jobs), known)
            diff = changes(before or Group(group), done.group)
            if diff or done.entries or done.nodes or before is None:
                await self._thread(lambda: self._write(before, done, diff))
                self._nodes.setdefault(group, {}).update(done.nodes)
            self._groups[group] = done.group
            return done.answers

    async def view(self) -> View:
        """From memory."""
        async with self._turn:
            if not self._fresh:
                await self._thread(self._load)
            nodes = {name: dict(known) for name, known in self._nodes.items()}
            return View(dict(self._groups), nodes)

    async def log(self, *, after: int | None = None, limit: int) -> list[Line]:
        """From the file."""
        return await self._do(lambda: self._read_log(after, limit))

    async def _do(self, work: Callable[[], _Result]) -> _Result:
        async with self._turn:
            return await self._thread(work)

    async def _thread(self, work: Callable[[], _Result]) -> _Result:
        """Run something that waits for the disk; a later one waits for it to end."""
        try:
            return await to_the_end(asyncio.to_thread(work))
        except asyncio.CancelledError:
            self._fresh = False
            raise
        except (sqlite3.Error, OSError, msgspec.DecodeError, HostError) as error:
            self._fresh = False
            if isinstance(error, StoreError):
                raise
            raise StoreError(
                f"the lock's database {safe(self.path, 200)}: {safe(str(error), 200)}",
                unchanged="Nobody was granted anything, and nothing was released.",
                hint=_hint(error),
            ) from error

    def _open(self) -> None:
        new = not os.path.exists(self.path)
        if new:  # the owner's alone: it holds who may be down, and why
            os.close(os.open(self.path, os.O_CREAT | os.O_WRONLY, 0o600))
        connection = sqlite3.connect(
            self.path, isolation_level=None, check_same_thread=False, timeout=5
        )
        self._connection = connection
        connection.execute(f"PRAGMA journal_mode={self._journal}")
        connection.execute("PRAGMA synchronous=FULL")
        [found] = connection.execute("PRAGMA user_version").fetchone()
        [tables] = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if found == 0 and tables == 0:
            connection.executescript(
                f"BEGIN IMMEDIATE; {_TABLES} PRAGMA application_id={_APPLICATION};"
                f"PRAGMA user_version={_FORMAT}; COMMIT;"
            )
        elif found != _FORMAT:
            raise StoreError(
                f"{safe(self.path, 200)} is not a lock database of format {_FORMAT}: "
                f"it says {found}",
                unchanged="The file was not changed.",
            )
        [verdict] = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        self._load()

    def _load(self) -> None:
        if self._connection is None:
            raise StoreError("the lock's database is closed")
        db = self._connection
        db.execute("BEGIN")
        try:
            groups = {
                name: msgspec.json.decode(data, type=_GroupRow)
                for name, data in db.execute("SELECT name, data FROM groups")
            }
            holders = self._rows("holders", Holder)
            places = self._rows("places", Place)
            self._nodes = {
                group: {node.id: node for node in nodes}
                for group, nodes in self._rows("nodes", Node).items()
            }
        finally:
            db.execute("ROLLBACK")
        self._groups = {
            name: Group(
                name,
                row.settings,
                row.configured,
                row.drain,
                tuple(holders.get(name, ())),
                from_places(places.get(name, [])),
                row.holds,
            )
            for name, row in groups.items()
        }
        self._fresh = True

    def _rows(self, table: str, kind: type[_Result]) -> dict[str, list[_Result]]:
        found: dict[str, list[_Result]] = {}
        query = f'SELECT "group", data FROM {table} ORDER BY "group", id'  # noqa: S608 - a constant
        for group, data in self._connection.execute(query):  # type: ignore[union-attr]
            found.setdefault(group, []).append(msgspec.json.decode(data, type=kind))
        return found

    def _write(self, before: Group | None, done: Folded, diff: Changes) -> None:
        if self._connection is None:
            raise StoreError("the lock's database is closed")
        db, name = self._connection, done.group.name
        db.execute("BEGIN IMMEDIATE")
        try:
            if diff.group or before is None:
                _write_group(db, done.group)
            _put(db, "places", name, {place.id: place for place in diff.places})
            _put(db, "nodes", name, done.nodes)
            db.executemany(
                'DELETE FROM places WHERE "group" = ? AND id = ?',
                [(name, lost) for lost in diff.lost],
            )
            db.executemany(
                "INSERT INTO ledger (entry) VALUES (?)",
                [(_text(entry),) for entry in done.entries],
            )
            db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                db.execute("ROLLBACK")
            raise

    def _read_log(self, after: int | None, limit: int) -> list[Line]:
        if self._connection is None:
            raise StoreError("the lock's database is closed")
        if after is None:
            query = "SELECT seq, entry FROM ledger ORDER BY seq DESC LIMIT ?"
            rows = self._connection.execute(query, (limit,)).fetchall()[::-1]
        else:
            query = "SELECT seq, entry FROM ledger WHERE seq > ? ORDER BY seq LIMIT ?"
            rows = self._connection.execute(query, (after, limit)).fetchall()
        return [Line(seq, msgspec.json.decode(text, type=Entry)) for seq, text in rows]


def _bounded(done: Folded, known: Mapping[str, Node]) -> Folded:
    """Without new nodes, where more are known than any fleet has."""
    if len(known) < MOST_NODES:
        return done
    kept = {name: node for name, node in done.nodes.items() if name in known}
    return replace(done, nodes=kept)


def _write_group(db: sqlite3.Connection, group: Group) -> None:
    row = _GroupRow(group.settings, group.configured, group.drain, group.holds)
    db.execute("REPLACE INTO groups VALUES (?, ?)", (group.name, _text(row)))
    db.execute('DELETE FROM holders WHERE "group" = ?', (group.name,))
    _put(db, "holders", group.name, {holder.id: holder for holder in group.holders})


def _put(
    db: sqlite3.Connection, table: str, group: str, rows: Mapping[str, Struct]
) -> None:
    db.executemany(
        f"REPLACE INTO {table} VALUES (?, ?, ?)",  # noqa: S608 - a constant
        [(group, name, _text(value)) for name, value in rows.items()],
    )


def _text(value: Struct) -> str:
    return msgspec.json.encode(value).decode()


def _hint(error: Exception) -> str | None:
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(
        error, sqlite3.OperationalError
    ):
        return (
            "The file is broken. Move it away to begin with an empty lock, when no "
            "node is down; `sqlite3 FILE .recover` shows what it held."
        )
    return None
