"""The verbs that change what runs: apply, revert."""

from argparse import Namespace
from typing import Any

from updater.cli.console import JsonLines
from updater.cli.session import agent
from updater.report import objects, outcomes

DECLINED = 1

_RELEASE = "by version, tag, number:42, commit id, or staged, previous, available"


def add(subparsers: Any) -> None:  # noqa: ANN401 - argparse has no public name for it
    """Put the verbs into the parser."""
    parser = subparsers.add_parser(
        "apply",
        help="fetch, verify, lay out and switch to a release",
        description="Fetch a release, verify it, lay it out beside what runs, show\n"
        "what changes, and switch to it. Without RELEASE: what the channel offers.",
        epilog="examples:\n  osupdate apply\n  osupdate apply --dry-run\n"
        "  osupdate apply 2026.04.1 --allow-downgrade --yes",
    )
    parser.add_argument("release", nargs="?", metavar="RELEASE", help=_RELEASE)
    flags = {
        "--dry-run": "fetch, verify and show; change nothing that runs or is staged",
        "--download-only": "fetch and verify, no more",
        "--no-arm": "lay it out, but do not switch",
        "--full": "fetch and write everything anew",
        "--allow-downgrade": "take an older release than the one that runs",
    }
    for flag, text in flags.items():
        parser.add_argument(flag, action="store_true", help=text)
    parser.add_argument("--reason", metavar="TEXT", help="for the ledger")
    parser.set_defaults(func=run_apply)
    parser = subparsers.add_parser(
        "revert",
        help="go back to the previous release",
        description="Go back. What is staged or armed is dropped, what runs stays;\n"
        "else the previous release runs again, and the one left is held.",
        epilog="example:\n  osupdate revert --reason 'nginx answers 502'",
    )
    parser.add_argument("release", nargs="?", metavar="RELEASE", help=_RELEASE)
    parser.add_argument("--reason", metavar="TEXT", help="for history and the hold")
    parser.add_argument(
        "--no-hold", action="store_true", help="do not hold the release that is left"
    )
    parser.set_defaults(func=run_revert)


def run_apply(args: Namespace) -> int:
    """`osupdate apply`."""
    watcher = args.console.events()
    outcome = agent(args, strict=True, watcher=watcher).apply(
        args.release,
        dry_run=args.dry_run,
        download_only=args.download_only,
        arm=not args.no_arm,
        full=args.full,
        allow_downgrade=args.allow_downgrade,
        reason=args.reason,
    )
    if isinstance(watcher, JsonLines):
        args.console.object(objects.applied(outcome, watcher.elapsed()))
    else:
        args.console.lines(outcomes.applied(outcome), answer=True)
    return DECLINED if outcome.outcome == "declined" else 0


def run_revert(args: Namespace) -> int:
    """`osupdate revert`."""
    outcome = agent(args).revert(
        args.release, reason=args.reason, hold=not args.no_hold
    )
    if args.console.json:
        args.console.object(objects.reverted(outcome))
    else:
        args.console.lines(outcomes.reverted(outcome), answer=True)
    return 0
