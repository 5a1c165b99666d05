"""The verbs that answer questions about releases: log, notes, when."""

import os
from argparse import Namespace
from typing import Any

from updater.cli.session import agent
from updater.errors import UsageError

NOT_YET = 1

_RELEASE = "by version, tag, number:42, commit id, or staged, available, running"


def add(subparsers: Any) -> None:  # noqa: ANN401 - argparse has no public name for it
    """Put the verbs into the parser."""
    parser = subparsers.add_parser(
        "log",
        help="the releases, newest first",
        description="The releases that are known here, newest first, and what this\n"
        "machine does with each. With PATH: only those that changed it.",
        epilog="examples:\n  osupdate log\n  osupdate log 2026.04.1..running\n"
        "  osupdate log -- /etc/ssh/sshd_config\n"
        "  osupdate log --repo /srv/acme.git",
    )
    parser.add_argument(
        "range", nargs="?", metavar="A..B", help="after A, up to B; or the first PATH"
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help="only what changed it")
    _add_repo(parser)
    parser.set_defaults(func=run_log)
    parser = subparsers.add_parser(
        "notes",
        help="the release notes",
        description="What those who made a release say of it, and what it changed.\n"
        "Without RELEASE: of what is new here, else of what runs. Works without root\n"
        "and without the network.",
        epilog="examples:\n  osupdate notes\n  osupdate notes running\n"
        "  osupdate notes 2026.04.1 --json",
    )
    parser.add_argument("release", nargs="?", metavar="RELEASE", help=_RELEASE)
    _add_repo(parser)
    parser.set_defaults(func=run_notes)
    parser = subparsers.add_parser(
        "when",
        help="which release has a package or a fix",
        description="Which known release has a package, in a version if one is given,\n"
        "or a fix. 0: the newest one that is known has it; 1: it has not.",
        epilog="examples:\n  osupdate when 'docker.io >= 20.10.24'\n"
        "  osupdate when openssh\n  osupdate when CVE-2024-6387",
    )
    parser.add_argument(
        "question", nargs="+", metavar="EXPR", help="NAME, NAME >= VERSION, or a CVE id"
    )
    _add_repo(parser)
    parser.set_defaults(func=run_when)


def _add_repo(parser: Any) -> None:  # noqa: ANN401 - as above
    text = "ask this repository of releases, not this machine"
    parser.add_argument("--repo", metavar="DIR", help=text)


def run_log(args: Namespace) -> int:
    """`osupdate log`."""
    left, right, paths = _arguments(args)
    found = agent(args).log(left, right, paths, repo=args.repo)
    # Here, because status does not pay for it.
    from updater.report import log  # noqa: PLC0415

    if args.console.json:
        args.console.object(log.to_json(found))
    else:
        args.console.page(log.text(found))
    return 0


def run_notes(args: Namespace) -> int:
    """`osupdate notes`."""
    found = agent(args).notes(args.release, repo=args.repo)
    from updater.report import notes  # noqa: PLC0415 - as above

    if args.console.json:
        args.console.object(notes.to_json(found))
    else:
        args.console.page(notes.text(found))
    return 0


def run_when(args: Namespace) -> int:
    """`osupdate when`: 1 when the newest known release has it not."""
    found = agent(args).when(" ".join(args.question), repo=args.repo)
    from updater.report import when  # noqa: PLC0415 - as above

    if args.console.json:
        args.console.object(when.to_json(found))
    else:
        args.console.lines(when.text(found), answer=True)
    return 0 if found.satisfied else NOT_YET


def _arguments(args: Namespace) -> tuple[str | None, str | None, list[bytes]]:
    """The two ends, None for no end, and the paths without their slash.

    Raises:
        UsageError: `..` with nothing around it, or a path that is not absolute.
    """
    first, paths = args.range, list(args.paths)
    if first is not None and first.startswith("/"):
        first, paths = None, [first, *paths]
    if first == "..":
        raise UsageError("log .. names no release")
    left, dots, right = (first or "").partition("..")
    for path in paths:
        if not path.startswith("/"):
            raise UsageError(f"log takes paths from the root: /{path}, not {path}")
    if not dots:
        left, right = "", left
    return left or None, right or None, [os.fsencode(path.strip("/")) for path in paths]
