"""Questions over many releases: a repository made for it, a machine that has it all.

The releases are small trees with package lists of a real size, written by `git
fast-import`; each changes the version of one package.
"""

import json
import subprocess

from bench import measure, ours

COUNT = 300  # releases
PACKAGES = 350
BEGAN = 1_700_000_000
_TOML = """format = 1
product = "bench"
arch = "amd64"
version = "1.{0}"
number = {0}
security_floor = 0
bootable = false
created = "2026-05-16T14:02:11Z"
previous = ""
source = ""
"""


def make(repository):
    """A bare repository of `COUNT` releases."""
    measure.run("git", "init", "-q", "--bare", "-b", "releases", repository)
    versions = [1] * PACKAGES
    stream = b""
    for number in range(1, COUNT + 1):
        versions[number % PACKAGES] = number
        stream += _commit(number, versions)
    subprocess.run(
        ["git", "-C", str(repository), "fast-import", "--quiet"],
        input=stream,
        check=True,
    )


def _commit(number, versions):
    own = "usr/lib/osupdate"
    rows = [
        json.dumps(
            {
                "name": f"package{place}",
                "version": f"{version}.0-1+deb12u{version}",
                "source": f"source{place}",
                "arch": "amd64",
                "size": 1000,
                "family": "dpkg",
            }
        )
        for place, version in enumerate(versions)
    ]
    files = {
        f"{own}/manifest": "osupdate-manifest 1\n",
        f"{own}/notes.md": f"What release {number} changed\n",
        f"{own}/release.toml": _TOML.format(number),
        f"{own}/packages.json": "[\n" + ",\n".join(rows) + "\n]\n",
        f"usr/share/files/{number % 20}": f"{number}\n",
        "etc/motd": f"{number // 50}\n",
    }
    who = f"bench <bench@example.org> {BEGAN + number} +0000"
    parts = [f"commit refs/heads/releases\ncommitter {who}\n".encode()]
    parts.append(_data(f"What release {number} changed\n"))
    for path, content in files.items():
        parts.append(f"M 100644 inline {path}\n".encode() + _data(content))
    return b"".join(parts)


def _data(text):
    return f"data {len(text)}\n{text}\n".encode()


def measure_questions(place, key, samples):
    """`when` and `log -- PATH`, on a machine with the history and in the repository."""
    repository = place / "many.git"
    make(repository)
    machine = ours.Machine(place / "machine", f"file://{repository}", key)
    machine.follow(f"file://{repository}", mode="unsigned", history="full")
    machine.apply()
    last = f"package{COUNT % PACKAGES}"
    for _ in range(3):
        done = machine.run("when", f"{last} >= {COUNT}.0")
        samples.add("when", done.seconds)
        done = machine.run("when", "--repo", repository, f"{last} >= {COUNT}.0")
        samples.add("when in a repository", done.seconds)
        done = machine.run("log", "--", "/etc/motd")
        samples.add("log of a path", done.seconds)
