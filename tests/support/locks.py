"""What the tests of the reboot lock's stores and service share."""

from updater.core.batch import Job
from updater.core.fleet import Ask, GroupSettings, Moment, Proof
from updater.core.lapses import sweep
from updater.core.overrides import configure, drain, set_slots
from updater.core.semaphore import lock, unlock
from updater.lock.clock import Clock

T = 1_780_000_000
NOW = Moment(T)


def asks(*names, moment=NOW, **kw):
    """A job for each node that wants the lock."""
    return [_job(lock, Ask(name, **kw), moment) for name in names]


def releases(*names, moment=NOW, **kw):
    return [_job(unlock, Proof(name, **kw), moment) for name in names]


def _job(rule, request, moment):
    return Job(request.id, lambda g, n: rule(g, n, request, moment))


def sweeping(moment=NOW):
    return [Job("", lambda g, _: sweep(g, moment))]


def configuring(**settings):
    return [Job("", lambda g, _: configure(g, GroupSettings(**settings), NOW))]


def slots(count):
    return [Job("", lambda g, _: set_slots(g, count, "why", "alice", NOW))]


def draining():
    return [Job("", lambda g, _: drain(g, "freeze", "alice", NOW))]


def holders(view, group="web"):
    return [holder.id for holder in view.groups[group].holders]


def waiting(view, group="web"):
    return [place.id for place in view.groups[group].queue]


def events(lines):
    return [(line.entry.event, line.entry.id) for line in lines]


class FakeTime:
    """A clock that a test moves; `jump` moves the wall clock alone."""

    def __init__(self, at=T):
        self.wall, self.monotonic = float(at), 100.0

    def clock(self):
        return Clock(lambda: self.wall, lambda: self.monotonic)

    def pass_(self, seconds):
        self.wall += seconds
        self.monotonic += seconds

    def jump(self, seconds):
        self.wall += seconds
