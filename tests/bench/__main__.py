"""`python -m bench`: the budgets, measured on this machine, beside git and ostree.

Runs of osupdate and of its peers alternate, each a whole process that begins with an
idle disk. The table shows medians, and in brackets the smallest. Nothing is decided by
the exit code; it is 1 only when a command fails.
"""

import argparse
import os
import sys

from bench import growth, measure, ours, pair, peers, table
from bench.served import Served

WORK = pair.ROOT / ".cache" / "bench"
UPDATES = 20


class Bench:
    """One run: where it works, on what, and what it found so far."""

    def __init__(self, found, rounds):
        self.pair = found
        self.rounds = rounds
        self.work = measure.fresh(WORK)
        self.key = ours.new_key(self.work)
        self.samples = measure.Samples()
        self.ours = self.work / "ours.git"
        self.ostree = self.work / "ostree"
        self.commits = []

    def publish(self):
        """The first release, the next one, and the next one again."""
        trees = (self.pair.old, self.pair.new, self.pair.new)
        steps = list(
            zip(("first", "next", "again"), ("1", "2", "2"), trees, strict=True)
        )
        for number in range(self.rounds):
            ours.forget(self.ours)
            git = peers.GitPublisher(self.work / "git.git")
            for step, version, tree in steps:
                say(f"publish, {step}: round {number + 1}")
                if step != "again":
                    done = ours.publish(tree, self.ours, version, self.key)
                    self.samples.add(f"git publish {step}", git.publish(tree, version))
                else:
                    done = ours.publish(tree, self.ours, "3", self.key)
                    self.samples.add(f"git publish {step}", git.add(tree))
                self.samples.add(f"publish {step}", done.seconds)
                self.samples.add("publish memory", done.memory)
        measure.remove(git.path)
        archive = peers.OstreePublisher(self.ostree)
        for step, version, tree in steps[:2]:
            say(f"publish, {step}: ostree, once")
            self.samples.add(f"ostree publish {step}", archive.publish(tree, version))
        self.commits = archive.commits()

    def stage(self):
        """The first release on an empty machine, then the update; of all three."""
        for number in range(self.rounds):
            say(f"apply the first release, then the update: round {number + 1}")
            self._stage_ours()
            self._stage_git()
            self._stage_ostree()

    def _stage_ours(self):
        add = self.samples.add
        machine = ours.Machine(self.work / "machine", f"file://{self.ours}", self.key)
        for name, version in (("full", "1"), ("update", "2")):
            done, stages, _ = machine.apply(version)
            add(name, done.seconds)
            add(f"{name} memory", done.memory)
            for stage, seconds in stages.items():
                add(f"{name}, {stage}", seconds)
            state, deployments = machine.beside()
            add(f"{name}, beside", 100 * state / deployments)
        self.machine = machine

    def _stage_git(self):
        clone = peers.GitClone(self.work / "clone", f"file://{self.ours}")
        add = self.samples.add
        clone.begin_with("1")
        add("git full, stage", clone.lay_out("1").seconds)
        fetched = clone.fetch("2").seconds
        laid = clone.update("2").seconds
        add("git update, stage", laid)
        add("git update", fetched + laid)
        measure.remove(clone.path)

    def _stage_ostree(self):
        machine = peers.OstreeMachine(self.work / "peer", f"file://{self.ostree}")
        add = self.samples.add
        old, new = self.commits
        pulled = machine.pull(old).seconds
        add("ostree full, stage", machine.checkout(old, "copy", "-C").seconds)
        measure.remove(machine.path / "copy")
        add("ostree full", pulled + machine.checkout(old, "old").seconds)
        pulled = machine.pull(new).seconds
        laid = machine.checkout(new, "new").seconds
        add("ostree update, stage", laid)
        add("ostree update", pulled + laid)
        measure.remove(machine.path)

    def ask(self):
        """What people type often: on the machine that runs the update."""
        for _ in range(2 * self.rounds + 1):
            for name in ("status", "check", "diff"):
                done = self.machine.run(name)
                self.samples.add(name, done.seconds)
                self.samples.add(f"{name} memory", done.memory)

    def transfer(self):
        """Bytes of the update over HTTP: `git http-backend`, and files of ostree."""
        say("the update over HTTP: bytes")
        with Served(self.work) as server:
            machine = ours.Machine(self.work / "http", f"file://{self.ours}", self.key)
            machine.apply("1")
            machine.follow(f"{server.url}/{self.ours.name}")
            server.taken()
            done, _, _ = machine.apply("2")
            self.samples.add("bytes", server.taken())
            self.samples.add("update over HTTP", done.seconds)
            measure.remove(machine.root)
            clone = peers.GitClone(self.work / "clone", f"file://{self.ours}")
            clone.begin_with("1")
            server.taken()
            fetched = clone.fetch("2", url=f"{server.url}/{self.ours.name}")
            self.samples.add("git bytes", server.taken())
            self.samples.add("git fetch over HTTP", fetched.seconds)
            measure.remove(clone.path)
            peer = peers.OstreeMachine(
                self.work / "peer", f"{server.url}/{self.ostree.name}"
            )
            peer.pull(self.commits[0])
            server.taken()
            peer.pull(self.commits[1])
            self.samples.add("ostree bytes", server.taken())
            measure.remove(peer.path)

    def grow(self):
        """Twice the files, and many updates."""
        say("the same update on twice the files")
        growth.measure_twice(
            self.pair, self.work / "twice", self.key, self.samples, self.rounds
        )
        say(f"{UPDATES} updates")
        (state, deployments), seconds = growth.many_updates(
            self.pair,
            self.ours,
            self.machine,
            self.work / "many",
            self.key,
            UPDATES - 1,
        )
        self.samples.add("many, beside", 100 * state / deployments)
        self.samples.add("update of 100 files", seconds)


def rows(samples, largest):
    """The table of DESIGN section 12, and what explains it."""

    def row(what, name, unit="s", peer=None, limit=None, budget=""):
        beside = None
        if peer:
            program = peer.partition(" ")[0]
            beside = (program, samples.median(peer), samples.least(peer))
        if limit is None and budget.startswith("<= ") and budget.endswith(" x"):
            limit = float(budget.split()[1]) * samples.median(peer)
        return table.Row(
            what,
            unit,
            samples.median(name),
            samples.least(name),
            beside,
            limit,
            budget,
        )

    memory = 1.5 * largest + 80e6
    allowed = f"<= {memory / 1e6:.0f} MB"
    found = [
        row(
            "bytes fetched for the update", "bytes", "MB", "git bytes", 79e6, "<= 79 MB"
        ),
        row("", "bytes", "MB", "ostree bytes"),
        row(
            "update: fetch, verify, stage",
            "update",
            "s",
            "ostree update",
            budget="<= 1.0 x",
        ),
        row("", "update", "s", "git update"),
        row(
            "update: stage alone",
            "update, stage",
            "s",
            "ostree update, stage",
            3,
            "<= 3 s",
        ),
        row(
            "first release: stage alone",
            "full, stage",
            "s",
            "git full, stage",
            5,
            "<= 5 s",
        ),
        row("", "full, stage", "s", "ostree full, stage"),
        row("first release: fetch, verify, stage", "full", "s", "ostree full"),
    ]
    for step in ("first", "next", "again"):
        name = f"publish, {step}"
        found.append(
            row(name, f"publish {step}", "s", f"git publish {step}", budget="<= 1.0 x")
        )
        if f"ostree publish {step}" in samples:
            found.append(row("", f"publish {step}", "s", f"ostree publish {step}"))
    found += [
        row("status", "status", limit=0.15, budget="<= 0.15 s"),
        row("check, nothing new", "check", limit=0.4, budget="<= 0.4 s"),
        row("diff, summary", "diff", limit=0.5, budget="<= 0.5 s"),
        row(
            "memory of apply, first release", "full memory", "MB", None, memory, allowed
        ),
        row("memory of apply, update", "update memory", "MB", None, memory, allowed),
        row("memory of publish", "publish memory", "MB"),
        row("disk beside, 1 release", "full, beside", "%", None, 2, "<= 2 %"),
        row("disk beside, 2 releases", "update, beside", "%", None, 2, "<= 2 %"),
        row(f"disk beside, {UPDATES} updates", "many, beside", "%", None, 2, "<= 2 %"),
        row(
            "update, twice the files",
            "update twice",
            "s",
            "update",
            budget="<= 1.1 x",
        ),
        row(
            "update, twice the files: stage alone",
            "update twice, stage",
            "s",
            "update, stage",
            budget="<= 1.1 x",
        ),
        row("update over HTTP", "update over HTTP", "s", "git fetch over HTTP"),
        row("update of 100 files", "update of 100 files"),
    ]
    return found


def say(text):
    """What is done now."""
    print(f"# {text}", file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(prog="bench", description=__doc__.split("\n\n")[0])
    parser.add_argument("--pair", help="directory of two root filesystems")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    args = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("bench needs root: owners, capabilities")
    found = pair.find(args.pair)
    print(
        f"{found.old.name} and {found.new.name}: {found.files:,} files, "
        f"{found.size / 1e9:.2f} GB, {found.changed:,} changed; largest "
        f"{found.largest / 1e6:.0f} MB; {peers.versions()}; {os.cpu_count()} processors"
    )
    bench = Bench(found, rounds=1 if args.quick else 3)
    for part in (bench.publish, bench.stage, bench.ask, bench.transfer, bench.grow):
        part()
    print("\n".join(table.render(rows(bench.samples, found.largest))))
    ours.forget(bench.ours)
    measure.remove(bench.work)


if __name__ == "__main__":
    main()
