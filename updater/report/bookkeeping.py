"""Paths that change only because something else does; nothing runs from them."""

from updater.model import (
    MANIFEST_PATH,
    NOTES_PATH,
    PACKAGES_PATH,
    RELEASE_TOML_PATH,
)
from updater.report.changelogs import CHANGES_PATH

PROVENANCE_PATH = b"usr/lib/osupdate/provenance.json"

_BELOW = (
    b"lib/apk/db/",
    b"usr/lib/apk/db/",
    b"usr/lib/sysimage/",
    b"var/cache/",
    b"var/lib/apt/",
    b"var/lib/dnf/",
    b"var/lib/dpkg/",
    b"var/lib/pacman/",
    b"var/lib/rpm/",
    b"var/lib/systemd/deb-systemd-",
    b"var/lib/ucf/",
    b"var/lib/yum/",
    b"var/log/",
)
"""Where package managers write down what they did."""

_FILES = {
    CHANGES_PATH,
    MANIFEST_PATH,
    NOTES_PATH,
    PACKAGES_PATH,
    PROVENANCE_PATH,
    RELEASE_TOML_PATH,
    b"etc/group-",
    b"etc/gshadow-",
    b"etc/ld.so.cache",
    b"etc/passwd-",
    b"etc/shadow-",
    b"etc/subgid-",
    b"etc/subuid-",
}


def is_bookkeeping(path: bytes) -> bool:
    """Whether a path changes only because something else does."""
    return path.startswith(_BELOW) or path in _FILES


def is_record(path: bytes) -> bool:
    """Whether it is a record of what was done, and no part of the system itself."""
    return is_bookkeeping(path) and not path.startswith(b"etc/")
