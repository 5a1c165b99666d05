"""A channel of many entries in a repository of its own, served over HTTP.

What counts is a check when one entry is new: the whole log is here but for that one.
"""

from pathlib import Path

from bench import measure, ours, peers
from bench.served import Served

from updater.core import channel, commits
from updater.core.tree import parse
from updater.model import GitMode
from updater.publish.place import HEADS, Place, write_tree
from updater.system import signing

ENTRIES = 1000


def promote(repository, logs, version, key, *more):
    """One `osupdate promote`."""
    return measure.run(
        *(*ours.COMMAND, "--json", "promote", *([version] if version else [])),
        *("--repo", repository, "--channels", logs, "--to", "stable", "--key", key),
        *more,
    )


def grow(logs, key, count):
    """Append entries that say the same again; the last one is signed."""
    place = Place(str(logs), f"{logs}.cache")
    branch = channel.branch("stable")
    tip = place.head(branch)
    repository = place.repository
    objects = repository.objects
    root, _ = repository.commit(tip)
    told = _files(objects, root)
    entry = channel.parse(told[channel.FILE])
    with place.writing() as pack:
        for number in range(entry.number + 1, count + 1):
            text = told[channel.FILE].replace(
                b"number = %d\n" % entry.number, b"number = %d\n" % number, 1
            )
            tree = write_tree(pack, told | {channel.FILE: text})
            who = f"bench <releases@bench.invalid> {entry.created} +0000"
            raw = (
                f"tree {tree}\nparent {tip}\nauthor {who}\ncommitter {who}\n\n"
                f"entry {number}\n"
            ).encode()
            if number == count:
                raw = commits.add_signature(raw, signing.sign(raw, str(key)))
            tip = pack.add("commit", raw)
    place.move(HEADS + branch, tip)
    peers.git("gc", "-q", cwd=logs)


def _files(objects, root, below=b""):
    found = {}
    for entry in parse(objects.read_tree(root))[0]:
        if entry.mode is GitMode.TREE:
            found |= _files(objects, entry.oid, below + entry.name + b"/")
        else:
            found[below + entry.name] = objects.read_blob(entry.oid)
    return found


class Machine(ours.Machine):
    """A machine in signed mode; the channels are apart from the releases."""

    def __init__(self, root, url, logs, key):
        super().__init__(root, url, key)
        public = " ".join(Path(f"{key}.pub").read_text().split()[:2])
        line = f'channel namespaces="git" {public}\n'
        (self.root / "etc/osupdate/trust/channel").write_text(line)
        (self.root / "etc/osupdate/config.toml").write_text(
            f'[remote]\nurl = "{url}"\nchannels = "{logs}"\nchannel = "stable"\n'
            '[trust]\nmode = "signed"\nproduct = "bench"\n'
        )


def measure_checks(published, repository, key, place, samples, rounds=3):
    """The first check of a long log, and checks of one new entry each."""
    logs = published / "channels.git"
    promote(repository, logs, "1", key)
    grow(logs, key, ENTRIES)
    with Served(published) as server:
        machine = Machine(
            place / "machine", f"{server.url}/{repository.name}",
            f"{server.url}/{logs.name}", key,
        )  # fmt: skip
        server.taken()
        samples.add("first check", machine.run("check").seconds)
        samples.add("first check bytes", server.taken())
        for _ in range(rounds):
            samples.add("signed check", machine.run("check").seconds)
            promote(repository, logs, None, key, "--refresh")
            server.taken()
            samples.add("check of an entry", machine.run("check").seconds)
            samples.add("check bytes", server.taken())
    ours.forget(logs)
