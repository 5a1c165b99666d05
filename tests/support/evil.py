"""Hostile git objects: written raw into a bare repository, past every check of git.

`TREES` names trees that no release may have, `COMMITS` commits, `MANIFESTS` manifests;
each is a function of a `Repository` that returns what to put into a release.
"""

import zlib
from pathlib import Path
from typing import NamedTuple

from updater.core import tree as trees

ZERO = "0" * 40
WHO = "Mallory <m@example.org> 1770000000 +0000"
MANIFEST = b"osupdate-manifest 1\n"
RELEASE_TOML = """format = 1
product = "acme-gw"
arch = "amd64"
version = "2026.05.1"
number = 42
security_floor = 40
bootable = false
created = "2026-02-02T02:40:00Z"
previous = ""
source = ""
"""


class Repository:
    """A bare repository whose objects are whatever a test says."""

    def __init__(self, path):
        self.path = Path(path)
        for part in ("objects/pack", "objects/info", "refs/heads", "refs/tags"):
            (self.path / part).mkdir(parents=True, exist_ok=True)
        (self.path / "HEAD").write_text("ref: refs/heads/releases\n")
        (self.path / "config").write_text(
            "[core]\n\trepositoryformatversion = 0\n\tbare = true\n"
        )

    def add(self, kind, content, oid=None):
        """Write a loose object; with `oid`, under an id that is not its own."""
        if isinstance(content, str):
            content = content.encode()
        oid = oid or trees.object_id(kind, content, "sha1").hex()
        file = self.path / "objects" / oid[:2] / oid[2:]
        file.parent.mkdir(exist_ok=True)
        if not file.exists():
            header = f"{kind} {len(content)}\0".encode()
            file.write_bytes(zlib.compress(header + content, 1))
        return oid

    def blob(self, content=b""):
        return self.add("blob", content)

    def tree(self, *entries):
        """A tree of (mode, name, id) in the order given, unchecked."""
        return self.add("tree", b"".join(raw_entry(*entry) for entry in entries))

    def commit(self, tree, *, more="", parents=(), message="A commit\n", who=WHO):
        above = "".join(f"parent {oid}\n" for oid in parents)
        return self.add(
            "commit",
            f"tree {tree}\n{above}author {who}\ncommitter {who}\n{more}\n{message}",
        )

    def ref(self, name, oid):
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(oid + "\n")

    def remove(self, oid):
        (self.path / "objects" / oid[:2] / oid[2:]).unlink()

    def damage(self, oid):
        """Change a byte in an object's file. (Truncated ones make libgit2 1.9 spin.)"""
        file = self.path / "objects" / oid[:2] / oid[2:]
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(data)


def raw_entry(mode, name, oid):
    raw = [part.encode() if isinstance(part, str) else part for part in (mode, name)]
    return raw[0] + b" " + raw[1] + b"\0" + bytes.fromhex(oid)


class Content(NamedTuple):
    """A tree and what a tag truthfully says of it."""

    tree: str
    files: int
    size: int


def release(repository, *, extra=(), manifest=MANIFEST, release_toml=RELEASE_TOML):
    """The tree of a small release; `extra` are raw entries of its root, in their order.

    `manifest` and `release_toml` are content, None to leave the file out, or a raw
    entry (mode, id).
    """
    own, size = [], 0
    for name, value in (("manifest", manifest), ("release.toml", release_toml)):
        if isinstance(value, tuple):
            own.append((value[0], name, value[1]))
        elif value is not None:
            own.append(("100644", name, repository.blob(value)))
            size += len(value)
    files = len(own) + sum(1 for mode, _, _ in extra if mode != "40000")
    inner = repository.tree(("40000", "osupdate", repository.tree(*own)))
    usr = repository.tree(("40000", "lib", inner))
    motd = repository.blob(b"Welcome.\n")
    etc = repository.tree(("100644", "motd", motd))
    # Names that sort first stand first, so that their order is not what is refused.
    first = [entry for entry in extra if entry[1].encode() < b"etc"]
    last = [entry for entry in extra if entry not in first]
    root = repository.tree(*first, ("40000", "etc", etc), ("40000", "usr", usr), *last)
    return Content(root, files + 1, size + 9)


def _names(*names, mode="100644"):
    return lambda repository: [(mode, name, repository.blob()) for name in names]


def _mode(mode):
    return lambda repository: [(mode, "x", repository.blob())]


def _subtree(*names):
    def entries(repository):
        below = repository.tree(("100644", "passwd", repository.blob(b"root::0:0")))
        return [("40000", name, below) for name in names]

    return entries


def _link_and_directory(repository):
    target = repository.blob(b"/etc")
    return [("120000", "v", target), *_subtree("v")(repository)]


def _link_apart_from_directory(repository):
    link, directory = _link_and_directory(repository)
    return [link, ("100644", "v-", repository.blob()), directory]


def _target(content):
    return lambda repository: [("120000", "v", repository.blob(content))]


def _wrong_kind(mode, make):
    return lambda repository: [(mode, "v", make(repository))]


def _deep(repository):
    oid = repository.tree(("100644", "f", repository.blob()))
    for _ in range(300):
        oid = repository.tree(("40000", "d", oid))
    return [("40000", "v", oid)]


def _bomb(leaf):
    def entries(repository):
        oid = leaf(repository)
        for _ in range(10):
            oid = repository.tree(*(("40000", f"{i}", oid) for i in range(10)))
        return [("40000", "v", oid)]

    return entries


def _one_file(repository):
    return repository.tree(("100644", "f", repository.blob()))


def _truncated_tree(repository):
    oid = repository.add("tree", raw_entry("100644", "x", ZERO)[:-1])
    return [("40000", "v", oid)]


def _own_content(repository):
    """A tree under an id that is not its own: a lying server."""
    evil = raw_entry("120000", "passwd", repository.blob(b"/etc/passwd"))
    return [("40000", "v", repository.add("tree", evil, oid="ab" * 20))]


def _damaged(repository):
    oid = repository.tree(("100644", "f" * 200, repository.blob()))
    repository.damage(oid)
    return [("40000", "v", oid)]


# name -> raw entries that the root of a release gets beside `etc` and `usr`
TREES = {
    "dot-dot file": _names(".."),
    "dot-dot directory": _subtree(".."),
    "dot": _subtree("."),
    "empty name": _names(""),
    "slash in a name": _names("v/../../x"),
    "absolute name": _names("/etc/x"),
    ".git directory": _subtree(".git"),
    ".GIT directory": _subtree(".GIT"),
    "git~1": _names("git~1"),
    ".git with an ignored character": _names(".g\u200cit"),
    ".git with a dot": _names(".git."),
    "escape sequence": _names("v\x1b]0;owned\x07"),
    "line feed": _names("v\nw"),
    "carriage return": _names("v\rw"),
    "delete": _names("v\x7f"),
    "name of 256 bytes": _names("v" * 256),
    "name of 5000 bytes": _names("v" * 5000),
    "two files of one name": _names("v", "v"),
    "two directories of one name": _subtree("v", "v"),
    "file and symlink of one name": lambda r: [
        *_names("v")(r),
        *_target(b"/etc")(r),
    ],
    "symlink that a later entry would write through": _link_and_directory,
    "symlink and directory apart": _link_apart_from_directory,
    "unsorted files": _names("w", "v"),
    "directory before a file": lambda r: [*_subtree("v")(r), *_names("v.d")(r)],
    "submodule": lambda _: [("160000", "v", "c" * 40)],
    "mode 100664": _mode("100664"),
    "mode 104755": _mode("104755"),
    "mode 0": _mode("0"),
    "mode 10644": _mode("10644"),
    "mode 60660": _mode("60660"),
    "mode 40777": _mode("40777"),
    "mode with a leading zero": _mode("040000"),
    "mode that overflows": _mode("40000100644"),
    "no mode": _mode(""),
    "directory that is a blob": _wrong_kind("40000", lambda r: r.blob(b"x")),
    "directory that is a commit": _wrong_kind(
        "40000", lambda r: r.commit(r.tree(("100644", "f", r.blob())))
    ),
    "file that is a tree": _wrong_kind("100644", _one_file),
    "symlink that is a tree": _wrong_kind("120000", _one_file),
    "missing blob": _wrong_kind("100644", lambda _: "d" * 40),
    "missing tree": _wrong_kind("40000", lambda _: "d" * 40),
    "zero id": _wrong_kind("100644", lambda _: ZERO),
    "empty tree": _wrong_kind("40000", lambda r: r.tree()),
    "symlink to nothing": _target(b""),
    "symlink with a NUL": _target(b"/etc\0/passwd"),
    "symlink of 4096 bytes": _target(b"v" * 4096),
    "three hundred directories deep": _deep,
    "bomb of files": _bomb(_one_file),
    "bomb of empty directories": _bomb(lambda r: r.tree()),
    "truncated tree": _truncated_tree,
    "tree under the id of another": _own_content,
    "damaged tree": _damaged,
}

# What a plain repository may have (unsigned mode), although a release may not.
ALLOWED_PLAIN = {"submodule", "empty tree"}

# name -> (raw commit made from a tree id, check that refuses it)
COMMITS = {
    "two trees": lambda r, t: r.add(
        "commit", f"tree {t}\ntree {t}\nauthor {WHO}\ncommitter {WHO}\n\nx\n"
    ),
    "tree after the parents": lambda r, t: r.add(
        "commit",
        f"parent {ZERO}\ntree {t}\nauthor {WHO}\ncommitter {WHO}\n\nx\n",
    ),
    "second tree at the end": lambda r, t: r.commit(t, more=f"tree {t}\n"),
    "no committer": lambda r, t: r.add("commit", f"tree {t}\nauthor {WHO}\n\nx\n"),
    "NUL in the author": lambda r, t: r.commit(t, who="M\0 <m@x> 1770000000 +0000"),
    "time that overflows": lambda r, t: r.commit(t, who=f"M <m@x> {'9' * 40} +0000"),
    "upper-case id": lambda r, t: r.commit(t.upper() if t.upper() != t else "A" * 40),
    "empty": lambda r, _: r.add("commit", ""),
    "no commit but a tree": lambda _, t: t,
    "no commit but a blob": lambda r, _: r.blob(b"tree"),
    "larger than a megabyte": lambda r, t: r.commit(t, message="x" * (1 << 20)),
    "missing": lambda _r, _t: "d" * 40,
}

MANIFESTS = {
    "another header": b"osupdate-manifest 2\n",
    "no line feed at the end": MANIFEST + b"/etc/motd mode=0600",
    "carriage returns": b"osupdate-manifest 1\r\n/etc/motd mode=0600\r\n",
    "empty line": MANIFEST + b"\n",
    "unknown key": MANIFEST + b"/etc/motd color=red\n",
    "duplicate key": MANIFEST + b"/etc/motd mode=0600 mode=0600\n",
    "keys out of order": MANIFEST + b"/etc/motd gid=1 uid=1\n",
    "no key": MANIFEST + b"/etc/motd\n",
    "duplicate path": MANIFEST + b"/etc/motd mode=0600\n/etc/motd uid=1\n",
    "unsorted paths": MANIFEST + b"/usr mode=0700\n/etc mode=0700\n",
    "dot-dot": MANIFEST + b"/etc/../etc/motd mode=4755\n",
    "relative path": MANIFEST + b"etc/motd mode=4755\n",
    "path that is not in the tree": MANIFEST + b"/etc/shadow mode=0666\n",
    "type of what git holds": MANIFEST + b"/etc/motd type=fifo\n",
    "type of a directory that git holds": MANIFEST + b"/etc type=dir\n",
    "device without its directory": MANIFEST + b"/dev/sda type=block dev=8:0\n",
    "node below a file": MANIFEST + b"/etc/motd/x type=fifo\n",
    "device without numbers": MANIFEST + b"/etc/sda type=block\n",
    "device numbers too large": MANIFEST + b"/etc/sda type=block dev=4096:0\n",
    "numbers of no device": MANIFEST + b"/etc/motd dev=8:0\n",
    "unknown type": MANIFEST + b"/etc/sock type=socket\n",
    "mode of five digits": MANIFEST + b"/etc/motd mode=04755\n",
    "mode that is not octal": MANIFEST + b"/etc/motd mode=0888\n",
    "owner with a leading zero": MANIFEST + b"/etc/motd uid=07\n",
    "owner zero": MANIFEST + b"/etc/motd uid=0\n",
    "negative owner": MANIFEST + b"/etc/motd uid=-1\n",
    "owner that chown ignores": MANIFEST + b"/etc/motd uid=4294967295\n",
    "SELinux label": MANIFEST + b"/etc/motd xattr.security.selinux=0seA==\n",
    "overlay xattr": MANIFEST + b"/etc xattr.trusted.overlay.opaque=0seQ==\n",
    "xattr that is not base64": MANIFEST + b"/etc/motd xattr.user.a=0s!\n",
    "xattr without 0s": MANIFEST + b"/etc/motd xattr.user.a=eQ==\n",
    "xattr in a second spelling": MANIFEST + b"/etc/motd xattr.user.a=0seR==\n",
    "escape in a second spelling": MANIFEST + b"/etc/mot\\x64 mode=0600\n",
    "NUL": MANIFEST + b"/etc/motd\\x00 mode=0600\n",
    "bytes that are not escaped": MANIFEST + b"/etc/mot\xc3\xa9 mode=0600\n",
    "hardlink to nothing": MANIFEST + b"/etc/motd hardlink=/etc/shadow\n",
    "hardlink of itself": MANIFEST + b"/etc/motd hardlink=/etc/motd\n",
    "hardlink out of the tree": MANIFEST + b"/etc/motd hardlink=/../etc/shadow\n",
    "hardlink of other content": (
        MANIFEST + b"/etc/motd hardlink=/usr/lib/osupdate/release.toml\n"
    ),
    "hardlink of a directory": MANIFEST + b"/etc/motd hardlink=/usr\n",
    "hardlink with other keys": MANIFEST + b"/etc/motd mode=0600 hardlink=/usr\n",
    "place of the updater": MANIFEST + b"/.osupdate-etc type=dir\n",
}
