"""What staging will do: applying the plan of (a, b) to a gives b."""

import stat

from hypothesis import given
from hypothesis import strategies as st

from updater.core import plan
from updater.core.index import Row, Stat
from updater.core.plan import Base, Owner, make_plan
from updater.core.tree import object_id
from updater.model import GitMode, Metadata, TreeEntry

ROOT = Owner(privileged=True, uid=0, gid=0)
USER = Owner(privileged=False, uid=1000, gid=1000)
STAMP = 5
PERSISTENT = (b"var",)
CAPABILITY = (("security.capability", b"\1"),)

paths = st.sampled_from(
    [b"a", b"b", b"d/a", b"d/b", b"d/e/f", b"etc/x", b"var/y", b"usr/z", b"w"]
)
looks = st.builds(
    Metadata,
    mode=st.sampled_from([None, 0o600, 0o4755]),
    uid=st.sampled_from([0, 7]),
    xattrs=st.sampled_from([(), CAPABILITY, (("user.a", b""),)]),
)


@st.composite
def releases(draw):
    """(path -> (git mode, content), path -> Metadata): files and hardlinks."""
    files, metadata = {}, {}
    for path in sorted(draw(st.sets(paths))):
        mode = draw(st.sampled_from([GitMode.FILE, GitMode.EXECUTABLE]))
        files[path] = (mode, draw(st.sampled_from([b"", b"one", b"two"])))
        if draw(st.booleans()):
            metadata[path] = draw(looks)
    targets = [path for path in files if draw(st.booleans())]
    for path in sorted(set(files) - set(targets)):
        if targets and draw(st.booleans()):
            target = draw(st.sampled_from(targets))
            files[path] = files[target]
            metadata[path] = Metadata(hardlink=target)
    return files, metadata


def entries_of(files):
    return [
        TreeEntry(path, mode, object_id("blob", content, "sha1").hex())
        for path, (mode, content) in sorted(files.items())
    ]


def planned(new, base=None, *, clones=False, owner=ROOT):
    files, metadata = new
    sizes = {object_id("blob", c, "sha1").hex(): len(c) for _, c in files.values()}
    rows, old = base or ({}, {})
    return make_plan(
        entries_of(files),
        metadata,
        STAMP,
        sizes,
        Base(rows, old, clones),
        PERSISTENT,
        owner,
    )


def carried_out(made, new, base=None):
    """What staging makes of a plan: path -> Row; the rows of kept files are the base's.

    An inode is a number: a kept file's is that of the base, every other is new.
    """
    files, _ = new
    rows = {}
    for keep in made.keeps:
        rows[keep.path] = base[0][keep.path]
    for number, write in enumerate(made.writes, 1000 * len(rows) + 1000):
        mode, uid, gid, mtime, _ = write.attributes
        found = Stat(len(files[write.path][1]), mtime, 0, number, mode, uid, gid, 1)
        rows[write.path] = Row(bytes.fromhex(write.oid), bytes(32), found)
    for path, target in made.aliases:
        rows[path] = rows[target]
    return rows


def visible(rows):
    """path -> blob, mode and owner; and which paths are one file."""
    groups = {}
    for path, row in rows.items():
        groups.setdefault(row.stat.inode, set()).add(path)
    return {
        path: (row.oid, row.stat.mode, row.stat.uid, frozenset(groups[row.stat.inode]))
        for path, row in rows.items()
    }


@given(releases(), releases())
def test_an_update_gives_the_same_as_a_full_stage(a, b):
    base = (carried_out(planned(a), a), a[1])
    updated = carried_out(planned(b, base), b, base)
    assert visible(updated) == visible(carried_out(planned(b), b))


@given(releases())
def test_the_plan_of_a_release_upon_itself_writes_only_what_is_never_shared(a):
    base = (carried_out(planned(a), a), a[1])
    made = planned(a, base)
    for write in made.writes:
        own = write.path.startswith((b"etc/", b"var/"))
        assert own or write.size == 0 or write.attributes.xattrs
        assert write.attributes.mtime == base[0][write.path].stat.mtime
    assert made.removed == ()
    assert made.changed_directories == {b"usr"}


@given(releases(), releases())
def test_what_is_shared_has_the_content_and_the_look_of_the_new_release(a, b):
    base = (carried_out(planned(a), a), a[1])
    made = planned(b, base)
    for path, look in made.keeps:
        mode, content = b[0][path]
        row = base[0][path]
        assert row.oid == object_id("blob", content, "sha1")
        wanted = plan.attributes(b[1].get(path, Metadata()), mode, 0, ROOT)
        assert row.stat.mode == look.mode == wanted.mode
        assert not path.startswith((b"etc/", b"var/"))


@given(releases(), releases())
def test_every_path_is_kept_written_or_linked_once(a, b):
    base = (carried_out(planned(a), a), a[1])
    made = planned(b, base)
    listed = [k.path for k in made.keeps] + [w.path for w in made.writes]
    listed += [path for path, _ in made.aliases]
    assert sorted(listed) == sorted(b[0])
    assert set(made.removed) == set(a[0]) - set(b[0])


@given(releases())
def test_directories_come_before_what_is_in_them(a):
    found = [path for path, _ in planned(a).directories]
    assert found == sorted(found)
    for path in a[0]:
        parent = path.rpartition(b"/")[0]
        while parent:
            assert parent in found
            parent = parent.rpartition(b"/")[0]
    assert found[0] == b""


FILE = GitMode.FILE


def test_a_lost_row_is_written():
    a = ({b"a": (FILE, b"one"), b"b": (FILE, b"two")}, {})
    rows = carried_out(planned(a), a)
    del rows[b"b"]
    made = planned(a, (rows, {}))
    assert [w.path for w in made.writes] == [b"b"]
    assert [k.path for k in made.keeps] == [b"a"]


def test_a_clone_may_share_what_a_hardlink_may_not():
    a = ({b"etc/x": (FILE, b"one"), b"var/y": (FILE, b"two")}, {})
    base = (carried_out(planned(a), a), {})
    assert planned(a, base).keeps == ()
    assert len(planned(a, base, clones=True).keeps) == 2


def test_a_file_with_xattrs_is_never_hardlinked():
    a = ({b"usr/ping": (FILE, b"ping")}, {b"usr/ping": Metadata(xattrs=CAPABILITY)})
    base = (carried_out(planned(a), a), a[1])
    assert [w.path for w in planned(a, base).writes] == [b"usr/ping"]


def test_new_and_vanished_directories_and_devices_change_the_one_above():
    a = ({b"x/gone/f": (FILE, b"1"), b"x/f": (FILE, b"1"), b"z/f": (FILE, b"1")}, {})
    b = ({b"x/f": (FILE, b"1"), b"y/new/f": (FILE, b"1"), b"z/f": (FILE, b"1")}, {})
    b[1][b"z/null"] = Metadata(type="char", dev=(1, 3))
    made = planned(b, (carried_out(planned(a), a), {}))
    assert made.changed_directories >= {b"", b"x", b"y", b"y/new", b"z"}
    assert b"x/gone" not in dict(made.directories)


def test_without_privileges_everything_belongs_to_the_caller():
    metadata = Metadata(mode=0o6000, uid=3, gid=4, xattrs=CAPABILITY)
    look = plan.attributes(metadata, GitMode.EXECUTABLE, 9, USER)
    assert look == (stat.S_IFREG | 0o400, 1000, 1000, 9, ())
    directory = plan.attributes(Metadata(type="dir", mode=0o3000), None, 9, USER)
    assert directory.mode == stat.S_IFDIR | 0o1700


def test_devices_need_privileges_and_fifos_do_not():
    metadata = {
        b"null": Metadata(type="char", dev=(1, 3)),
        b"pipe": Metadata(type="fifo"),
    }
    new = ({}, metadata)
    assert [s.path for s in planned(new).specials] == [b"null", b"pipe"]
    assert [s.path for s in planned(new, owner=USER).specials] == [b"pipe"]


def test_own_blobs_are_those_that_a_deployment_may_lose():
    files = {
        name: (FILE, name)
        for name in (b"etc/x", b"usr/open", b"usr/closed", b"var/y", b"safe/in/it")
    }
    files[b"usr/lib/osupdate/manifest"] = (FILE, b"m")
    metadata = {
        b"usr/closed": Metadata(mode=0o640),
        b"safe": Metadata(mode=0o700, type="dir"),
        b"usr/open": Metadata(mode=0o444),
    }
    entries = entries_of(files)
    names = {entry.oid: entry.path for entry in entries}
    found = {names[oid] for oid in plan.own_blobs(entries, metadata, PERSISTENT)}
    assert found == set(files) - {b"usr/open"}
