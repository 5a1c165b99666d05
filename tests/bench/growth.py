"""How cost grows: with the root filesystem, and over many updates."""

from bench import measure, ours

CHANGED = 100  # files that a small update changes
FEW = 3  # small updates on twice the files


def twice(pair, place):
    """Both root filesystems with the older one's /usr once more below /usr/twice."""
    grown = []
    for tree in (pair.old, pair.new):
        target = place / tree.name
        _copy(tree, target)
        _copy(pair.old / "usr", target / "usr/twice")
        grown.append(target)
    return grown


def _copy(source, target):
    measure.run("cp", "-a", source, target)


def measure_twice(pair, place, key, samples):
    """The updates on a root filesystem of twice the files: the large and small ones."""
    repository = place / "twice.git"
    trees = twice(pair, place)
    for version, tree in zip(("1", "2"), trees, strict=True):
        ours.publish(tree, repository, version, key)
    machine = ours.Machine(place / "machine", f"file://{repository}", key)
    machine.apply("1")
    done, stages, _ = machine.apply("2")
    samples.add("update twice", done.seconds)
    samples.add("update twice cpu", done.cpu)
    samples.add("update twice, stage", stages["stage"])
    for number in range(FEW):
        _few(trees[1], number, repository, key)
        done = machine.apply()[0]
        samples.add("few twice", done.seconds)
        samples.add("few twice cpu", done.cpu)
    ours.forget(repository)


def _few(tree, number, repository, key):
    """Publish the tree with a few files changed; which ones depends on the number."""
    files = sorted(
        path
        for path in (tree / "usr/share/doc").rglob("*")
        if path.is_file() and not path.is_symlink()
    )
    begin = number * CHANGED % max(1, len(files) - CHANGED)
    for path in files[begin : begin + CHANGED]:
        changed = path.read_bytes() + b"update %d\n" % number
        path.unlink()  # its other names stay as they are
        path.write_bytes(changed)
    ours.publish(tree, repository, f"3.{number}", key)


def many_updates(pair, repository, place, key, count, samples):
    """Bring a machine through so many releases, all but two a few files different.

    Returns:
        Bytes beside the deployments and of them.
    """
    machine = ours.Machine(place / "machine", f"file://{repository}", key)
    machine.apply("1")
    machine.apply("2")
    tree = place / "tree"
    _copy(pair.new, tree)
    for number in range(count - 2):
        _few(tree, number, repository, key)
        done = machine.apply()[0]
        samples.add("few", done.seconds)
        samples.add("few cpu", done.cpu)
    return machine.beside()
