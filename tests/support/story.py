"""Three small signed releases, and machines that follow them."""

import shutil
from types import SimpleNamespace

from support.factory import Symlink, make_key, make_rootfs, publish_release
from support.machine import Machine

FIRST = {
    "bin": Symlink("usr/bin"),
    "etc/motd": "hello\n",
    "etc/ssh/sshd_config": "Port 22\n",
    "srv": None,
    "usr/bin/hello": ("#!/bin/sh\necho 1\n", 0o755),
    "usr/bin/su": ("su", 0o4755),
    "usr/lib/libc.so": "c" * 30_000,
    "usr/lib/libm.so": "m" * 20_000,
    "usr/lib/libm.so.6": Symlink("libm.so"),
    "usr/share/words": "".join(f"word {n}\n" for n in range(2000)),
    "usr/share/empty": "",
    "var/lib/seed": "seed\n",
}
SECOND = {
    "etc/motd": "hello again\n",
    "usr/bin/hello": ("#!/bin/sh\necho 2\n", 0o755),
    "usr/share/words": "".join(f"word {n}\n" for n in range(2001)),
    "usr/share/doc/new": "new\n",
}
THIRD = {"usr/bin/hello": ("#!/bin/sh\necho 3\n", 0o755), "usr/lib/libz.so": "z" * 900}
GONE = ("usr/share/empty",)  # in the second release


def tell(directory):
    """Publish 1.0, 1.1 and 1.2; gives repo, key, signers, and a copy of each rootfs."""
    key, signers = make_key(directory)
    repo = directory / "repo.git"
    rootfs = directory / "rootfs"
    trees, commits = {}, {}
    for version, files in (("1.0", FIRST), ("1.1", SECOND), ("1.2", THIRD)):
        make_rootfs(rootfs, files)
        if version == "1.1":
            for name in GONE:
                (rootfs / name).unlink()
        commits[version] = publish_release(repo, rootfs, version, key)
        trees[version] = directory / version
        shutil.copytree(rootfs, trees[version], symlinks=True)
    return SimpleNamespace(
        repo=repo, key=key, signers=signers, trees=trees, commits=commits
    )


def machine_of(story, root, **tables):
    """A machine with nothing on it yet, that trusts the story's key."""
    return Machine(root, story.repo, signers=story.signers, **tables)
