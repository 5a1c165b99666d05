"""One node of the fleet: wants an update, waits, goes down, comes back, proves it."""

from updater.core.fleet import Ask, Kind, Proof, Verdict

OLD, NEW = "1.0", "2.0"
TICK = 300.0  # seconds between two tries when nobody answered


class Node:
    """`modern` nodes announce, prove and number; the others speak bare FleetLock."""

    def __init__(self, fleet, number, modern):
        self.fleet = fleet
        self.world = fleet.world
        self.id = f"n{number:05}"
        self.modern = modern
        self.release = OLD
        self.state = "idle"
        self.request = 0
        self.began = None
        self.life = 0  # what was planned in an earlier one does not happen
        self.reachable = True

    @property
    def settled(self):
        return self.state == "dead" or (self.state == "idle" and self.release == NEW)

    def plan(self, seconds, action):
        life = self.life

        async def guarded():
            if life == self.life:
                await action()

        self.world.later(seconds, guarded)

    async def want(self):
        """An update is staged."""
        self.state = "waiting"
        self.request = max(self.request + 1, int(self.world.now))
        self.began = self.world.now
        await self.poll()

    async def poll(self):
        if self.world.chance(self.fleet.faults.crash_waiting):
            await self.crash()
            return
        answer = await self.fleet.send(self, "ask", self.ask())
        if self.state != "waiting":
            return
        if answer is None:
            self.plan(self.world.between(TICK * 0.5, TICK), self.poll)
        elif answer.kind is Kind.OK:
            await self.granted()
        elif answer.kind is Kind.STALE:
            await self.want()
        else:
            pause = TICK * self.world.between(1, 1.1)
            if self.modern and answer.retry_after:
                pause = answer.retry_after * self.world.between(1, 1.1)
            self.plan(pause, self.poll)

    def ask(self):
        if not self.modern:
            return Ask(self.id)
        return Ask(
            self.id,
            name=f"node {self.id}",
            why="update",
            origin=self.release,
            target=NEW,
            request=self.request,
        )

    async def granted(self):
        """The other gates are looked at once more; then it goes down."""
        if self.modern and self.world.chance(self.fleet.faults.cancels):
            self.fleet.figures.cancelled += 1
            self.state = "releasing"
            await self.give_back(Verdict.UNCHANGED)
            return
        self.fleet.goes_down(self)
        self.state = "down"
        if self.world.chance(self.fleet.faults.dies_down):
            self.fleet.figures.deaths += 1
            self.plan(self.world.between(4000, 20_000), self.found_dead)
            return
        self.plan(self.world.between(40, 240), self.boots)

    async def boots(self):
        """It is up; on trial it may still go back, which is down as well."""
        failed = self.world.chance(self.fleet.faults.bad_release)
        self.fleet.figures.failed += failed
        if not failed:
            self.release = NEW
        verdict = Verdict.FAILED if failed else Verdict.GOOD
        self.plan(self.world.between(10, 90), lambda: self.is_up(verdict))

    async def is_up(self, verdict):
        self.fleet.is_up(self)
        self.state = "releasing"
        await self.give_back(verdict)

    async def give_back(self, verdict):
        proof = Proof(self.id)
        if self.modern:
            proof = Proof(
                self.id, booted=self.release, verdict=verdict, request=self.request
            )
        answer = await self.fleet.send(self, "release", proof)
        if self.state != "releasing":
            return
        if answer is None or answer.kind is not Kind.OK:
            again = self.world.between(TICK * 0.1, TICK)
            self.plan(again, lambda: self.give_back(verdict))
            return
        self.state = "idle"
        if self.release != NEW:
            self.plan(self.world.between(600, 6000), self.want)

    async def crash(self):
        """Power is lost while it waits: nobody planned that, and no slot is its own.

        After the boot it says that it is up, as every node does, and begins again.
        """
        self.life += 1
        self.fleet.figures.crashes += 1
        self.state = "off"
        self.plan(self.world.between(60, 3000), self.after_crash)

    async def after_crash(self):
        self.state = "releasing"
        await self.give_back(Verdict.UNCHANGED)

    async def found_dead(self):
        """A person sees it overdue, repairs it or not, and takes its lock away."""
        answer = await self.fleet.order("force", self.fleet.group, self.id)
        if answer is None:
            self.plan(TICK, self.found_dead)
            return
        self.fleet.is_up(self)
        self.fleet.figures.forced += answer.kind is Kind.OK
        self.state = "dead"
        self.life += 1
