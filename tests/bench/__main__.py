"""`python -m bench`: the budgets, measured on this machine, beside git and ostree.

Runs of osupdate and of its peers alternate, each a whole process that begins with an
idle disk. The table shows medians, and in brackets the smallest. Nothing is decided by
the exit code; it is 1 only when a command fails.
"""

import argparse
import os
import sys

from bench import (
    budgets,
    channels,
    growth,
    measure,
    ours,
    pair,
    peers,
    releases,
    table,
)
from bench.served import Served

WORK = pair.ROOT / ".cache" / "bench"
UPDATES = 20


class Bench:
    """One run: where it works, on what, and what it found so far.

    The repositories stay on a filesystem of their own; each round of the machines
    begins on an empty one.
    """

    def __init__(self, found, rounds, published):
        self.pair = found
        self.rounds = rounds
        self.published = published
        self.key = ours.new_key(published)
        self.samples = measure.Samples()
        self.publishes = max(1, rounds - 1)
        self.ours = published / "0.git"
        self.ostree = published / "ostree"
        self.commits = []

    def publish(self):
        """The first release, the next one, and the next one again."""
        for number in range(self.publishes):
            say(f"publish: round {number + 1}")
            self._publish_both(
                self.published / f"{number}.git",
                peers.GitPublisher(self.published / f"{number}.peer.git"),
            )
        say("publish: ostree, once")
        archive = peers.OstreePublisher(self.ostree)
        for step, version, tree in self._steps()[:2]:
            self.samples.add(f"ostree publish {step}", archive.publish(tree, version))
        self.commits = archive.commits()

    def _publish_both(self, repository, git):
        add = self.samples.add
        ours.forget(repository)
        for step, version, tree in self._steps():
            done = ours.publish(tree, repository, version, self.key)
            add(f"publish {step}", done.seconds)
            add("publish memory", done.memory)
            add(
                f"git publish {step}",
                git.add(tree) if step == "again" else git.publish(tree, version),
            )

    def _steps(self):
        """A name, a version and a tree each; the last one publishes nothing."""
        old, new = self.pair.old, self.pair.new
        return [("first", "1", old), ("next", "2", new), ("again", "3", new)]

    def machines(self):
        """The first release on an empty machine, then the update; then questions."""
        for number in range(self.rounds):
            say(f"the first release, then the update: round {number + 1}")
            with measure.filesystem(WORK / "round") as place:
                machine = self._stage_ours(place)
                self._stage_git(place)
                self._stage_ostree(place)
                self._ask(machine)

    def _stage_ours(self, place):
        add = self.samples.add
        machine = ours.Machine(place / "machine", f"file://{self.ours}", self.key)
        for name, version in (("full", "1"), ("update", "2")):
            done, stages, _ = machine.apply(version)
            add(name, done.seconds)
            add(f"{name} cpu", done.cpu)
            add(f"{name} memory", done.memory)
            for stage, seconds in stages.items():
                add(f"{name}, {stage}", seconds)
            state, deployments = machine.beside()
            add(f"{name}, beside", 100 * state / deployments)
            self._bound(name, machine.newest, place)
        return machine

    def _bound(self, name, deployment, place):
        """What the disk needs for the bytes that were written, and no less."""
        copy = place / "copy"
        done = peers.copied(deployment, copy, own_only=name == "update")
        self.samples.add(f"cp {name}, synced", done.seconds + measure.settle())
        measure.remove(copy)

    def _stage_git(self, place):
        clone = peers.GitClone(place / "clone", f"file://{self.ours}")
        clone.begin_with("1")
        self._laid("git full", clone.lay_out("1"))
        clone.get("2")
        self._laid("git update", clone.update("2"))

    def _laid(self, name, done):
        """Add the seconds of laying out: alone, and with the wait for the disk."""
        self.samples.add(f"{name}, stage", done.seconds)
        self.samples.add(f"{name}, synced", done.seconds + measure.settle())

    def _stage_ostree(self, place):
        machine = peers.OstreeMachine(place / "peer", f"file://{self.ostree}")
        add = self.samples.add
        old, new = self.commits
        for name, commit in (("full", old), ("update", new)):
            pulled, laid = machine.pull(commit), machine.checkout(commit, name)
            add(f"ostree {name}", pulled.seconds + laid.seconds)
            add(f"ostree {name} cpu", pulled.cpu + laid.cpu)
        self._laid("ostree full", machine.checkout(old, "copy", "-C"))

    def _ask(self, machine):
        """What people type often, on the machine that runs the update."""
        for name in ("status", "check", "diff") * 3:
            done = machine.run(name)
            self.samples.add(name, done.seconds)
            self.samples.add(f"{name} memory", done.memory)
        for _ in range(3):
            self.samples.add("blame", machine.run("blame", "/usr/bin/env").seconds)

    def history(self):
        """Questions over many releases."""
        say(f"questions over {releases.COUNT} releases")
        with measure.filesystem(WORK / "round") as place:
            releases.measure_questions(place, self.key, self.samples)

    def transfer(self):
        """Bytes of the update over HTTP: `git http-backend`, and files of ostree."""
        say("the update over HTTP")
        local = f"file://{self.ours}"
        with (
            measure.filesystem(WORK / "round") as place,
            Served(self.published) as server,
        ):
            served = f"{server.url}/{self.ours.name}"
            machine = ours.Machine(place / "machine", local, self.key)
            machine.apply("1")
            machine.follow(served)
            server.taken()
            done, _, _ = machine.apply("2")
            self.samples.add("bytes", server.taken())
            self.samples.add("update over HTTP", done.seconds)

            clone = peers.GitClone(place / "clone", local)
            clone.begin_with("1")
            server.taken()
            fetched = clone.fetch("2", url=served)
            self.samples.add("git bytes", server.taken())
            self.samples.add("git fetch over HTTP", fetched.seconds)

            peer = peers.OstreeMachine(place / "peer", f"file://{self.ostree}")
            peer.pull(self.commits[0])
            peer.follow(f"{server.url}/{self.ostree.name}")
            server.taken()
            peer.pull(self.commits[1])
            self.samples.add("ostree bytes", server.taken())

    def channel(self):
        """Checks of a channel with a long log, in a repository of its own."""
        say(f"a channel of {channels.ENTRIES:,} entries")
        with measure.filesystem(WORK / "round") as place:
            channels.measure_checks(
                self.published, self.ours, self.key, place, self.samples
            )

    def grow(self):
        """The same update on twice the files; then many updates."""
        say("the same update on twice the files")
        with measure.filesystem(WORK / "round") as place:
            growth.measure_twice(self.pair, place, self.key, self.samples)
        say(f"{UPDATES} updates")
        with measure.filesystem(WORK / "round") as place:
            state, deployments = growth.many_updates(
                self.pair, self.ours, place, self.key, UPDATES, self.samples
            )
        self.samples.add("many, beside", 100 * state / deployments)


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
    WORK.mkdir(parents=True, exist_ok=True)
    with measure.filesystem(WORK / "published") as published:
        bench = Bench(found, 1 if args.quick else 3, published)
        for part in (
            bench.publish,
            bench.machines,
            bench.transfer,
            bench.channel,
            bench.grow,
            bench.history,
        ):
            part()
        for number in range(bench.publishes):
            ours.forget(published / f"{number}.git")
    print("\n".join(table.render(budgets.rows(bench.samples, found.largest))))


if __name__ == "__main__":
    main()
