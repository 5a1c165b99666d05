"""The same work by git and by ostree, as Debian ships them; and by cp alone."""

import subprocess

from bench import measure
from bench.pair import LEFT_OUT

GIT_ENV = {
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_COUNT": "3",
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
    "GIT_CONFIG_KEY_1": "checkout.workers",
    "GIT_CONFIG_VALUE_1": "2",
    "GIT_CONFIG_KEY_2": "gc.auto",
    "GIT_CONFIG_VALUE_2": "0",
    "GIT_AUTHOR_NAME": "bench",
    "GIT_AUTHOR_EMAIL": "bench@example.org",
    "GIT_COMMITTER_NAME": "bench",
    "GIT_COMMITTER_EMAIL": "bench@example.org",
}
BRANCH = "os"


def versions():
    """What is measured beside."""
    words = [["git", "--version"], ["ostree", "--version"]]
    found = [
        subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        for argv in words
    ]
    ostree = next(line for line in found[1].splitlines() if "Version:" in line)
    return f"{found[0].strip()}, ostree {ostree.split(chr(39))[1]}"


class GitPublisher:
    """`git add` and `git commit` of root filesystems into one repository."""

    def __init__(self, repository):
        self.path = repository
        measure.remove(repository)
        git("init", "-q", "--bare", repository)
        (repository / "info/exclude").write_text(
            "".join(f"/{path}/*\n" for path in LEFT_OUT)
        )

    def publish(self, rootfs, version):
        """Seconds of `add` and `commit` together."""
        added = self.add(rootfs)
        return added + self._git(rootfs, "commit", "-q", "-m", version).seconds

    def add(self, rootfs):
        """Seconds of `add` alone."""
        return self._git(rootfs, "add", "-A", ".").seconds

    def _git(self, rootfs, *words):
        at = ("--git-dir", self.path, "--work-tree", rootfs)
        return git(*at, *words, cwd=rootfs)


class GitClone:
    """A shallow clone with a work tree, which `fetch` brings to another release."""

    def __init__(self, directory, url):
        self.path = measure.fresh(directory)
        self._url = url
        git("init", "-q", self.path)

    def fetch(self, release, url=None):
        """One shallow fetch."""
        return self._fetch(url or self._url, release)

    def get(self, release):
        """Have a release as if it had been fetched, without the search for deltas."""
        fast = "--upload-pack=git -c pack.window=0 upload-pack"
        self._fetch(self._url, release, fast)

    def begin_with(self, release):
        """Have a release, and let HEAD be it."""
        self.get(release)
        at = f"refs/tags/release/{release}^{{commit}}"
        self._git("update-ref", "--no-deref", "HEAD", at)

    def _fetch(self, url, release, *options):
        tag = f"refs/tags/release/{release}"
        return self._git(
            *("fetch", "-q", "--depth=1", "--no-tags", *options, url, f"{tag}:{tag}")
        )

    def lay_out(self, release):
        """`checkout-index` of everything, the index made before."""
        self._git("read-tree", f"refs/tags/release/{release}^{{commit}}")
        return self._git("checkout-index", "-a", "-u")

    def update(self, release):
        """Bring the work tree to a release that was fetched."""
        return self._git(
            "read-tree", "-m", "-u", "HEAD", f"release/{release}^{{commit}}"
        )

    def _git(self, *words):
        return git("-C", self.path, *words)


def git(*words, cwd=None):
    """One git command, without anybody's configuration."""
    return measure.run("git", *words, cwd=cwd, env=GIT_ENV)


class OstreePublisher:
    """`ostree commit` into an archive repository, as it is served to machines."""

    def __init__(self, repository):
        self.path = measure.fresh(repository)
        _ostree(self.path, "init", "--mode=archive")

    def publish(self, rootfs, version):
        """Seconds of one commit."""
        skip = self.path / "tmp/skip"
        present = (path for path in LEFT_OUT if (rootfs / path).is_dir())
        skip.write_text("".join(f"/{path}\n" for path in present))
        return _ostree(
            self.path,
            *("commit", f"--branch={BRANCH}", f"--subject={version}"),
            *(f"--tree=dir={rootfs}", f"--skip-list={skip}"),
        ).seconds

    def commits(self):
        """The ids of the last two commits, the older one first."""
        last = [_ostree(self.path, "rev-parse", f"{BRANCH}{up}") for up in ("^", "")]
        return [done.stdout.strip() for done in last]


class OstreeMachine:
    """A bare repository, and deployments that are hardlinks into it."""

    def __init__(self, directory, url):
        self.path = measure.fresh(directory)
        self._repository = self.path / "repo"
        _ostree(self._repository, "init", "--mode=bare")
        _ostree(self._repository, "remote", "add", "--no-gpg-verify", "from", url)

    def follow(self, url):
        """Pull from this URL."""
        _ostree(self._repository, "remote", "delete", "from")
        _ostree(self._repository, "remote", "add", "--no-gpg-verify", "from", url)

    def pull(self, commit):
        """One pull; durable, as it is by default."""
        return _ostree(self._repository, "pull", "from", commit)

    def checkout(self, commit, name, *options):
        """One checkout: hardlinks, or what the options say."""
        place = self.path / name
        return _ostree(self._repository, "checkout", *options, commit, place)


def _ostree(repository, *words):
    return measure.run("ostree", f"--repo={repository}", *words)


def copied(tree, target, *, own_only):
    """`cp` of a tree's files: what writing the same bytes takes, and nothing else.

    Args:
        tree: directory; its content is in memory, because it was just written.
        target: where the copies go.
        own_only: leave out files that have another name somewhere.
    """
    which = ("-links", "1") if own_only else ()
    listed = subprocess.run(
        ["find", ".", "-type", "f", *which, "-print0"],
        cwd=tree,
        capture_output=True,
        check=True,
    )
    names = target.with_suffix(".list")
    names.write_bytes(listed.stdout)
    measure.fresh(target)
    copy = ("cp", "-a", "--parents", "-t", target)
    return measure.run("xargs", "-0", "-a", names, *copy, cwd=tree)
