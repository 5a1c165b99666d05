"""Releases that are known, and git objects in a dictionary."""

import unicodedata

from updater.core import tree
from updater.core.chronicle import Known
from updater.model import GitMode

HOSTILE = "\x1b]0;pwned\x07\x1b[31mred\r\nnew\u202eevil\x00\x9b2J\ud800"
"""What a terminal would obey: OSC, both CSI, CR, bidi, NUL, a lone surrogate."""


def known(version, number, **kw):
    commit = f"{number:x}".rjust(2, "0") * 20
    values = {
        "commit": commit,
        "version": version,
        "number": number,
        "created": 1_770_000_000 + 86400 * number,
        "headline": f"What changed in {version}",
        "signed": True,
        "parent": f"{number - 1:x}".rjust(2, "0") * 20 if number > 1 else None,
    }
    if "base" not in kw:
        kw["base"] = kw.get("parent", values["parent"])
    return Known(**{**values, **kw})


class Store:
    """An object database that is a dictionary; gives what `read` of history wants."""

    def __init__(self):
        self.objects = {}

    def read(self, oid):
        return self.objects[oid]

    def add(self, kind, data):
        oid = tree.object_id(kind, data, "sha1").hex()
        self.objects[oid] = (kind, data)
        return oid

    def tree(self, files):
        """`files`: path -> content, or (content, GitMode)."""
        entries = []
        for path, value in files.items():
            data, mode = value if isinstance(value, tuple) else (value, GitMode.FILE)
            entries.append((path, mode, bytes.fromhex(self.add("blob", data))))
        root, trees = tree.build(entries)
        for raw, data in trees.items():
            self.objects[raw.hex()] = ("tree", data)
        return root.hex()

    def commit(self, files, *, parent=None, at=1_770_000_000, message="Subject\n"):
        lines = [f"tree {self.tree(files)}"]
        lines += [f"parent {parent}"] if parent else []
        who = f"a <a@b> {at} +0000"
        lines += [f"author {who}", f"committer {who}", "", message]
        return self.add("commit", "\n".join(lines).encode())


def assert_tame(text):
    """Nothing in it that a terminal would obey; line feeds aside."""
    for char in text.replace("\n", ""):
        kind = unicodedata.category(char)
        assert kind not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"), repr(text)
