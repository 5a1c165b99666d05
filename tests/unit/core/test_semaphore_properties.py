"""Whatever happens: never more than N hold, and nobody who asks waits for ever."""

from hypothesis import settings
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


class Patient(RuleBasedStateMachine):
    """Some nodes ask as they are told; others come, hold, and vanish as they like."""

    def __init__(self):
        super().__init__()
        self.group = Group("g", GroupSettings(slots=1))
        self.now = 1_000_000
        self.turn = 0
        self.overtaken = 0
        self.ask("holder")

    def ask(self, name):
        step = lock(self.group, None, Ask(name), Moment(self.now))
        before = self.group.queue.get("patient")
        self.group = step.group
        if step.answer.kind is Kind.OK and name != "patient" and before:
            self.overtaken += 1
        return step.answer

    @rule(name=NODES, seconds=st.integers(0, 60))
    def others_do_as_they_like(self, name, seconds):
        self.now += seconds
        self.ask(name)

    @rule()
    def every_holder_is_done_in_time_and_the_patient_asks_when_it_was_told(self):
        self.now += 30
        for holder in self.group.holders:
            step = unlock(self.group, None, Proof(holder.id), Moment(self.now))
            self.group = step.group
        before = self.group.queue.get("patient")
        rank = self.group.queue.rank(before) if before else None
        answer = self.ask("patient")
        if answer.kind is Kind.OK:
            self.overtaken = 0
        elif rank is not None:
            assert answer.position <= rank + 1, "a place never moves back"

    @invariant()
    def nobody_overtakes_more_often_than_there_were_nodes_before(self):
        assert self.overtaken <= 8


TestSemaphore = Semaphore.TestCase
TestSemaphore.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None
)
TestPatient = Patient.TestCase
TestPatient.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
