"""The reboot lock in etcd, for several servers at once.

The semaphore changes by compare-and-swap on `mod_revision`; who loses the race reads
anew and applies the rules again. The queue is not what safety rests on: a place is a
key with a lease, its order is the order in which etcd made the keys, polls only keep
the lease alive, and the list of places may be a second old.
"""

import asyncio
import logging
import random
import secrets
import time
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from updater.core.batch import Changes, Folded, Job, changes, fold
from updater.core.fleet import Answer, Entry, Group, Node
from updater.core.lapses import lapse_after
from updater.core.waiting import Place, Queue, from_places
from updater.lock import records
from updater.lock.etcd import (
    Etcd,
    KeyValue,
    Object,
    delete,
    key_range,
    prefix_range,
    put,
    unchanged,
)
from updater.lock.store import Line, StoreError, View, unknown_group

log = logging.getLogger("osupdate.lock")

PATIENCE = 5.0  # seconds of lost races before a request is told to come again
_QUEUE_AGE = 1.0  # seconds that the list of places may be old
_NODES_AGE = 5.0
_KEPT_PER_LIFE = 8  # a lease is kept alive so often: its age tells who is late
_LOOKED_AT = 8  # places beyond the free slots whose silence is asked for


class _Stored(Struct, frozen=True):
    """A group as it was read, and the revisions of its keys; 0 is not there.

    `news` is what others did to airlock's key, which the ledger does not have yet.
    """

    group: Group
    nodes: Mapping[str, Node]
    semaphore: int
    details: int
    known: bool
    news: tuple[Entry, ...]


class _Waiting(Struct):
    """The places of a group as they were read at `at` (monotonic), with leases.

    `unheard` did not ask this server lately; perhaps they asked another one.
    """

    at: float
    queue: Queue
    leases: dict[str, int]
    unheard: set[str]


class EtcdStore:
    """The store in a cluster.

    Args:
        etcd: the cluster.
        clock: seconds since the epoch.
        monotonic: seconds that only grow.
    """

    batch = 50
    alone = False

    def __init__(
        self,
        etcd: Etcd,
        clock: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._etcd = etcd
        self._clock = clock
        self._monotonic = monotonic
        self._server = secrets.token_hex(4)
        self._count = 0
        self._waiting: dict[str, _Waiting] = {}
        self._heard: dict[tuple[str, str], Place] = {}
        self._alive: set[int] = set()
        self._kept: dict[int, float] = {}  # lease -> when it last began (monotonic)
        self._nodes: tuple[float, Mapping[str, Mapping[str, Node]]] | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect; whether etcd answers shows with the first request."""
        await self._etcd.open()
        self._keeper = asyncio.create_task(self._keep_alive())

    async def close(self) -> None:
        """Disconnect."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        await self._etcd.close()

    async def run(
        self, group: str, jobs: Sequence[Job], *, create: bool = False
    ) -> Sequence[Answer]:
        """One transaction, or more after lost races."""
        until = self._monotonic() + PATIENCE
        while True:
            stored = await self._load(group, {job.node for job in jobs if job.node})
            if not stored.known and not create:
                return [unknown_group(group)] * len(jobs)
            waiting = await self._places(group)
            before = await self._with_queue(stored.group, waiting)
            done = fold(before, stored.nodes, jobs)
            if await self._commit(stored, before, done, waiting):
                self._remember(before, done.group, waiting)
                return done.answers
            self._waiting.pop(group, None)
            if self._monotonic() > until:
                raise StoreError(
                    f"the lock of {group} changes faster than it can be taken",
                    unchanged="Nothing was changed by this request.",
                )
            await asyncio.sleep(random.uniform(0.001, 0.05))  # noqa: S311 - jitter

    async def view(self) -> View:
        """Groups as they are, their queues and nodes a little older."""
        semaphores, details = await self._etcd.ranges(
            prefix_range(records.AIRLOCK), prefix_range(f"{records.OURS}groups/")
        )
        ours = {one.key: one for one in details.found}
        now = self._clock()
        groups: dict[str, Group] = {}
        for one in semaphores.found:
            if not one.key.endswith(records.SEMAPHORE):
                continue
            name = records.group_of(one.key)
            made = records.group_from(
                name, one, ours.get(records.details_key(name)), now
            )
            waiting = await self._places(name)
            groups[name] = replace(made, queue=waiting.queue)
        return View(groups, await self._known_nodes())

    async def log(self, *, after: int | None = None, limit: int) -> list[Line]:
        """From etcd."""
        options: Object = {"limit": str(limit)}
        if after is None:
            options |= {"sort_target": "KEY", "sort_order": "DESCEND"}
        else:
            options |= {
                "sort_target": "CREATE",
                "sort_order": "ASCEND",
                "min_create_revision": str(records.revision_of(after)),
            }
        found = await self._etcd.range(prefix_range(records.LOG, **options))
        lines = records.lines_from(found.found)
        if after is None:
            return lines[-limit:]
        return [line for line in lines if line.seq > after][:limit]

    async def _load(self, group: str, nodes: set[str]) -> _Stored:
        semaphore_key, details_key = (
            records.semaphore_key(group),
            records.details_key(group),
        )
        semaphore, details, *known = await self._etcd.ranges(
            key_range(semaphore_key),
            key_range(details_key),
            *(key_range(records.node_key(group, node)) for node in sorted(nodes)),
        )
        first, second = _only(semaphore.found), _only(details.found)
        found = [one for answer in known for one in answer.found]
        return _Stored(
            group=records.group_from(group, first, second, self._clock()),
            nodes=records.nodes_from(tuple(found)).get(group, {}),
            semaphore=first.modified if first else 0,
            details=second.modified if second else 0,
            known=first is not None,
            news=records.news(group, first, second, self._clock()),
        )

    async def _with_queue(self, group: Group, waiting: _Waiting) -> Group:
        """The group with its places; the first ones with their true silence."""
        now = self._clock()
        places = dict(waiting.queue.places)
        if group.free > 0 and group.drain is None:
            for place in list(waiting.queue)[: group.free + _LOOKED_AT]:
                if place.id in waiting.unheard:
                    age = await self._etcd.age(waiting.leases[place.id])
                    seen = place.since if age is None else now - age
                    places[place.id] = replace(place, seen=seen)
        return replace(group, queue=replace(waiting.queue, places=places))

    async def _places(self, group: str) -> _Waiting:
        known = self._waiting.get(group)
        if known is not None and self._monotonic() - known.at < _QUEUE_AGE:
            return known
        at = self._monotonic()
        found = await self._etcd.range(prefix_range(records.queue_prefix(group)))
        now = self._clock()
        places: list[Place] = []
        leases: dict[str, int] = {}
        unheard: set[str] = set()
        for place, lease in records.places_from(found.found):
            leases[place.id] = lease
            heard = self._heard.get((group, place.id))
            if heard is not None and not heard.is_late(now - heard.seen):
                seen, interval = heard.seen, heard.interval
            else:
                unheard.add(place.id)
                seen, interval = now, place.interval
            places.append(replace(place, seen=seen, interval=interval))
        gone = [key for key in self._heard if key[0] == group and key[1] not in leases]
        for key in gone:
            del self._heard[key]
        if len(self._kept) > 2 * len(self._heard) + 1000:
            self._kept.clear()
        made = _Waiting(at, from_places(places), leases, unheard)
        self._waiting[group] = made
        return made

    async def _commit(
        self, stored: _Stored, before: Group, done: Folded, waiting: _Waiting
    ) -> bool:
        """Write what changed; whether nobody was quicker."""
        diff = changes(before, done.group)
        new = [place for place in diff.places if before.queue.get(place.id) is None]
        leases = await self._new_leases(done.group, new)
        operations, compare = _semaphore_change(stored, done.group, diff)
        operations += _node_changes(done, diff, waiting.leases | leases)
        if entries := [*stored.news, *done.entries]:
            self._count += 1
            key = records.log_key(entries[-1].at, self._server, self._count)
            operations.append(put(key, records.encode(entries)))
        if operations and await self._etcd.commit(compare, operations) is None:
            return False
        waiting.leases.update(leases)
        now = self._monotonic()
        self._kept.update(dict.fromkeys(leases.values(), now))
        return True

    async def _new_leases(self, group: Group, places: list[Place]) -> dict[str, int]:
        leases = {place.id: secrets.randbits(62) | 1 for place in places}
        await asyncio.gather(
            *(
                self._etcd.new_lease(leases[place.id], lapse_after(group, place))
                for place in places
            )
        )
        return leases

    def _remember(self, before: Group, after: Group, waiting: _Waiting) -> None:
        """Whom this server heard, so that the leases live on."""
        for place in after.queue:
            known = before.queue.get(place.id)
            if known is not place:
                self._heard[(after.name, place.id)] = place
                waiting.unheard.discard(place.id)
                often = lapse_after(after, place) / _KEPT_PER_LIFE
                self._keep(waiting.leases[place.id], often)
        waiting.queue = after.queue
        self._waiting[after.name] = waiting

    def _keep(self, lease: int, seconds: float) -> None:
        """Let a lease live on, when that was not done within so many seconds."""
        now = self._monotonic()
        if now - self._kept.get(lease, -seconds) >= seconds:
            self._kept[lease] = now
            self._alive.add(lease)

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(1)
            leases, self._alive = list(self._alive), set()
            try:
                await self._etcd.keep_alive(leases)
            except Exception:
                # Places would lapse one after the other, and nobody would know why.
                log.exception("a mistake of this program")

    async def _known_nodes(self) -> Mapping[str, Mapping[str, Node]]:
        if self._nodes is None or self._monotonic() - self._nodes[0] > _NODES_AGE:
            found = await self._etcd.range(prefix_range(records.NODES))
            self._nodes = self._monotonic(), records.nodes_from(found.found)
        return self._nodes[1]


def _only(found: tuple[KeyValue, ...]) -> KeyValue | None:
    return found[0] if found else None


def _semaphore_change(
    stored: _Stored, group: Group, diff: Changes
) -> tuple[list[Object], list[Object]]:
    """What to write of a group, and what must not have changed meanwhile."""
    complete = stored.known and stored.details
    if complete and not (diff.group or stored.news):
        return [], []
    semaphore = records.semaphore_key(group.name)
    details = records.details_key(group.name)
    operations = [
        put(semaphore, records.encode(records.semaphore_of(group))),
        put(details, records.encode(records.details_of(group))),
    ]
    compare = [
        unchanged(semaphore, stored.semaphore),
        unchanged(details, stored.details),
    ]
    return operations, compare


def _node_changes(
    done: Folded, diff: Changes, leases: Mapping[str, int]
) -> list[Object]:
    group = done.group.name
    made = [
        put(records.place_key(group, place.id), records.encode(place), leases[place.id])
        for place in diff.places
    ]
    made += [delete(records.place_key(group, lost)) for lost in diff.lost]
    return made + [
        put(records.node_key(group, node.id), records.encode(node))
        for node in done.nodes.values()
    ]
