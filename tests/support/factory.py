"""Small root filesystems, keys, and signed releases, made fast.

`make_rootfs(path, {"etc/motd": "hello\\n", "usr/bin/sh": ("#!", 0o755),
"bin": Symlink("usr/bin"), "srv": None})` makes files, a file with a mode, a symlink
and an empty directory. Keys of the mapping may be bytes.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from updater.publish.release import publish
from updater.publish.request import PublishRequest

PRODUCT = "acme-gw"
ARCH = "amd64"
CREATED = 1_770_000_000


class Symlink(NamedTuple):
    target: str | bytes


def make_rootfs(path, files):
    """A directory with these files; existing ones are replaced. Returns its Path."""
    root = Path(path)
    root.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        full = os.path.join(os.fsencode(root), os.fsencode(name))
        os.makedirs(os.path.dirname(full), exist_ok=True)
        if content is None:
            os.makedirs(full, exist_ok=True)
            continue
        if os.path.lexists(full):
            os.unlink(full)
        if isinstance(content, Symlink):
            os.symlink(os.fsencode(content.target), full)
            continue
        data, mode = content if isinstance(content, tuple) else (content, 0o644)
        with open(full, "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
        os.chmod(full, mode)
    return root


def make_key(directory, name="release", role="release"):
    """A new ed25519 key: (path of the private key, its allowed-signers line)."""
    private = Path(directory) / f"{name}.key"
    private.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", private],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    kind, blob = Path(f"{private}.pub").read_text().split()[:2]
    return str(private), f'{role} namespaces="git" {kind} {blob}\n'


def publish_release(repo, rootfs, version, key, **kw):
    """Publish `rootfs` into the bare repository `repo` (made when missing).

    Keywords are those of `PublishRequest`, `created` growing with the number by
    default. `key=None` publishes unsigned. Returns the commit id.
    """
    return publish_to(repo, rootfs, version, key, **kw).commit


def publish_to(repo, rootfs, version, key, **kw):
    """As `publish_release`; returns the whole outcome."""
    given = {
        "rootfs": str(rootfs),
        "repo": str(repo),
        "product": PRODUCT,
        "version": version,
        "arch": ARCH,
        "cache": f"{repo}.cache".removeprefix("file://"),
        "created": CREATED + 86400 * (kw.get("number") or _releases(repo) + 1),
        "machine": ARCH,
        "key": str(key) if key else None,
        "unsigned": key is None,
        "notes": f"{PRODUCT} {version}, made for a test\n",
    }
    stdin = kw.pop("stdin", None)
    return publish(PublishRequest(**given | kw), stdin=stdin)


def _releases(repo):
    return len(list((Path(repo) / "refs/tags/release").glob("*")))


def sign(payload, key, namespace="git"):
    """The armored SSH signature of `payload`."""
    done = subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", key],
        input=payload,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return done.stdout


def sys_path():
    """Where a child process finds the package and this one's libraries."""
    return [path for path in sys.path if path]
