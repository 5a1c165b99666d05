"""Snapshots of small releases, without a repository."""

from support.factory import Symlink

from updater.core import tree
from updater.model import GitMode, TreeEntry
from updater.report import snapshot

DAY = 86400
CREATED = 1_778_889_600  # 2026-05-16 00:00:00 UTC, by date(1)


class Blobs(dict):
    """oid -> content, and which of them were read."""

    def __init__(self):
        super().__init__()
        self.reads = []

    def read(self, oid):
        self.reads.append(oid)
        return self[oid]


def take(files, metadata=None, *, name="", version="1", commit="a" * 40, **kw):
    """A snapshot of `files`: path -> text or bytes, (content, mode), or Symlink.

    Keywords: created, blobs (a `Blobs` to fill and read), and instead of the true ones:
    sizes (of blobs), read (gives a blob).
    """
    blobs = kw.get("blobs", Blobs())
    entries = []
    for path, given in files.items():
        content, mode = given, GitMode.FILE
        if isinstance(given, Symlink):
            content, mode = given.target, GitMode.SYMLINK
        elif isinstance(given, tuple):
            content, permissions = given
            mode = GitMode.EXECUTABLE if permissions & 0o100 else GitMode.FILE
        data = content.encode() if isinstance(content, str) else content
        oid = tree.object_id("blob", data, "sha1").hex()
        blobs[oid] = data
        raw = path.encode() if isinstance(path, str) else path
        entries.append(TreeEntry(raw, mode, oid))
    sizes = {oid: len(data) for oid, data in blobs.items()}
    return snapshot.take(
        name,
        version,
        commit,
        kw.get("created", CREATED),
        sorted(entries, key=lambda entry: entry.path),
        metadata or {},
        kw.get("read", blobs.read),
        kw.get("sizes", sizes),
    )


def stanza(name, version, **kw):
    """A package of /var/lib/dpkg/status. Keywords: source, arch, kib, status."""
    source = f"Source: {kw['source']}\n" if "source" in kw else ""
    size = f"Installed-Size: {kw['kib']}\n" if "kib" in kw else ""
    return (
        f"Package: {name}\nStatus: {kw.get('status', 'install ok installed')}\n"
        f"Architecture: {kw.get('arch', 'amd64')}\n{source}{size}"
        f"Version: {version}\nDescription: a package\n more of it\n"
    )


def dpkg(*stanzas):
    return {"var/lib/dpkg/status": "\n".join(stanzas)}
