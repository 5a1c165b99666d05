"""The verb site: pages about the releases of a repository."""

import time
from argparse import Namespace
from typing import Any

from updater.cli import publisher
from updater.report.words import plural

UNVERIFIED = 3  # as everything that a key does not vouch for


def add(subparsers: Any) -> None:  # noqa: ANN401 - argparse has no public name for it
    """Put the verb into the parser."""
    parser = subparsers.add_parser(
        "site",
        help="make web pages of the releases of a repository",
        description="Write a static site: a page for each release, one for each\n"
        "comparison, feeds. Pages that did not change are not made again.",
        epilog="example:\n"
        "  osupdate site /srv/acme.git /srv/www/acme --trust release.signers \\\n"
        "      --url https://os.example.org/acme/",
    )
    parser.add_argument("repo", metavar="REPO", help="a bare repository, or its URL")
    parser.add_argument("out", metavar="OUT", help="a directory, missing or empty")
    parser.add_argument("--url", help="where the site will be, for Atom and JSON feeds")
    parser.add_argument(
        "--trust", metavar="FILE", help="the trusted keys: an allowed-signers file"
    )
    parser.set_defaults(func=run)


def run(args: Namespace) -> int:
    """`osupdate site`."""
    from updater.publish.copy import local_path  # noqa: PLC0415 - loads libgit2
    from updater.site import build  # noqa: PLC0415 - as above

    progress = _Progress(args)
    built = build.build(
        local_path(publisher.cache(), args.repo),
        args.out,
        int(time.time()),  # noqa: TID251 - there is no agent to read it
        url=args.url,
        trust=args.trust,
        progress=progress.report,
    )
    progress.end()
    for notice in built.notices:
        args.console.warn(f"! {notice}")
    if args.console.json:
        args.console.object(build.to_json(built))
    else:
        args.console.lines(build.text(built), answer=True)
    return UNVERIFIED if args.trust and built.unverified else 0


class _Progress:
    """Stage lines on stderr; none for programs."""

    _NAMES = {"read": (1, "releases"), "write": (2, "pages")}  # noqa: RUF012 - a constant

    def __init__(self, args: Namespace) -> None:
        self._watcher = None if args.console.json else args.console.watcher()
        self._now: str | None = None
        self._text = ""

    def report(self, what: str, done: int, of: int | None) -> None:
        """How far one stage is."""
        if self._watcher is None:
            return
        number, unit = self._NAMES[what]
        if what != self._now:
            self.end()
            self._watcher.stage(number, 2, what)
            self._now = what
        self._text = plural(done, unit.removesuffix("s"))
        self._watcher.progress(done, of, unit)

    def end(self) -> None:
        """The stage that was under way ended well."""
        if self._watcher is not None and self._now is not None:
            self._watcher.done(self._text)
            self._now = None
