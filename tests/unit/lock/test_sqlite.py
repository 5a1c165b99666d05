"""The lock in a SQLite file: durable, append-only, and honest about a broken file."""

import asyncio
import os
import resource
import sqlite3
from contextlib import asynccontextmanager

import pytest
from support.locks import (
    NOW,
    T,
    asks,
    configuring,
    draining,
    events,
    holders,
    releases,
    slots,
    waiting,
)

from updater.core.batch import Job
from updater.core.fleet import Kind, Moment, Verdict
from updater.errors import BusyError
from updater.lock.sqlite import SqliteStore
from updater.lock.store import StoreError


@asynccontextmanager
async def opened(path, **kw):
    store = SqliteStore(str(path), T, **kw)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lock.db"


def test_everything_is_there_after_it_was_opened_again(path):
    async def story():
        async with opened(path) as store:
            await store.run("web", configuring(slots=2), create=True)
            await store.run("web", asks("a", "b", "c", "d", target="2.0", request=7))
            proof = {"booted": "2.0", "verdict": Verdict.GOOD, "request": 7}
            await store.run("web", releases("a", **proof))
            await store.run("web", draining())
            before = await store.view()
        async with opened(path) as store:
            after = await store.view()
            assert after == before
            assert holders(after) == ["b"]
            assert waiting(after) == ["c", "d"]
            assert after.groups["web"].drain.reason == "freeze"
            assert after.nodes["web"]["a"].request == 7
            return await store.log(limit=100)

    lines = asyncio.run(story())
    assert events(lines) == [
        ("configured", ""),
        ("granted", "a"),
        ("granted", "b"),
        ("waiting", "c"),
        ("waiting", "d"),
        ("released", "a"),
        ("drained", ""),
    ]
    assert [line.seq for line in lines] == [1, 2, 3, 4, 5, 6, 7]


def test_a_group_that_does_not_exist_is_not_made_by_who_asks(path):
    async def story():
        async with opened(path) as store:
            answers = await store.run("nope", asks("a", "b"))
            assert [answer.kind for answer in answers] == [Kind.UNKNOWN_GROUP] * 2
            assert (await store.view()).groups == {}
            await store.run("nope", slots(1), create=True)
            assert (await store.run("nope", asks("a")))[0].kind is Kind.OK

    asyncio.run(story())


def test_a_poll_that_changes_nothing_writes_nothing(path):
    async def story():
        async with opened(path) as store:
            await store.run("web", slots(1), create=True)
            await store.run("web", asks("a", "b"))
            size = os.path.getsize(f"{path}-wal")
            for second in range(1, 50):
                await store.run("web", asks("a", "b", moment=Moment(T + second)))
            assert os.path.getsize(f"{path}-wal") == size
            view = await store.view()
            assert view.groups["web"].queue.get("b").seen == T + 49

    asyncio.run(story())


def test_who_makes_names_up_does_not_fill_the_memory(path, monkeypatch):
    monkeypatch.setattr("updater.lock.sqlite.MOST_NODES", 3)

    async def story():
        async with opened(path) as store:
            await store.run("web", slots(1), create=True)
            for name in "abcdefg":
                [answer] = await store.run("web", releases(name, booted="1"))
                assert answer.kind is Kind.OK
            await store.run("web", releases("a", booted="2"))
            nodes = (await store.view()).nodes["web"]
            assert sorted(nodes) == ["a", "b", "c"]
            assert nodes["a"].release == "2"

    asyncio.run(story())


def test_the_ledger_cannot_be_rewritten(path):
    async def story():
        async with opened(path) as store:
            await store.run("web", slots(1), create=True)

    asyncio.run(story())
    with sqlite3.connect(path) as db:
        for statement in ("UPDATE ledger SET entry = ''", "DELETE FROM ledger"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                db.execute(statement)


def test_the_ledger_is_read_from_where_a_reader_was(path):
    async def story():
        async with opened(path) as store:
            await store.run("web", slots(9), create=True)
            await store.run("web", asks(*"abcde"))
            last = await store.log(limit=2)
            assert events(last) == [("granted", "d"), ("granted", "e")]
            rest = await store.log(after=last[0].seq, limit=10)
            assert events(rest) == [("granted", "e")]

    asyncio.run(story())


def test_a_second_service_is_kept_away(path):
    async def story():
        async with opened(path):
            with pytest.raises(BusyError, match="lock serve"):
                await SqliteStore(str(path), T).open()

    asyncio.run(story())


def test_only_its_owner_can_read_the_file(path):
    async def story():
        async with opened(path):
            pass

    asyncio.run(story())
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("start", [b"x", b"SQLite format 3\0"])
def test_a_file_that_is_no_database_is_refused_and_left_alone(path, start):
    content = start + b"\xff" * 5000
    path.write_bytes(content)

    async def story():
        store = SqliteStore(str(path), T)
        try:
            with pytest.raises(StoreError, match=r"lock\.db"):
                await store.open()
        finally:
            await store.close()

    asyncio.run(story())
    assert path.read_bytes() == content


def test_a_database_of_another_format_is_refused_and_left_alone(path):
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE x (y)")
        db.execute("PRAGMA user_version=2")
    db.close()

    async def story():
        store = SqliteStore(str(path), T)
        try:
            with pytest.raises(StoreError, match="not a lock database of format 1"):
                await store.open()
        finally:
            await store.close()

    asyncio.run(story())
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT name FROM sqlite_schema").fetchall() == [("x",)]
    db.close()


def test_what_cannot_be_written_is_not_granted_and_the_ledger_stays_whole(path):
    async def story():
        async with opened(path) as store:
            await store.run("web", slots(2), create=True)
            await store.run("web", asks("a"))
            before = await store.view()
            limits = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(
                resource.RLIMIT_FSIZE, (os.path.getsize(f"{path}-wal"), limits[1])
            )
            try:
                with pytest.raises(StoreError) as refused:
                    await store.run("web", asks("b"))
                assert "Nobody was granted" in refused.value.unchanged
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            assert await store.view() == before
            assert (await store.run("web", asks("b")))[0].kind is Kind.OK
            return await store.log(limit=10)

    found = events(asyncio.run(story()))
    assert found == [("slots", ""), ("granted", "a"), ("granted", "b")]


def test_a_file_that_breaks_while_it_is_used_is_an_error_and_not_a_grant(path):
    async def story():
        async with opened(path) as store:
            await store.run("web", slots(2), create=True)
            store._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            with open(path, "r+b") as file:
                file.write(b"\xff" * os.path.getsize(path))
            store._fresh = False  # as after a failed write
            store._connection.execute("PRAGMA shrink_memory")
            with pytest.raises(StoreError) as refused:
                await store.run("web", asks("a"))
            assert "broken" in refused.value.hint

    asyncio.run(story())


def test_a_rule_that_fails_leaves_memory_and_file_as_they_were(path):
    def fail(group, node):
        raise ZeroDivisionError

    async def story():
        async with opened(path) as store:
            await store.run("web", slots(2), create=True)
            before = await store.view()
            with pytest.raises(ZeroDivisionError):
                await store.run("web", [*asks("a"), Job("x", fail)])
            assert await store.view() == before
            assert len(await store.log(limit=10)) == 1

    asyncio.run(story())


def test_who_stops_waiting_does_not_let_the_next_one_in_too_early(path):
    """The thread that writes goes on after its awaiter was cancelled."""

    async def story():
        async with opened(path) as store:
            await store.run("web", slots(1), create=True)
            for round_ in range(20):
                first = asyncio.create_task(
                    store.run("web", asks(f"a{round_}", moment=NOW))
                )
                for _ in range(round_ % 7):
                    await asyncio.sleep(0)
                first.cancel()
                await asyncio.gather(first, return_exceptions=True)
                await store.run("web", asks(f"b{round_}", moment=NOW))
                on_disk = store._connection.execute("SELECT id FROM holders")
                assert [name for [name] in on_disk] == holders(await store.view())
                told = events(await store.log(limit=9999))
                granted = {name for event, name in told if event == "granted"}
                ended = {name for event, name in told if event == "released"}
                assert sorted(granted - ended) == holders(await store.view())
                await store.run("web", releases(f"a{round_}", f"b{round_}"))
            view = await store.view()
        async with opened(path) as store:
            again = await store.view()
            assert holders(again) == holders(view)
            assert waiting(again) == waiting(view)

    asyncio.run(story())
