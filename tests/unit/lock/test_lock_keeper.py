"""The lock put together: batches, the clock, the sweep, and mistakes."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from support.locks import FakeTime, events, holders, waiting

from updater.core.fleet import Ask, GroupSettings, Kind, Proof
from updater.lock.keeper import Keeper, OverloadedError, line
from updater.lock.sqlite import SqliteStore
from updater.lock.store import StoreError

GROUPS = {"web": GroupSettings(slots=1, overdue="free", overdue_after=3600)}


class Counting(SqliteStore):
    """Counts the changes, and fails when it is told to."""

    runs = 0
    fails = None

    async def run(self, group, jobs, *, create=False):
        self.runs += 1
        if self.fails:
            raise self.fails
        return await super().run(group, jobs, create=create)


@asynccontextmanager
async def kept(tmp_path, fake, groups=GROUPS):
    store = Counting(str(tmp_path / "lock.db"), int(fake.wall))
    keeper = Keeper(store, groups, fake.clock())
    await keeper.start()
    try:
        yield keeper, store
    finally:
        await keeper.stop()


@pytest.fixture
def fake():
    return FakeTime()


def run(story):
    return asyncio.run(story())


def test_requests_that_arrive_together_are_few_changes(tmp_path, fake):
    async def story():
        async with kept(tmp_path, fake) as (keeper, store):
            before = store.runs
            asks = [keeper.ask("web", Ask(f"n{i:03}")) for i in range(400)]
            answers = await asyncio.gather(*asks)
            assert [a.kind for a in answers].count(Kind.OK) == 1
            assert store.runs - before <= 2

    run(story)


@pytest.mark.parametrize("seconds", [7200, -7200, 86400 * 365])
def test_a_jump_of_the_clock_changes_nothing_but_the_time(tmp_path, fake, seconds):
    async def story():
        async with kept(tmp_path, fake) as (keeper, _):
            await keeper.ask("web", Ask("a"))
            await keeper.ask("web", Ask("b"))
            fake.pass_(60)
            fake.jump(seconds)
            assert (await keeper.ask("web", Ask("c"))).kind is Kind.LOCK_HELD
            await keeper.sweep()
            await keeper.sweep()
            view = await keeper.view()
            assert (holders(view), waiting(view)) == (["a"], ["b", "c"])
            [holder] = view.groups["web"].holders
            assert keeper.moment("web").now - holder.since == 60
            told = events(await keeper.log())
            assert told.count(("clock", "")) == 1
            assert not {"freed", "lapsed", "overdue"} & {event for event, _ in told}
            fake.pass_(3600)
            await keeper.sweep()
            assert holders(await keeper.view()) == []

    run(story)


def test_a_jump_is_followed_in_groups_that_no_configuration_names(tmp_path, fake):
    async def story():
        async with kept(tmp_path, fake) as (keeper, _):
            await keeper.slots("db", 1, "new", "alice")
            await keeper.ask("db", Ask("a"))
            fake.jump(10_000)
            await keeper.sweep()
            view = await keeper.view()
            moment = keeper.moment("db")
            assert moment.now == int(fake.wall)
            assert view.groups["db"].holders[0].since == moment.now

    run(story)


def test_a_jump_that_cannot_be_written_is_followed_later_and_once(tmp_path, fake):
    async def story():
        async with kept(tmp_path, fake) as (keeper, store):
            await keeper.ask("web", Ask("a"))
            fake.jump(7200)
            store.fails = StoreError("full")
            with pytest.raises(StoreError):
                await keeper.sweep()
            store.fails = None
            await keeper.sweep()
            await keeper.sweep()
            view = await keeper.view()
            assert view.groups["web"].holders[0].since == int(fake.wall)

    run(story)


def test_silence_while_the_service_was_down_takes_nobodys_place(tmp_path, fake):
    async def story():
        async with kept(tmp_path, fake) as (keeper, _):
            await keeper.ask("web", Ask("a"))
            await keeper.ask("web", Ask("b"))
        fake.pass_(30_000)
        async with kept(tmp_path, fake) as (keeper, _):
            await keeper.sweep()
            view = await keeper.view()
            assert (holders(view), waiting(view)) == (["a"], ["b"])
            fake.pass_(330)
            await keeper.sweep()
            assert holders(await keeper.view()) == [], "long overdue, and not heard"

    run(story)


def test_a_store_that_fails_is_said_and_its_end_is_written_down(tmp_path, fake):
    async def story():
        async with kept(tmp_path, fake) as (keeper, store):
            store.fails = StoreError("the disk is full")
            with pytest.raises(StoreError):
                await keeper.ask("web", Ask("a"))
            assert keeper.trouble.reason == "the disk is full"
            store.fails = None
            fake.pass_(120)
            await keeper.sweep()
            assert keeper.trouble is None
            [told] = await keeper.log(limit=1)
            assert told.entry.event == "recovered"
            assert told.entry.reason.endswith("for 2m: the disk is full")

    run(story)


def test_a_mistake_of_the_program_is_told_to_who_waits_and_ends_nothing(tmp_path, fake):
    async def story():
        async with kept(tmp_path, fake) as (keeper, store):
            store.fails = ZeroDivisionError("x")
            with pytest.raises(StoreError, match="internal"):
                await keeper.ask("web", Ask("a"))
            store.fails = None
            assert (await keeper.ask("web", Ask("a"))).kind is Kind.OK

    run(story)


def test_more_requests_than_it_holds_are_turned_away(tmp_path, fake, monkeypatch):
    monkeypatch.setattr("updater.lock.keeper.MOST_PENDING", 5)

    async def story():
        async with kept(tmp_path, fake) as (keeper, _):
            asks = [keeper.ask("web", Ask(f"n{i}")) for i in range(9)]
            found = await asyncio.gather(*asks, return_exceptions=True)
            turned = [one for one in found if isinstance(one, OverloadedError)]
            assert len(turned) == 4
            assert (await keeper.release("web", Proof("n0"))).kind is Kind.OK

    run(story)


def test_groups_that_vanished_from_the_store_are_made_again(tmp_path, fake):
    async def story():
        async with kept(tmp_path, fake) as (keeper, store):
            store._connection.execute("DELETE FROM groups")
            store._fresh = False
            await keeper.sweep()
            assert (await keeper.ask("web", Ask("a"))).kind is Kind.OK

    run(story)


def test_an_entry_in_the_journal_is_one_safe_line(tmp_path, fake):
    async def story():
        async with kept(tmp_path, fake) as (keeper, _):
            await keeper.ask("web", Ask("a", "x\x1b[31m", "why\nnot", actor="t"))
            [told] = await keeper.log(limit=1)
            return line(told.entry)

    assert run(story) == (
        "granted group=web id=a name=x\\x1b[31m by=t after=0s : why\\nnot"
    )
