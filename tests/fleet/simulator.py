"""Thousands of nodes, one lock, and everything that goes wrong between them."""

import statistics
from collections import Counter

from fleet.node import NEW, Node
from fleet.world import Faults, Figures, World
from updater.core.fleet import GroupSettings
from updater.lock import keeper as keeper_module
from updater.lock.clock import Clock
from updater.lock.keeper import Keeper
from updater.lock.sqlite import SqliteStore
from updater.lock.store import StoreError

HORIZON = 40 * 86400  # virtual seconds
SWEEP = 10.0  # virtual seconds
POLL = 330


class TooManyDownError(AssertionError):
    """The one thing that must never happen."""


class Fleet:
    """The nodes, and the server as they reach it."""

    group = "web"

    def __init__(self, seed, nodes, slots, directory, faults=None, modern=0.8):
        self.world = World(seed)
        self.faults = faults or Faults()
        self.figures = Figures()
        self.slots = slots
        self.nodes = [
            Node(self, number, self.world.chance(modern)) for number in range(nodes)
        ]
        self.down = set()
        self.reboots = Counter()
        self._path = str(directory / f"fleet-{seed}.db")
        self._keeper = None
        self._unsettled = nodes

    async def run(self):
        """Until every node has its update, or has died.

        Raises:
            AssertionError: a property does not hold.
        """
        keeper_module.SWEEP = 10**9  # virtual time sweeps
        await self._start()
        for node in self.nodes:
            self.world.later(self.world.between(0, 1800), node.want)
        self._plan_troubles()
        await self.world.run(HORIZON, self._is_done)
        await self._settle()
        await self._check_ledger()
        await self._keeper.stop()
        waiting = [node.id for node in self.nodes if not node.settled]
        assert not waiting, f"{len(waiting)} wait for ever: {waiting[:5]}"

    def _is_done(self):
        return self._unsettled == 0

    def goes_down(self, node):
        self.down.add(node.id)
        self.reboots[node.id] += 1
        self.figures.reboots += 1
        self.figures.waits.append(self.world.now - node.began)
        self.figures.most_down = max(self.figures.most_down, len(self.down))
        if len(self.down) > self.slots:
            text = f"{len(self.down)} of {self.slots} down at {self.world.now:.0f} s"
            raise TooManyDownError(text)

    def is_up(self, node):
        self.down.discard(node.id)

    async def send(self, node, what, message):
        """A message of a node: the answer, or None when none arrives."""
        self.figures.messages += 1
        lost = self.world.chance(self.faults.lost)
        if lost or not node.reachable:
            self.figures.lost += 1
            return None
        if self.world.chance(self.faults.duplicate):
            self._repeat(node, what, message)
        answer = await self._deliver(what, message)
        if answer is not None and self.world.chance(self.faults.answer_lost):
            self.figures.lost += 1
            return None
        return answer

    def _repeat(self, node, what, message):
        """The same message once more. One without a number only before the next one:

        nothing tells a late copy of it from a new one, in any FleetLock server.
        """
        self.figures.duplicates += 1
        most = self.faults.late_duplicate if node.modern else 0.0

        async def again():
            await self._deliver(what, message)

        if most:
            self.world.later(self.world.between(0, most), again)
        else:
            self.world.later(0, again)

    async def _deliver(self, what, message):
        if self._keeper is None:
            self.figures.unavailable += 1
            return None
        try:
            if what == "ask":
                return await self._keeper.ask(self.group, message)
            return await self._keeper.release(self.group, message)
        except StoreError:
            self.figures.unavailable += 1
            return None

    async def order(self, what, group, node):
        if self._keeper is None:
            return None
        assert what == "force"
        return await self._keeper.force(group, node, "it is dead", "a person")

    async def _start(self):
        settings = {self.group: GroupSettings(slots=self.slots, poll=POLL)}
        clock = Clock(self.world.wall, self.world.monotonic)
        self._keeper = Keeper(SqliteStore(self._path, clock.now()), settings, clock)
        await self._keeper.start()

    def _plan_troubles(self):
        self.world.later(SWEEP, self._sweep)
        self._again(self.faults.server_crash_every, self._server_crashes)
        self._again(self.faults.clock_jump_every, self._clock_jumps)
        self._again(self.faults.partition_every, self._network_breaks)

    def _again(self, every, trouble, least=0):
        if every:
            wait = self.world.random.expovariate(1 / every)
            self.world.later(least + wait, trouble)

    async def _sweep(self):
        self._unsettled = sum(not node.settled for node in self.nodes)
        if self._keeper is not None:
            await self._keeper.sweep()
        self.world.later(SWEEP, self._sweep)

    async def _server_crashes(self):
        """Nothing is saved: the next server has what is in the file."""
        if self._keeper is not None:
            self.figures.restarts += 1
            await self._keeper.stop()
            self._keeper = None
            self.world.later(self.world.between(1, 1200), self._start)
        every = self.faults.server_crash_every
        self.world.later(
            1300 + self.world.random.expovariate(1 / every), self._server_crashes
        )

    async def _clock_jumps(self):
        self.figures.jumps += 1
        self.world.wall_offset += self.world.random.choice(
            [-1, 1]
        ) * self.world.between(60, 86400)
        every = self.faults.clock_jump_every
        self.world.later(self.world.random.expovariate(1 / every), self._clock_jumps)

    async def _network_breaks(self):
        """A part of the fleet reaches nobody for a while."""
        self.figures.partitions += 1
        share = self.faults.partition_share
        cut = [node for node in self.nodes if self.world.chance(share)]
        for node in cut:
            node.reachable = False

        async def heals():
            for node in cut:
                node.reachable = True

        self.world.later(self.world.between(30, 4000), heals)
        self._again(self.faults.partition_every, self._network_breaks, 4001)

    async def _settle(self):
        if self._keeper is None:
            await self._start()
        await self._keeper.sweep()

    async def _check_ledger(self):
        """Every reboot has its grant, every grant its end, none was given twice."""
        lines = await self._keeper.log(limit=10**9)
        entries = [line.entry for line in lines]
        granted = Counter(e.id for e in entries if e.event == "granted")
        released = Counter(e.id for e in entries if e.event == "released")
        taken = Counter(e.id for e in entries if e.event == "forced")
        for node, count in self.reboots.items():
            assert granted[node] >= count, f"{node} rebooted without an entry"
        held = {h.id for h in (await self._keeper.view()).groups[self.group].holders}
        idle = {node.id for node in self.nodes if node.state == "idle"}
        assert not held & idle, f"{min(held & idle)} holds a lock that it gave back"
        for node in granted:
            ends = released[node] + taken[node]
            assert granted[node] - ends == (node in held), node
        overlap = 0
        for entry in entries:
            overlap += entry.event == "granted"
            overlap -= entry.event in ("released", "forced")
            assert overlap <= self.slots, "the ledger shows too many holders"
        self.entries = len(entries)

    def report(self, seconds):
        """The figures, a line each."""
        found = self.figures
        waits = sorted(found.waits) or [0]
        done = sum(node.release == NEW for node in self.nodes)
        return [
            f"{len(self.nodes):,} nodes, {self.slots} slots: {done:,} updated, "
            f"{found.deaths} died, in {self.world.now / 3600:.1f} virtual hours "
            f"and {seconds:.1f} s",
            f"most down at once  {found.most_down} of {self.slots}",
            f"reboots            {found.reboots:,} ({found.failed} went back, "
            f"{found.cancelled} cancelled)",
            f"waited             median {statistics.median(waits) / 60:.0f} min, "
            f"p99 {waits[int(len(waits) * 0.99)] / 60:.0f} min, "
            f"longest {waits[-1] / 60:.0f} min",
            f"messages           {found.messages:,}: {found.lost:,} lost, "
            f"{found.duplicates:,} repeated, {found.unavailable:,} met no server",
            f"troubles           {found.restarts} server crashes, "
            f"{found.jumps} jumps of the clock, {found.partitions} partitions, "
            f"{found.crashes} power cuts, {found.forced} locks taken away by a person",
            f"ledger             {self.entries:,} entries; every reboot has its own",
        ]
