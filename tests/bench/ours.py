"""osupdate as a person runs it: whole processes, below a directory of its own."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from bench import measure

from updater.publish.place import cache_for

PUBLISHER_CACHE = "/var/cache/osupdate/publish"
COMMAND = (sys.executable, "-m", "updater")
HOST_KEYS = "/etc/ssh/ssh_host_*"


def new_key(directory):
    """A release key; the path of its private half."""
    key = Path(directory) / "release.key"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", str(key)],
        check=True,
    )
    return key


def publish(rootfs, repository, version, key):
    """One `osupdate publish`."""
    notes = Path(key).with_name("notes.md")
    notes.write_text("Debian, published for a measurement\n")
    return measure.run(
        *(*COMMAND, "--json", "publish", rootfs, "--repo", repository),
        *("--product", "bench", "--version", version, "--key", key, "--notes", notes),
        *("--exclude", HOST_KEYS),
    )


def forget(repository):
    """Delete a repository and what the publisher remembers of it."""
    shutil.rmtree(cache_for(PUBLISHER_CACHE, str(repository)), ignore_errors=True)
    measure.remove(repository)


class Machine:
    """A root directory that follows a repository."""

    def __init__(self, root, url, key):
        self.root = measure.fresh(root)
        self._trust = Path(f"{key}.pub").read_text().split()[:2]
        (self.root / "etc/osupdate/trust").mkdir(parents=True)
        trust = f'release namespaces="git" {" ".join(self._trust)}\n'
        (self.root / "etc/osupdate/trust/release").write_text(trust)
        self.follow(url)

    def follow(self, url, mode="tag", history="shallow"):
        """Take releases from this URL."""
        (self.root / "etc/osupdate/config.toml").write_text(
            f'[remote]\nurl = "{url}"\nchannel = "releases"\nhistory = "{history}"\n'
            f'[trust]\nmode = "{mode}"\nproduct = "bench"\n'
        )

    def run(self, *words):
        """One command."""
        return measure.run(*COMMAND, "--root", self.root, *words)

    def apply(self, *words):
        """`apply`: the run, the seconds of each stage by name, and bytes received."""
        done = self.run("--json", "--yes", "apply", *words)
        begun, seconds, received = {}, {}, None
        for event in map(json.loads, done.stdout.splitlines()):
            if event["event"] == "stage":
                begun[event["stage"]] = event["elapsed"]
            elif event["event"] == "done":
                name = event["stage"]
                seconds[name] = event["elapsed"] - begun[name]
            elif event["event"] == "preview":
                received = event["preview"]["received"]
        return done, seconds, received

    @property
    def newest(self):
        """The directory of the deployment that runs."""
        return (self.root / "osupdate/current").resolve()

    def beside(self):
        """Bytes on disk beside the deployments, and of the deployments."""
        state = measure.disk(self.root / "var/lib/osupdate")
        return state, measure.disk(self.root / "osupdate/deployments")
