"""A publisher that can lie: channel and trust branches made of raw objects.

`World` is a repository of raw objects behind a real git server, the keys of every
role, and a machine in signed mode that asks it; a test changes what is true by default.
"""

import hashlib
import json
import time

from support import evil, keys
from support.machine import Machine

from updater.core import changes
from updater.core import files as lists
from updater.core.tree import build, object_id
from updater.model import GitMode, TreeEntry

PRODUCT = "acme-gw"
DAY = 86400
WHO = "acme-gw <releases@acme-gw.invalid>"
NAMESPACES = {"root": "osupdate-trust", "release": "git", "channel": "git"}
MACHINE_ID = "0123456789abcdef0123456789abcdef"


def stamp(at):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def toml(values):
    """TOML of plain values, tables and lists of tables."""
    lines = [f"{k} = {json.dumps(v)}" for k, v in values.items() if _plain(v)]
    for name, value in values.items():
        if isinstance(value, dict):
            lines += ["", f"[{name}]"]
            lines += [f"{k} = {json.dumps(v)}" for k, v in value.items()]
        elif isinstance(value, list):
            for item in value:
                lines += ["", f"[[{name}]]"]
                lines += [f"{k} = {json.dumps(v)}" for k, v in item.items()]
    return ("\n".join(lines) + "\n").encode()


def _plain(value):
    return not isinstance(value, dict | list)


def signed_commit(payload, key, namespace="git", tail=b""):
    """A raw commit with the header that `git commit -S` writes."""
    armor = keys.sign(payload, key, namespace) + tail
    head, gap, message = payload.partition(b"\n\n")
    lines = armor.rstrip(b"\n").split(b"\n")
    return head + b"\ngpgsig " + b"\n ".join(lines) + gap + message


def make_ring(directory):
    """Keys by name, made once: ssh-keygen takes its time."""
    names = ("root1", "root2", "root3", "release", "channel", "other")
    return {name: keys.make_key(directory, name) for name in names}


class Release:
    """A release as raw objects: `raw` is its tag, `told` the files of an entry."""

    def __init__(self, world, version, number, **tag):
        self.version, self.number = version, number
        product = tag.pop("toml_product", tag.get("Product", PRODUCT))
        own = evil.RELEASE_TOML.replace("2026.05.1", version)
        own = own.replace("number = 42", f"number = {number}")
        own = own.replace(
            "security_floor = 40", f"security_floor = {tag.get('floor', 0)}"
        )
        own = own.replace('"acme-gw"', f'"{product}"').encode()
        repository = world.repository
        content = repository.blob(f"This is {version}.\n".encode())
        made = evil.release(
            repository, release_toml=own, extra=[("100644", "version", content)]
        )
        self.commit = repository.commit(made.tree, message=f"{version}\n")
        fields = {
            "Files": str(made.files),
            "Bytes": str(made.size + len(f"This is {version}.\n")),
            "Version": version,
            "Tree-SHA256": _sha256(own, f"This is {version}.\n".encode()),
            "Number": str(number),
            "Security-Floor": str(tag.pop("floor", 0)),
        }
        key = tag.pop("key", world.ring["release"])
        namespace = tag.pop("namespace", "git")
        fields["headline"] = f"{product} {version}"
        payload = keys.tag_payload(commit=self.commit, **fields | tag)
        self.raw = payload + keys.sign(payload, key, namespace)
        self.tag = repository.add("tag", self.raw)
        self.listed = _listed(repository, content, own)
        self.told = {
            "manifest": evil.MANIFEST,
            "release.toml": own,
            "files": self.listed,
            "changes.json": changes.write(changes.Changes(since=number)),
        }


def _sha256(own, content):
    """The id of the tree in a SHA-256 repository."""
    files = {
        b"etc/motd": b"Welcome.\n",
        b"usr/lib/osupdate/manifest": evil.MANIFEST,
        b"usr/lib/osupdate/release.toml": own,
        b"version": content,
    }
    rows = [
        (path, GitMode.FILE, object_id("blob", data, "sha256"))
        for path, data in files.items()
    ]
    return build(rows, "sha256")[0].hex()


def _listed(repository, content, own):
    ids = {
        "etc/motd": repository.blob(b"Welcome.\n"),
        "usr/lib/osupdate/manifest": repository.blob(evil.MANIFEST),
        "usr/lib/osupdate/release.toml": repository.blob(own),
        "version": content,
    }
    entries = [TreeEntry(p.encode(), GitMode.FILE, oid) for p, oid in ids.items()]
    return lists.write(entries, lambda _: None)


class World:
    """Everything that a test of a signed channel needs."""

    def __init__(self, path, ring, base):
        self.ring = ring
        self.repository = evil.Repository(path / "served/os.git")
        self.url = f"{base}/os.git"
        self.log = []
        self.now = int(time.time()) - 100
        self.machine = Machine(path / "machine", "unused")
        self.machine.configure(
            remote={"url": self.url, "channel": "stable"},
            trust={"mode": "signed", "product": PRODUCT},
            update={"clock": "trust"},
        )
        (self.machine.root / "etc/machine-id").write_text(MACHINE_ID)
        self.shipped = self.machine.root / "usr/share/osupdate/trust"
        self.shipped.mkdir(parents=True)
        self.ship()

    def ship(self, roles=("root", "release", "channel")):
        """Trust files as they come with the OS, without a version."""
        for role in roles:
            key = {"root": "root1"}.get(role, role)
            (self.shipped / role).write_text(self.line(role, key))

    def line(self, role, name, options=""):
        given = f'namespaces="{NAMESPACES[role]}"{options}'
        return keys.allowed_signers_line(self.ring[name], role, given)

    def release(self, version, number, **tag):
        made = Release(self, version, number, **tag)
        self.repository.ref(f"refs/tags/release/{version}", made.tag)
        self.repository.ref("refs/heads/releases", made.commit)
        return made

    def entry(self, release, /, *, key=None, parents=None, told=None, **changed):
        """Append an entry that offers a release; keywords change its channel.toml.

        `told` changes files (None leaves one out), `key` signs in place of the
        channel's ("" does not), `parents` are others than the tip, `raw` is
        channel.toml itself, `transform` changes the signed commit.
        """
        values = {
            "format": 1,
            "channel": "stable",
            "product": PRODUCT,
            "number": len(self.log) + 1,
            "created": stamp(self.now),
            "expires": stamp(max(self.now, 1_790_000_000) + 30 * DAY),
            "release": release.version,
            "tag": release.tag,
            "rollout": {"start": stamp(self.now), "hours": 0, "limit": 1.0},
        }
        raw = changed.pop("raw", None)
        transform = changed.pop("transform", lambda commit: commit)
        namespace = changed.pop("namespace", "git")
        values |= changed
        content = {"channel.toml": raw or toml(values), "release.tag": release.raw}
        content |= release.told | (told or {})
        tree = self._tree({n: d for n, d in content.items() if d is not None})
        if parents is None:
            parents = self.log[-1:]
        lines = [f"tree {tree}", *(f"parent {oid}" for oid in parents)]
        lines += [f"author {WHO} {self.now} +0000", f"committer {WHO} {self.now} +0000"]
        payload = ("\n".join([*lines, "", "an entry"]) + "\n").encode()
        commit = payload
        if key != "":
            commit = signed_commit(payload, key or self.ring["channel"], namespace)
        oid = self.repository.add("commit", transform(commit))
        self.log.append(oid)
        self.point(oid)
        return oid

    def _tree(self, content):
        rows, below = [], {}
        for name, data in content.items():
            oid = self.repository.blob(data)
            if name.startswith("tags/"):
                below[name.removeprefix("tags/")] = oid
            else:
                rows.append(("100644", name, oid))
        if below:
            inner = [("100644", name, oid) for name, oid in sorted(below.items())]
            rows.append(("40000", "tags", self.repository.tree(*inner)))
        order = sorted(rows, key=lambda r: r[1] + ("/" if r[0] == "40000" else ""))
        return self.repository.tree(*order)

    def point(self, oid, branch="channel/stable"):
        self.repository.ref(f"refs/heads/{branch}", oid)

    def trust(self, version, signers, *, parents=None, threshold=1, **changed):
        """Append a version to the branch trust.

        `signers` are names of keys (`name:namespace`), `files` contents beside the
        statement, `tamper` changes what was signed; other keywords its values.
        """
        content = {
            "root": self.line("root", "root1"),
            "release": self.line("release", "release"),
            "channel": self.line("channel", "channel"),
            "revoked": "",
        } | changed.pop("files", {})
        digests = {
            name: hashlib.sha256(text.encode()).hexdigest()
            for name, text in content.items()
        }
        values = {
            "format": 1,
            "version": version,
            "created": stamp(self.now),
            "threshold": threshold,
            "files": digests,
        }
        tamper = changed.pop("tamper", bytes)
        statement = toml(values | changed)
        for number, name in enumerate(signers, 1):
            key, _, namespace = name.partition(":")
            armor = keys.sign(statement, self.ring[key], namespace or "osupdate-trust")
            content[f"trust.{number}.sig"] = armor.decode()
        content["trust.toml"] = tamper(statement).decode()
        rows = [
            ("100644", name, self.repository.blob(text.encode()))
            for name, text in sorted(content.items())
        ]
        tips = self.__dict__.setdefault("trusted", [])
        parents = tips[-1:] if parents is None else parents
        oid = self.repository.commit(self.repository.tree(*rows), parents=parents)
        tips.append(oid)
        self.point(oid, "trust")
        return oid

    # --- what the machine makes of it

    def check(self, code=0):
        return self.machine.run("check", code=code)

    @property
    def accepted(self):
        return self.machine.state["accepted"]

    def remembered(self):
        """What may not change when something is refused."""
        path = self.machine.state_dir / "state.json"
        state = json.loads(path.read_text()) if path.exists() else {}
        for key in ("last_check", "format", "phase", "linked"):
            state.pop(key, None)
        return {
            "state": {key: value for key, value in state.items() if value},
            "ledger": _read(self.machine.state_dir / "ledger.jsonl"),
            "objects": _content(self.machine.state_dir),
            "deployed": _content(self.machine.root / "osupdate"),
        }

    def refused(self, check, *said, verb=("check",)):
        """Ask, and hold the refusal to its name, and to have changed nothing."""
        before = self.remembered()
        done = self.machine.run(*verb, code=3)
        assert f"(check {check})" in done.err, done.err
        for text in said:
            assert text in done.err, done.err
        assert "Nothing was changed." in done.err
        assert self.remembered() == before
        assert not list((self.machine.state_dir / "incoming").iterdir())
        error = self.machine.run("status", "--json").json["last_check"]["error"]
        assert f"(check {check})" in error
        return done


def tag_id(raw):
    return object_id("tag", raw, "sha1").hex()


def _read(path):
    return path.read_bytes() if path.exists() else b""


def _content(top):
    """Files below a directory that an outsider could have brought there."""
    wanted = ("objects.git/objects", "channels.git/objects", "trust", "deployments")
    return {
        str(path.relative_to(top)): path.read_bytes()
        for path in sorted(top.rglob("*"))
        if path.is_file() and str(path.relative_to(top)).startswith(wanted)
    }
