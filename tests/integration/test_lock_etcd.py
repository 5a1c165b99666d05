"""The lock in a real etcd: several servers, an airlock beside them, a crash of etcd."""

import asyncio
import json
import subprocess
import time
from contextlib import asynccontextmanager

import pytest
from support.etcd import EtcdServer, etcd_needed
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
    sweeping,
    waiting,
)

from updater.core.fleet import Kind, Moment, Verdict
from updater.lock import records
from updater.lock.etcd import Etcd, key_range, put
from updater.lock.etcd_store import EtcdStore
from updater.lock.store import StoreError

pytestmark = etcd_needed


@pytest.fixture
def etcd(tmp_path):
    with EtcdServer(tmp_path / "etcd") as server:
        yield server


class Later:
    """A monotonic clock that tests put forward past what a server remembers."""

    ahead = 0.0

    def __call__(self):
        return time.monotonic() + self.ahead

    def pass_(self, seconds=1.5):
        self.ahead += seconds


later = Later()


@asynccontextmanager
async def stores(etcd, count=1, now=lambda: T):
    made = [
        EtcdStore(Etcd([f"http://{etcd.address}"], None), now, later)
        for _ in range(count)
    ]
    for store in made:
        await store.open()
    try:
        yield made
    finally:
        for store in made:
            await store.close()


@asynccontextmanager
async def client(etcd):
    made = Etcd([f"http://{etcd.address}"], None)
    await made.open()
    try:
        yield made
    finally:
        await made.close()


async def semaphore(etcd, group="web"):
    async with client(etcd) as direct:
        found = await direct.range(key_range(records.semaphore_key(group)))
    return found.found[0].value


def test_everything_is_seen_by_a_server_that_comes_later(etcd):
    async def story():
        async with stores(etcd) as [store]:
            await store.run("web", configuring(slots=2), create=True)
            await store.run("web", asks("a", "b", "c", "d", target="2.0", request=7))
            proof = {"booted": "2.0", "verdict": Verdict.GOOD, "request": 7}
            await store.run("web", releases("a", **proof))
            await store.run("web", draining())
        async with stores(etcd) as [store]:
            after = await store.view()
            assert holders(after) == ["b"]
            assert after.groups["web"].holders[0].target == "2.0"
            assert waiting(after) == ["c", "d"]
            assert after.groups["web"].drain.reason == "freeze"
            assert after.nodes["web"]["a"].request == 7
            return await store.log(limit=100)

    assert events(asyncio.run(story())) == [
        ("configured", ""),
        ("granted", "a"),
        ("granted", "b"),
        ("waiting", "c"),
        ("waiting", "d"),
        ("released", "a"),
        ("drained", ""),
    ]


def test_the_key_and_its_value_are_airlocks_to_the_byte(etcd):
    async def story():
        async with stores(etcd) as [store]:
            await store.run("web", slots(2), create=True)
            assert await semaphore(etcd) == b'{"total_slots":2,"holders":[]}'
            await store.run("web", asks("b", "a"))
            assert await semaphore(etcd) == b'{"total_slots":2,"holders":["a","b"]}'

    asyncio.run(story())
    key = "com.coreos.airlock/groups/workers%2Fa+b/v1/semaphore"
    assert records.semaphore_key("workers/a b") == key


def test_the_key_is_found_where_etcdctl_looks(etcd):
    async def story():
        async with stores(etcd) as [store]:
            await store.run("web", slots(1), create=True)

    asyncio.run(story())
    done = subprocess.run(
        ["etcdctl", "get", "com.coreos.airlock/groups/web/v1/semaphore"],
        env={"ETCDCTL_API": "3", "ETCDCTL_ENDPOINTS": etcd.address, "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout.split("\n")[1]) == {"total_slots": 1, "holders": []}


def test_what_an_airlock_beside_us_does_counts_and_is_written_down(etcd):
    async def story():
        async with stores(etcd) as [store], client(etcd) as airlock:
            await store.run("web", slots(2), create=True)
            await store.run("web", asks("a"))
            value = b'{"total_slots":3,"holders":["other","x"]}'
            write = [put(records.semaphore_key("web"), value)]
            assert await airlock.commit([], write)
            [answer] = await store.run("web", asks("b"))
            assert answer.kind is Kind.OK
            [answer] = await store.run("web", asks("c"))
            assert answer.kind is Kind.LOCK_HELD
            assert holders(await store.view()) == ["b", "other", "x"]
            return await store.log(limit=5)

    assert (
        events(asyncio.run(story()))
        == [
            ("granted", "other"),
            ("granted", "x"),
            ("released", "a"),
            ("slots", ""),
            ("granted", "b"),
            ("waiting", "c"),
        ][-5:]
    )


def test_the_slots_of_an_airlock_that_was_there_first_are_taken_over(etcd):
    async def story():
        async with stores(etcd) as [store], client(etcd) as airlock:
            value = b'{"total_slots":2,"holders":["old"]}'
            await airlock.commit([], [put(records.semaphore_key("web"), value)])
            answers = await store.run("web", asks("a", "b"))
            assert [a.kind for a in answers] == [Kind.OK, Kind.LOCK_HELD]
            old = (await store.view()).groups["web"].holders[-1]
            assert (old.id, old.since, old.why) == ("old", T, records.FOREIGN)

    asyncio.run(story())


def test_a_value_that_is_no_semaphore_is_an_error_and_stays(etcd):
    async def story():
        async with stores(etcd) as [store], client(etcd) as airlock:
            key = records.semaphore_key("web")
            await airlock.commit([], [put(key, b"not json")])
            with pytest.raises(StoreError, match="holds no value of this kind"):
                await store.run("web", asks("a"))
            assert await semaphore(etcd) == b"not json"

    asyncio.run(story())


@pytest.mark.parametrize("many", [1, 3])
def test_several_servers_never_grant_too_many(etcd, many):
    async def hammer(store, number, count):
        granted = []
        for name in (f"n{number}-{i}" for i in range(count)):
            try:
                [answer] = await store.run("web", asks(name))
            except StoreError:
                continue
            if answer.kind is Kind.OK:
                granted.append(name)
        return granted

    async def story():
        async with stores(etcd, many) as made:
            await made[0].run("web", slots(many), create=True)
            for _ in range(6):
                work = [hammer(store, i, 6) for i, store in enumerate(made)]
                granted = [
                    name for part in await asyncio.gather(*work) for name in part
                ]
                assert len(granted) == many
                found = json.loads(await semaphore(etcd))
                assert found["holders"] == sorted(granted)
                view = await made[0].view()
                await made[0].run("web", releases(*holders(view), *waiting(view)))
                later.pass_()  # the places of the others may be a second old

    asyncio.run(story())


def test_places_keep_their_order_across_servers(etcd):
    async def story():
        async with stores(etcd, 2) as [one, two]:
            await one.run("web", slots(1), create=True)
            await one.run("web", asks("holder"))
            for store, name in ((one, "a"), (two, "b"), (one, "c"), (two, "d")):
                await store.run("web", asks(name))
            later.pass_()
            assert (
                waiting(await one.view()) == waiting(await two.view()) == list("abcd")
            )
            await one.run("web", releases("holder"))
            [answer] = await two.run("web", asks("d"))
            assert answer.kind is Kind.LOCK_HELD
            assert answer.text == "a slot is kept for a node that waited longer"
            [answer] = await two.run("web", asks("a"))
            assert answer.kind is Kind.OK

    asyncio.run(story())


def test_a_place_lapses_with_its_lease_and_lives_as_long_as_its_node_asks(etcd):
    async def story():
        async with stores(etcd) as [store]:
            # A lease of etcd lives for two seconds at least.
            await store.run("web", configuring(slots=1, poll=1), create=True)
            await store.run("web", asks("holder"))
            store_places = records.queue_prefix("web")
            await store.run("web", asks("quiet", "asks"))
            async with client(etcd) as direct:
                leases = {}
                for name in ("quiet", "asks"):
                    key = records.place_key("web", name)
                    [found] = (await direct.range(key_range(key))).found
                    leases[name] = found.lease
                answer = await direct.call(
                    "lease/timetolive", {"ID": str(leases["quiet"])}
                )
                granted = int(answer["grantedTTL"])
                await asyncio.sleep(2.2)
                later.pass_(granted)  # a lease that is young is left alone
                await store.run("web", asks("asks"))
                await asyncio.sleep(1.5)
                assert await direct.age(leases["asks"]) <= 2
                assert await direct.age(leases["quiet"]) >= 3
                assert granted >= 3
                await direct.call("lease/revoke", {"ID": str(leases["quiet"])})
                assert await direct.age(leases["quiet"]) is None
            later.pass_()
            assert waiting(await store.view()) == ["asks"]
            assert store_places.endswith("/queue/")

    asyncio.run(story())


def test_a_slot_is_not_kept_for_a_node_that_asks_no_server_any_more(etcd):
    now = [T]

    async def story():
        async with stores(etcd, 2, now=lambda: now[0]) as [one, two]:
            await one.run("web", configuring(slots=1, poll=1), create=True)
            await one.run("web", asks("holder"))
            await one.run("web", asks("gone"))
            await two.run("web", asks("next"))
            place = (await one.view()).groups["web"].queue.get("gone")
            await one.run("web", releases("holder"))
            now[0] += place.interval * 2
            moment = Moment(now[0])
            # The lease is a few real seconds old, the clocks of the servers are ahead:
            # its node is believed to be alive.
            [answer] = await two.run("web", asks("next", moment=moment))
            assert answer.kind is Kind.LOCK_HELD
            async with client(etcd) as direct:
                key = records.place_key("web", "gone")
                [found] = (await direct.range(key_range(key))).found
                await direct.call("lease/revoke", {"ID": str(found.lease)})
            later.pass_()
            [answer] = await two.run("web", asks("next", moment=moment))
            assert answer.kind is Kind.OK

    asyncio.run(story())


def test_an_etcd_that_dies_grants_nothing_and_comes_back_with_every_grant(etcd):
    async def story():
        async with stores(etcd) as [store]:
            await store.run("web", slots(2), create=True)
            await store.run("web", asks("a", "b", "c"))
            etcd.kill()
            with pytest.raises(StoreError, match="no etcd answers") as refused:
                await store.run("web", asks("d"))
            assert "until one does" in refused.value.unchanged
            etcd.start()
            assert holders(await store.view()) == ["a", "b"]
            await store.run("web", releases("a"))
            [answer] = await store.run("web", asks("c"))
            assert answer.kind is Kind.OK

    asyncio.run(story())


def test_a_member_that_does_not_answer_is_passed_over(etcd):
    async def story():
        endpoints = ["http://127.0.0.1:1", f"http://{etcd.address}"]
        store = EtcdStore(Etcd(endpoints, None), lambda: T)
        await store.open()
        try:
            await store.run("web", slots(1), create=True)
            [answer] = await store.run("web", asks("a"))
            assert answer.kind is Kind.OK
        finally:
            await store.close()

    asyncio.run(story())


def test_overdue_holders_are_told_once_by_all_servers_together(etcd):
    late = Moment(T + 4000)

    async def story():
        async with stores(etcd, 3) as made:
            await made[0].run("web", slots(1), create=True)
            await made[0].run("web", asks("a"))
            await asyncio.gather(*(s.run("web", sweeping(late)) for s in made))
            return await made[0].log(limit=100)

    told = [event for event, _ in events(asyncio.run(story()))]
    assert told.count("overdue") == 1


def test_the_ledger_is_read_from_where_a_reader_was(etcd):
    async def story():
        async with stores(etcd) as [store]:
            await store.run("web", slots(9), create=True)
            await store.run("web", asks(*"abc", moment=NOW))
            await store.run("web", asks(*"de", moment=NOW))
            last = await store.log(limit=3)
            assert events(last) == [
                ("granted", "c"),
                ("granted", "d"),
                ("granted", "e"),
            ]
            rest = await store.log(after=last[1].seq, limit=10)
            assert events(rest) == [("granted", "e")]

    asyncio.run(story())
