"""How cost grows: with the root filesystem, and over many updates."""

from bench import measure, ours

CHANGED = 100  # files that one of many updates changes


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
    """The update on a root filesystem of twice the files."""
    repository = place / "twice.git"
    for version, tree in zip(("1", "2"), twice(pair, place), strict=True):
        ours.publish(tree, repository, version, key)
    machine = ours.Machine(place / "machine", f"file://{repository}", key)
    machine.apply("1")
    done, stages, _ = machine.apply("2")
    samples.add("update twice", done.seconds)
    samples.add("update twice, stage", stages["stage"])
    ours.forget(repository)


def many_updates(pair, repository, place, key, count):
    """Bring a machine through so many releases, all but two a few files different.

    Returns:
        Bytes beside the deployments and of them; and the seconds of the last update.
    """
    machine = ours.Machine(place / "machine", f"file://{repository}", key)
    machine.apply("1")
    seconds = machine.apply("2")[0].seconds
    tree = place / "tree"
    _copy(pair.new, tree)
    files = sorted(
        path
        for path in (tree / "usr/share/doc").rglob("*")
        if path.is_file() and not path.is_symlink()
    )
    for number in range(count - 2):
        begin = number * CHANGED % max(1, len(files) - CHANGED)
        for path in files[begin : begin + CHANGED]:
            changed = path.read_bytes() + b"update %d\n" % number
            path.unlink()  # its other names stay as they are
            path.write_bytes(changed)
        ours.publish(tree, repository, f"3.{number}", key)
        seconds = machine.apply()[0].seconds
    return machine.beside(), seconds
