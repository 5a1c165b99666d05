"""The verb diff: what changes between two releases."""

import os
import sys
from argparse import Namespace
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from updater.cli.session import agent
from updater.errors import UsageError

if TYPE_CHECKING:
    from updater.agent.between import Compared

DIFFERENT = 1
_VIEWS = {
    "packages": "every package",
    "files": "every path, with mode, owner and package",
    "patch": "what differs inside files, as a patch",
    "changelogs": "what changelogs say, most urgent first",
    "unexplained": "what no update of a package explains",
}


def add(subparsers: Any) -> None:  # noqa: ANN401 - argparse has no public name for it
    """Put the verb into the parser."""
    parser = subparsers.add_parser(
        "diff",
        help="what changes between two releases",
        description="What changes from release A to B, by version, tag, number:42 or\n"
        "commit id, or running, staged, offered, previous. Without them: from what\n"
        "runs to what is staged or offered, else from the previous one to what runs.",
        epilog="examples:\n  osupdate diff\n  osupdate diff 2026.04.1..2026.05.1\n"
        "  osupdate diff --files /etc /usr/bin\n"
        "  osupdate diff --patch /etc/ssh/sshd_config\n"
        "  osupdate diff --local           what was changed on this machine\n"
        "  osupdate diff --format html > report.html\n"
        "  osupdate diff --format md | xclip       for an issue or merge request",
    )
    parser.intermixed = True
    parser.add_argument(
        "range", nargs="?", metavar="A[..B]", help="releases; or the first PATH"
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help="only below these")
    views = parser.add_mutually_exclusive_group()
    for flag, text in _VIEWS.items():
        views.add_argument(
            f"--{flag}", dest="view", action="store_const", const=flag, help=text
        )
    parser.add_argument(
        "--local",
        action="store_true",
        help="what this machine changed against its release, or against A",
    )
    parser.add_argument(
        "--format",
        choices=("text", "md", "html", "json"),
        default="text",
        help="md for an issue, html is one file, json for programs",
    )
    parser.add_argument("--exit-code", action="store_true", help="1 when different")
    parser.set_defaults(func=run)


def run(args: Namespace) -> int:
    """`osupdate diff`."""
    left, right, paths = _arguments(args)
    # Here, because status does not pay for the report.
    from updater.report import diff  # noqa: PLC0415

    found = agent(args).diff(left, right, paths, local=args.local)
    _show(found, args)
    return DIFFERENT if args.exit_code and not diff.is_empty(found.report) else 0


def _show(found: "Compared", args: Namespace) -> None:
    """Print one of the renderings of one report."""
    from updater.report import (  # noqa: PLC0415 - as above; HTML loads Jinja2 itself
        diff_html,
        diff_json,
        diff_lists,
        diff_md,
        diff_text,
        paint,
    )

    console, report = args.console, found.report
    match "json" if console.json else args.format:
        case "json":
            console.object(diff_json.to_json(report))
        case "md":
            console.document(diff_md.markdown(report))
        case "html":
            console.document(diff_html.page_of(report))
        case _ if args.view == "patch":
            _patch(found.patch(), args)
        case _:
            views = {
                "packages": diff_text.packages,
                "files": diff_text.files,
                "changelogs": diff_lists.changelogs,
                "unexplained": diff_lists.unexplained,
            }
            view = views.get(args.view, diff_text.summary)
            console.page(view(report, console.width).split("\n"), paint.report)


def _patch(pieces: Iterable[bytes], args: Namespace) -> None:
    """For a person each line is made safe; for a program bytes are as they are."""
    from updater.report import diff_lists, paint  # noqa: PLC0415

    if sys.stdout.isatty():
        args.console.page(diff_lists.patch_lines(pieces), paint.patch)
        return
    sys.stdout.flush()
    for piece in pieces:
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def _arguments(args: Namespace) -> tuple[str | None, str | None, list[bytes]]:
    """The two ends, None where the agent decides, and the paths without their slash.

    Raises:
        UsageError: `..` with nothing around it, a path that is not absolute, or a view
            of another format.
    """
    first, paths = args.range, list(args.paths)
    if first is not None and first.startswith("/"):
        first, paths = None, [first, *paths]
    if first == "..":
        raise UsageError("diff .. names no release")
    if args.view and (args.console.json or args.format != "text"):
        form = "json" if args.console.json else args.format
        raise UsageError(f"--{args.view} is a view of text; {form} has it all")
    left, dots, right = (first or "").partition("..")
    if args.local and dots:
        raise UsageError("--local compares one release with this machine, not two")
    for path in paths:
        if not path.startswith("/"):
            raise UsageError(f"diff takes paths from the root: /{path}, not {path}")
    return left or None, right or None, [os.fsencode(path.strip("/")) for path in paths]
