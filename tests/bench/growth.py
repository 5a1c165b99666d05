"""How cost grows: with the root filesystem, and over many updates."""

import os
import shutil

from bench import measure, ours

CHANGED = 100  # files that one of many updates changes


def twice(pair, place):
    """Both root filesystems with the older one's /usr once more below /usr/twice.

    What they share is hardlinked, which a publisher of one of them cannot tell.
    """
    extra = place / "extra"
    shutil.copytree(pair.old / "usr", extra, symlinks=True)
    grown = []
    for tree in (pair.old, pair.new):
        target = place / tree.name
        _link(tree, target)
        _link(extra, target / "usr/twice")
        grown.append(target)
    return grown


def _link(source, target):
    """A copy of a tree whose files are hardlinks, where the filesystem can."""
    one = os.stat(source).st_dev == os.stat(target.parent).st_dev
    measure.run("cp", "-al" if one else "-a", source, target)


def measure_twice(pair, place, key, samples, rounds):
    """The update on a root filesystem of twice the files."""
    grown = twice(pair, measure.fresh(place))
    repository = place / "twice.git"
    for version, tree in zip(("1", "2"), grown, strict=True):
        ours.publish(tree, repository, version, key)
    for _ in range(rounds):
        machine = ours.Machine(place / "machine", f"file://{repository}", key)
        machine.apply("1")
        done, stages, _ = machine.apply("2")
        samples.add("update twice", done.seconds)
        samples.add("update twice, stage", stages["stage"])
    ours.forget(repository)
    measure.remove(place)


def many_updates(pair, repository, machine, place, key, count):
    """Bring a machine that runs release 2 through more, each a few files different.

    Returns:
        Bytes beside the deployments and of them; and the seconds of the last update.
    """
    tree = measure.fresh(place) / "tree"
    _link(pair.new, tree)
    files = sorted(
        path
        for path in (tree / "usr/share/doc").rglob("*")
        if path.is_file() and not path.is_symlink()
    )
    seconds = 0.0
    for number in range(count):
        begin = number * CHANGED % max(1, len(files) - CHANGED)
        for path in files[begin : begin + CHANGED]:
            changed = path.read_bytes() + b"update %d\n" % number
            path.unlink()  # else the pair's own file would change
            path.write_bytes(changed)
        ours.publish(tree, repository, f"3.{number}", key)
        seconds = machine.apply()[0].seconds
    beside = machine.beside()
    measure.remove(place)
    return beside, seconds
