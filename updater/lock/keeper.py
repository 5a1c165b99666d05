"""The lock as the service offers it: rules, store and clock put together.

Requests to one group that arrive together are one change of the store. What comes in
while that is written is the next one.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from updater.core.batch import Job, Rule
from updater.core.fleet import (
    Answer,
    Ask,
    Entry,
    Group,
    GroupSettings,
    Kind,
    Moment,
    Node,
    Proof,
    Step,
)
from updater.core.lapses import shift, sweep
from updater.core.overrides import configure, drain, force_release, resume, set_slots
from updater.core.semaphore import lock, unlock
from updater.core.text import safe
from updater.core.times import short
from updater.lock.clock import Clock
from updater.lock.store import Line, Store, StoreError, Trouble, View

SWEEP = 5  # seconds
MOST_PENDING = 20_000  # requests that are not answered yet
TOLD_AGAIN = 60  # seconds: the same refusal of the same node is one entry
_MOST_TOLD = 10_000

log = logging.getLogger("osupdate.lock")


class OverloadedError(StoreError):
    """More requests wait for an answer than the service holds."""


class _Request(Struct):
    """A job that waits for its turn, and what it wrote into the ledger."""

    node: str
    rule: Rule
    create: bool
    done: asyncio.Future[Answer]
    entries: tuple[Entry, ...] = ()

    def apply(self, group: Group, node: Node | None) -> Step:
        """The rule; after a lost race once more."""
        step = self.rule(group, node)
        self.entries = step.entries
        return step

    def finish(self, answer: Answer | None, error: StoreError | None = None) -> None:
        """Tell who waits, if anybody still does."""
        if self.done.done():
            return
        if error is not None:
            self.done.set_exception(error)
        elif answer is not None:
            self.done.set_result(answer)


class Keeper:
    """The lock.

    Args:
        store: where it is kept.
        groups: what the configuration says of each group.
        clock: what time it is.
    """

    def __init__(
        self, store: Store, groups: Mapping[str, GroupSettings], clock: Clock
    ) -> None:
        self._store = store
        self._configured = groups
        self._clock = clock
        self._awake = clock.now()
        self._jump = 0  # seconds, all jumps together
        self._moved: dict[str, int] = {}  # how much of that a group has followed
        self._desks: dict[str, list[_Request]] = {}
        self._workers: set[asyncio.Task[None]] = set()
        self._pending = 0
        self._told: dict[tuple[str, str, Kind], int] = {}
        self._sweeper: asyncio.Task[None] | None = None
        self.counts: Counter[tuple[str, str]] = Counter()
        self.trouble: Trouble | None = None

    async def start(self) -> None:
        """Open the store and apply the configuration.

        Raises:
            StoreError, BusyError: it cannot serve. An etcd that does not answer is
                waited for.
        """
        await self._store.open()
        try:
            await self._configure()
        except StoreError:
            if self._store.alone:
                raise
        self._sweeper = asyncio.create_task(self._sweep_for_ever())

    async def stop(self) -> None:
        """Answer what is under way, and close the store."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.wait([self._sweeper])
        if self._workers:
            await asyncio.wait(self._workers)
        await self._store.close()

    async def ask(self, group: str, ask: Ask) -> Answer:
        """A node wants to go down.

        Raises:
            StoreError: it cannot be decided now.
        """
        rule = partial(self._at, group, lambda g, n, when: lock(g, n, ask, when))
        answer = await self._submit(group, ask.id, rule)
        return self._count("pre_reboot", group, ask.id, answer)

    async def release(self, group: str, proof: Proof) -> Answer:
        """A node is up.

        Raises:
            StoreError: it cannot be decided now.
        """
        rule = partial(self._at, group, lambda g, n, when: unlock(g, n, proof, when))
        answer = await self._submit(group, proof.id, rule)
        return self._count("steady_state", group, proof.id, answer)

    async def force(self, group: str, node: str, reason: str, actor: str) -> Answer:
        """Take a slot or place away."""
        return await self._override(
            group, lambda g, when: force_release(g, node, reason, actor, when)
        )

    async def drain(self, group: str, on: bool, reason: str, actor: str) -> Answer:  # noqa: FBT001 - data of a request
        """Grant nothing more, or grant again."""
        act = drain if on else resume
        return await self._override(group, lambda g, when: act(g, reason, actor, when))

    async def slots(self, group: str, count: int, reason: str, actor: str) -> Answer:
        """Let more or fewer be down at once; makes the group when there is none."""
        return await self._override(
            group,
            lambda g, when: set_slots(g, count, reason, actor, when),
            create=True,
        )

    async def view(self) -> View:
        """What there is.

        Raises:
            StoreError.
        """
        return await self._store.view()

    async def log(self, *, after: int | None = None, limit: int = 100) -> list[Line]:
        """The ledger.

        Raises:
            StoreError.
        """
        return await self._store.log(after=after, limit=limit)

    def moment(self, group: str) -> Moment:
        """The time in a group; a jump is not seen there before its ages are moved."""
        self._watch_clock()
        behind = self._jump - self._moved.get(group, 0)
        return Moment(self._clock.now() - behind, self._awake)

    def _watch_clock(self) -> None:
        seconds = self._clock.jumped()
        if not seconds:
            return
        way = "forward" if seconds > 0 else "back"
        log.warning("the clock was put %s by %s", way, short(abs(seconds)))
        if self._store.alone:
            self._awake += seconds
            self._jump += seconds
        else:
            self._awake = self._clock.now()

    def _at(
        self,
        group: str,
        rule: Callable[[Group, Node | None, Moment], Step],
        known: Group,
        node: Node | None,
    ) -> Step:
        moment = self.moment(group)
        step = rule(known, node, moment)
        entries = tuple(e for e in step.entries if not self._was_told(e, step.answer))
        return replace(step, entries=entries)

    def _was_told(self, entry: Entry, answer: Answer) -> bool:
        last = self._told.get((entry.group, entry.id, answer.kind))
        return (
            entry.event == "refused"
            and last is not None
            and abs(entry.at - last) < TOLD_AGAIN
        )

    def _count(self, what: str, group: str, node: str, answer: Answer) -> Answer:
        self.counts[what, answer.kind] += 1
        if answer.kind in (Kind.STALE, Kind.NOT_PROVED):
            if len(self._told) >= _MOST_TOLD:
                self._told.clear()
            key = (group, node, answer.kind)
            now = self._clock.now()
            if now - self._told.get(key, 0) >= TOLD_AGAIN:
                self._told[key] = now
        return answer

    async def _override(
        self, group: str, act: Callable[[Group, Moment], Step], *, create: bool = False
    ) -> Answer:
        def rule(known: Group, _: Node | None) -> Step:
            return act(known, self.moment(group))

        return await self._submit(group, "", rule, create=create)

    async def _submit(
        self, group: str, node: str, rule: Rule, *, create: bool = False
    ) -> Answer:
        if self._pending >= MOST_PENDING:
            raise OverloadedError("too many requests wait for an answer")
        done: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        request = _Request(node, rule, create, done)
        desk = self._desks.get(group)
        if desk is None:
            self._desks[group] = [request]
            worker = asyncio.create_task(self._work(group))
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)
        else:
            desk.append(request)
        self._pending += 1
        try:
            return await done
        finally:
            self._pending -= 1

    async def _work(self, group: str) -> None:
        """Answer the requests to a group until there are none."""
        while desk := self._desks[group]:
            # Whoever went away meanwhile wants nothing any more.
            batch = [request for request in desk if not request.done.done()]
            self._desks[group] = batch[self._store.batch :]
            await self._answer(group, batch[: self._store.batch])
        del self._desks[group]

    async def _answer(self, group: str, batch: list[_Request]) -> None:
        if not batch:
            return
        create = any(request.create for request in batch)
        jobs = [Job(request.node, request.apply) for request in batch]
        try:
            answers = await self._store.run(group, jobs, create=create)
        except StoreError as error:
            self._failed(error)
            for request in batch:
                request.finish(None, error)
        except Exception as error:
            log.exception("a mistake of this program")
            for request in batch:
                request.finish(None, StoreError(f"internal: {error!r}"))
        else:
            if self.trouble is not None and any(one.entries for one in batch):
                self.trouble = None  # it was written
                log.warning("the store works again")
            for request, answer in zip(batch, answers, strict=True):
                request.finish(answer)
                for entry in request.entries:
                    log.info("%s", line(entry))

    def _failed(self, error: StoreError) -> None:
        self.counts["store", "errors"] += 1
        # What is read anew has forgotten who asked lately.
        self._awake = self._clock.now()
        if self.trouble is None:
            self.trouble = Trouble(self._awake, safe(str(error), 400))
            log.warning("nothing is granted: %s", self.trouble.reason)

    async def _configure(self) -> None:
        for name, settings in self._configured.items():
            await self._override(
                name, partial(_configure, settings=settings), create=True
            )

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            try:
                await self.sweep()
            except StoreError as error:
                self._failed(error)

    async def sweep(self) -> None:
        """Move what a jump of the clock left behind; lapse places; find the overdue.

        A store that failed is tried, with an entry that says for how long.

        Raises:
            StoreError.
        """
        self._watch_clock()
        groups = (await self._store.view()).groups
        if missing := set(self._configured) - set(groups):
            log.warning("making the groups %s", ", ".join(sorted(missing)))
            await self._configure()
        for name in groups:
            if self._jump != self._moved.get(name, 0):
                await self._follow_clock(name)
            await self._override(name, sweep)
        if self.trouble is not None and groups:
            await self._override(min(groups), partial(_recovered, trouble=self.trouble))

    async def _follow_clock(self, group: str) -> None:
        before = self._moved.get(group, 0)

        def rule(known: Group, _: Node | None) -> Step:
            seconds = self._jump - before
            # Here: what follows in the same batch is of the new time.
            self._moved[group] = self._jump
            way = "forward" if seconds > 0 else "back"
            text = f"put {way} by {short(abs(seconds))}; every age was kept"
            entry = Entry(self._clock.now(), "clock", group, reason=text)
            return Step(shift(known, seconds), Answer(Kind.OK), (entry,))

        try:
            await self._submit(group, "", rule)
        except StoreError:
            self._moved[group] = before
            raise


def _configure(group: Group, moment: Moment, settings: GroupSettings) -> Step:
    return configure(group, settings, moment)


def _recovered(group: Group, moment: Moment, trouble: Trouble) -> Step:
    lasted = short(max(0, moment.now - trouble.since))
    text = f"nothing could be granted or released for {lasted}: {trouble.reason}"
    entry = Entry(moment.now, "recovered", group.name, reason=text)
    return Step(group, Answer(Kind.OK), (entry,))


def line(entry: Entry) -> str:
    """An entry of the ledger for a log, on one line."""
    words = [entry.event, f"group={entry.group}"]
    pairs = {
        "id": entry.id,
        "name": entry.name,
        "from": entry.origin,
        "to": entry.target,
        "booted": entry.booted,
        "verdict": entry.verdict,
        "by": entry.actor,
    }
    words += [f"{key}={safe(value, 256)}" for key, value in pairs.items() if value]
    if entry.seconds is not None:
        words.append(f"after={short(entry.seconds)}")
    if entry.reason:
        words.append(f": {safe(entry.reason, 400)}")
    return " ".join(words)
