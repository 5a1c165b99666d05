"""The verbs about single paths of what runs: blame, patch, restore."""

import os
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from updater.cli.session import agent
from updater.errors import UsageError

DECLINED = 1


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
    parser = subparsers.add_parser(
        "patch",
        help="local changes as a mail for git am",
        description="What was changed here in what runs, as a patch mail on stdout\n"
        "that git am applies to a clone of the repository of releases. What not\n"
        "everybody may read is left out unless it is named.",
        epilog="examples:\n  osupdate patch > local.patch\n"
        "  osupdate patch /etc/ssh/sshd_config | mail -s patch os@example.org",
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help="only these, or below")
    parser.set_defaults(func=run_patch)
    parser = subparsers.add_parser(
        "restore",
        help="take local changes back",
        description="Make paths of what runs, and everything below them, as the\n"
        "release has them: content, type, owner, mode. What it does not have is left\n"
        "alone, and data below persistent directories too.",
        epilog="examples:\n  osupdate restore /etc/ssh/sshd_config\n"
        "  osupdate restore /etc --dry-run",
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="an absolute path")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be")
    parser.set_defaults(func=run_restore)


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


def run_patch(args: Namespace) -> int:
    """`osupdate patch`: the mail on stdout, byte for byte; remarks on stderr."""
    found = agent(args).patch(paths_of("patch", args.paths))
    from updater.report import mail  # noqa: PLC0415 - as above

    if args.console.json:
        args.console.object(mail.to_json(found))
        return 0
    for line in mail.remarks(found):
        args.console.warn(line)
    if found.paths:
        args.console.raw(mail.mail(found))
    return 0


def run_restore(args: Namespace) -> int:
    """`osupdate restore`."""
    machine = agent(args, strict=True)
    paths = paths_of("restore", args.paths)
    outcome = machine.restore(paths, args.console.ask, dry_run=args.dry_run)
    from updater.report import restore  # noqa: PLC0415 - as above

    if args.console.json:
        args.console.object(restore.to_json(outcome))
    else:
        args.console.lines(restore.text(outcome), answer=True)
    return DECLINED if outcome.declined else 0


def paths_of(verb: str, paths: Sequence[str]) -> list[bytes]:
    """Paths as they are in a release: without their slash, `.` and `..` resolved.

    Raises:
        UsageError: one is not absolute.
    """
    for path in paths:
        if not path.startswith("/"):
            raise UsageError(f"{verb} takes paths from the root: /{path}, not {path}")
    return [os.fsencode(os.path.normpath(path).strip("/")) for path in paths]
