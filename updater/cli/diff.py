"""The verb diff: what changes between two releases."""

import os
from argparse import Namespace
from typing import TYPE_CHECKING, Any

from updater.cli.session import agent
from updater.errors import UsageError

if TYPE_CHECKING:
    from updater.report.diff import Report

DIFFERENT = 1


def add(subparsers: Any) -> None:  # noqa: ANN401 - argparse has no public name for it
    """Put the verb into the parser."""
    parser = subparsers.add_parser(
        "diff",
        help="what changes between two releases",
        description="What changes from release A to B. Without them: from what runs\n"
        "to what is staged or available, else from the previous one to what runs.",
        epilog="examples:\n  osupdate diff\n  osupdate diff 2026.04.1..2026.05.1\n"
        "  osupdate diff --format html > report.html\n"
        "  osupdate diff --format md | xclip       for an issue or merge request",
    )
    parser.add_argument(
        "range", nargs="?", metavar="A[..B]", help="releases; or the first PATH"
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help="only below these")
    views = parser.add_mutually_exclusive_group()
    for flag, text in (("packages", "every package"), ("files", "every path")):
        views.add_argument(
            f"--{flag}", dest="view", action="store_const", const=flag, help=text
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

    found = agent(args).diff(left, right, paths)
    _show(found, args)
    return DIFFERENT if args.exit_code and not diff.is_empty(found) else 0


def _show(found: "Report", args: Namespace) -> None:
    """Print one of the renderings of one report."""
    from updater.report import (  # noqa: PLC0415 - as above; HTML loads Jinja2 itself
        diff_html,
        diff_json,
        diff_md,
        diff_text,
        paint,
    )

    console = args.console
    match "json" if console.json else args.format:
        case "json":
            console.object(diff_json.to_json(found))
        case "md":
            console.document(diff_md.markdown(found))
        case "html":
            console.document(diff_html.page_of(found))
        case _:
            views = {"packages": diff_text.packages, "files": diff_text.files}
            view = views.get(args.view, diff_text.summary)
            console.page(view(found, console.width).split("\n"), paint.report)


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
    if args.view and args.format != "text":
        raise UsageError(f"--{args.view} is a view of text; {args.format} has it all")
    left, _, right = (first or "").partition("..")
    for path in paths:
        if not path.startswith("/"):
            raise UsageError(f"diff takes paths from the root: /{path}, not {path}")
    return left or None, right or None, [os.fsencode(path.strip("/")) for path in paths]
