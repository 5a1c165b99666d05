"""The verbs about single paths of what runs: blame, patch, restore."""

import os
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from updater.cli.session import agent
from updater.errors import UsageError


def add(subparsers: Any) -> None:  # noqa: ANN401 - argparse has no public name for it
    """Put the verbs into the parser."""
    parser = subparsers.add_parser(
        "blame",
        help="where a file comes from",
        description="Where a path of what runs comes from: its package, its file in\n"
        "the recipe, the release that changed it last, and what was done to it here.",
        epilog="example:\n  osupdate blame /etc/ssh/sshd_config",
    )
    parser.add_argument("path", metavar="PATH", help="an absolute path")
    parser.set_defaults(func=run_blame)


def run_blame(args: Namespace) -> int:
    """`osupdate blame`."""
    [path] = paths_of("blame", [args.path])
    found = agent(args).blame(path)
    # Here, because status does not pay for it.
    from updater.report import blame  # noqa: PLC0415

    if args.console.json:
        args.console.object(blame.to_json(found))
    else:
        args.console.lines(blame.text(found), answer=True)
    return 0


def paths_of(verb: str, paths: Sequence[str]) -> list[bytes]:
    """Paths as they are in a release: without their slash, `.` and `..` resolved.

    Raises:
        UsageError: one is not absolute.
    """
    for path in paths:
        if not path.startswith("/"):
            raise UsageError(f"{verb} takes paths from the root: /{path}, not {path}")
    return [os.fsencode(os.path.normpath(path).strip("/")) for path in paths]
