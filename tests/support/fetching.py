"""Checks and fetches as the agent does them, with short patience."""

import os

from support.remote import git, snapshot

from updater.model import RemoteSettings, TrustMode
from updater.steps.check import check
from updater.steps.fetch import fetch
from updater.system.git.child import FetchLimits, ObjectSources


class Client:
    """A machine's side: `waits` holds the seconds slept, `said` the announcements."""

    def __init__(self, directory, url, **remote):
        self.incoming = directory / "incoming"
        self.remote = RemoteSettings(url=url, deadline=60, **remote)
        self.limits = FetchLimits()
        self.waits, self.said, self.progress = [], [], []

    def check(self, wanted=None, mode=TrustMode.UNSIGNED, allow_plain=True):
        return check(
            self.remote,
            mode,
            wanted,
            allow_plain=allow_plain,
            limits=self.limits,
            sleep=self.waits.append,
        )

    def fetch(self, offer, sources=None, allow_plain=True):
        return fetch(
            offer,
            self.remote,
            sources or ObjectSources(),
            str(self.incoming),
            self.limits,
            self.progress.append,
            allow_plain=allow_plain,
            announce=self.said.append,
            sleep=self.waits.append,
        )

    def leftovers(self):
        """What is below incoming/."""
        return snapshot(self.incoming) if self.incoming.exists() else {}


def ids(objects):
    """Every object id of a bare object database, by stock git."""
    found = set()
    for name in os.listdir(f"{objects}/pack"):
        if name.endswith(".idx"):
            listing = git("show-index", stdin=_bytes(f"{objects}/pack/{name}"))
            found |= {line.split()[1] for line in listing.splitlines()}
    return found


def _bytes(path):
    with open(path, "rb") as file:
        return file.read()


def content_ids(repository, commit):
    """The commit, and every tree and blob of it, by stock git."""
    listing = repository.git("ls-tree", "-r", "-t", "--format=%(objectname)", commit)
    return {commit, repository.git("rev-parse", f"{commit}^{{tree}}")} | set(
        listing.split()
    )


def homes(pid=None):
    """Private directories of children that were not cleaned up."""
    where = "/run" if os.access("/run", os.W_OK) else "/tmp"
    mine = f"osupdate-fetch-{pid or os.getpid()}-"
    return {name for name in os.listdir(where) if name.startswith(mine)}
