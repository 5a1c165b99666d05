"""A fake agent that answers what a test puts into it, and records what it was asked."""

from msgspec.structs import replace

from updater.model import (
    Accepted,
    DeploymentId,
    Entry,
    Mark,
    ObjectId,
    Offer,
    Record,
    Rollout,
    Signer,
    State,
    Status,
    TrustMode,
)

NOW = 1778940131  # 2026-05-16 14:02:11 UTC, by date(1)
OLD = ObjectId("91c0f3d" + "0" * 33)
NEW = ObjectId("4be1a90" + "0" * 33)


def record(version="2026.04.2", commit=OLD, number=41, **kw):
    values = {
        "id": DeploymentId(f"{number}-{commit[:7]}.1"),
        "commit": commit,
        "version": version,
        "number": number,
        "tag": None,
        "created": NOW - 172800,
        "staged_at": NOW - 86400,
        "size": 1103456789,
        "headline": "systemd 252.22, CA certificates",
        "signed": True,
    }
    return Record(**{**values, **kw})


def offer(version="2026.05.1", commit=NEW):
    return Offer(
        url="https://os.example.org/acme.git",
        channel="stable",
        ref="refs/tags/release/2026.05.1",
        commit=commit,
        version=version,
    )


def accepted(**kw):
    """What a channel said: everything that it can."""
    entry = Entry(
        channel="stable",
        product="acme-gw",
        number=17,
        created=NOW - 3600,
        expires=NOW + 86400,
        release="2026.05.1",
        tag=NEW,
        rollout=Rollout(NOW - 3600, 24, 0.5),
        barriers=(Mark(30, "new partition table"),),
        dead_ends=(Mark(12, "reinstall"),),
        withdrawn=(Mark(43, "eats disks"),),
    )
    signers = (Signer("channel", "SHA256:x (c@hq)", NOW), Signer("release", "SHA256:y"))
    url = "https://os.example.org/acme.git"
    return Accepted(url, "stable", OLD, replace(entry, **kw), 42, NOW - 60, signers)


def status(state=None, **kw):
    running = kw.pop("running", record())
    values = {
        "state": state or State(),
        "booted": running.id if running else None,
        "running": running,
        "target": None,
        "previous": None,
        "kept": (),
        "channel": "stable",
        "url": "https://os.example.org/acme.git",
        "mode": TrustMode.TAG,
        "unprivileged": False,
        "enter_command": None,
        "now": NOW,
    }
    return Status(**{**values, **kw})


class FakeAgent:
    """Answers by the verb's name; an answer that is an exception is raised.

    A callable gets the watcher and the arguments.
    """

    def __init__(self):
        self.answers = {}
        self.asked = []
        self.made = []

    def __call__(self, settings, root, watcher, *, offline, doubts):
        self.doubts = doubts
        self.made.append((settings, root))
        self.offline = offline
        self.watcher = watcher
        return self

    def __getattr__(self, verb):
        def answer(*args, **kw):
            self.asked.append((verb, args, kw))
            value = self.answers[verb]
            if isinstance(value, BaseException):
                raise value
            return value(self.watcher, *args, **kw) if callable(value) else value

        return answer
