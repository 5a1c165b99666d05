"""Whatever happens: never more than N hold, and nobody who asks waits for ever."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from updater.core.batch import Job, changes, fold
from updater.core.fleet import Ask, Group, GroupSettings, Kind, Moment, Proof, Verdict
from updater.core.lapses import sweep
from updater.core.overrides import drain, force_release, resume, set_slots
from updater.core.semaphore import lock, unlock

NODES = st.sampled_from("abcdefgh")
TARGETS = st.sampled_from(["", "1", "2"])


class Semaphore(RuleBasedStateMachine):
    """Nodes and people do what they like, one after the other."""

    def __init__(self):
        super().__init__()
        self.group = Group("g", GroupSettings(slots=2))
        self.nodes = {}
        self.now = 1_000_000
        self.request = 0
        self.before = self.group
        self.grants = self.ends = 0

    def do(self, rule_, node=""):
        self.before = self.group
        done = fold(self.group, self.nodes, [Job(node, rule_)])
        self.group = done.group
        self.nodes |= done.nodes
        for entry in done.entries:
            assert entry.at == self.now
            self.grants += entry.event == "granted"
            held = entry.event == "released" or (
                entry.event in ("forced", "freed")
                and self.before.holder(entry.id) is not None
            )
            self.ends += held
        return done.answers[0]

    @rule(name=NODES, announced=TARGETS, numbered=st.booleans())
    def ask(self, name, announced, numbered):
        self.request += 1
        ask = Ask(name, target=announced, request=self.request if numbered else None)
        free = self.group.free
        held = self.group.holder(name)
        answer = self.do(lambda g, n: lock(g, n, ask, Moment(self.now)), name)
        if answer.kind is Kind.OK:
            assert held or free > 0
            assert self.group.holder(name)
        else:
            assert self.group == self.before or self.group.queue.get(name)

    @rule(name=NODES, booted=TARGETS, verdict=st.sampled_from([None, *Verdict]))
    def release(self, name, booted, verdict):
        held = self.group.holder(name)
        proof = Proof(name, booted=booted, verdict=verdict)
        answer = self.do(lambda g, n: unlock(g, n, proof, Moment(self.now)), name)
        if held and held.target and (not booted or verdict is None):
            assert answer.kind is Kind.NOT_PROVED
        gone = self.group.holder(name) is None
        assert gone == (answer.kind is Kind.OK)

    @rule(seconds=st.integers(0, 4000))
    def wait(self, seconds):
        self.now += seconds
        self.do(lambda g, _: sweep(g, Moment(self.now)))

    @rule(slots=st.integers(0, 5))
    def change_slots(self, slots):
        self.do(lambda g, _: set_slots(g, slots, "why", "x", Moment(self.now)))

    @rule(on=st.booleans())
    def drain(self, on):
        act = drain if on else resume
        self.do(lambda g, _: act(g, "why", "x", Moment(self.now)))

    @rule(name=NODES)
    def force(self, name):
        self.do(lambda g, _: force_release(g, name, "why", "x", Moment(self.now)))

    @invariant()
    def nobody_was_granted_too_many(self):
        new = {h.id for h in self.group.holders} - {h.id for h in self.before.holders}
        if new:
            assert len(self.group.holders) <= self.group.settings.slots
            assert self.before.drain is None

    @invariant()
    def the_ledger_accounts_for_every_hold(self):
        assert self.grants - self.ends == len(self.group.holders)

    @invariant()
    def the_group_is_well_formed(self):
        ids = [holder.id for holder in self.group.holders]
        assert ids == sorted(set(ids))
        tickets = [place.ticket for place in self.group.queue]
        assert tickets == sorted(set(tickets)) == list(self.group.queue.tickets)
        assert not set(ids) & set(self.group.queue.places)

    @invariant()
    def what_changed_is_what_would_be_written(self):
        found = changes(self.before, self.group)
        places = dict(self.before.queue.places)
        for name in found.lost:
            del places[name]
        for place in found.places:
            places[place.id] = place
        assert {(p.id, p.ticket, p.target) for p in places.values()} == {
            (p.id, p.ticket, p.target) for p in self.group.queue
        }


TestSemaphore = Semaphore.TestCase
TestSemaphore.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None
)


@given(
    slots=st.integers(1, 3),
    others=st.integers(1, 8),
    interval=st.integers(5, 330),
    hold=st.integers(1, 200),
    order=st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None)
def test_a_slow_node_gets_its_turn_among_quick_ones(
    slots, others, interval, hold, order
):
    """The others ask every other second and want the lock again as soon as it ended."""
    group = Group("g", GroupSettings(slots=slots))
    quick = [f"n{number}" for number in range(others)]
    rounds = others // slots + 2
    for second in range(rounds * (hold + interval + 4)):
        moment = Moment(1_000_000 + second)
        for holder in group.holders:
            if moment.now - holder.since >= hold:
                group = unlock(group, None, Proof(holder.id), moment).group
        for name in order.sample(quick, len(quick)) if second % 2 else []:
            group = lock(group, None, Ask(name), moment).group
        if second % interval == interval - 1:
            step = lock(group, None, Ask("slow"), moment)
            if step.answer.kind is Kind.OK:
                return
            group = step.group
    raise AssertionError("the slow node still waits")
