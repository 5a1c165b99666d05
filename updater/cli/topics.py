"""`osupdate help`: topics that belong to no single verb."""

from argparse import Namespace
from typing import Any

from updater.errors import UsageError

EXIT_CODES = (
    (0, "done, or nothing to do"),
    (1, "failed, or declined; the message says what, and what is unchanged"),
    (2, "usage, or a mistake in the configuration"),
    (3, "refused: signature, downgrade, policy, unsafe tree"),
    (4, "network: try again later"),
    (5, "busy: another osupdate is at work"),
    (6, "the reboot lock was not granted"),
    (7, "no space"),
    (8, "the new release failed its health checks and was left"),
    (100, "with --exit-code: a release is available (status, check)"),
    (101, "with --exit-code: a release is staged or armed (status)"),
    (102, "with --exit-code: what is available is not taken here (status, check)"),
    (130, "interrupted"),
)
"""Documented in docs/exit-codes.md too; a test compares."""


def exit_codes() -> list[str]:
    """The topic exit-codes."""
    rows = [f"  {code:>3}  {text}" for code, text in EXIT_CODES]
    more = [
        "",
        "With --exit-code, status says 4 when it cannot tell, and diff and verify",
        "say 1 when there is a difference.",
    ]
    return ["Exit codes of osupdate:", "", *rows, *more]


TOPICS = {"exit-codes": exit_codes}


def add(subparsers: Any) -> None:  # noqa: ANN401 - argparse has no public name for it
    """Put the verb into the parser."""
    parser = subparsers.add_parser(
        "help",
        help="a topic: exit-codes; or a command",
        description="Help on a topic (exit-codes) or a command.",
        epilog="examples:\n  osupdate help exit-codes\n  osupdate help apply",
    )
    parser.add_argument("topic", nargs="?", metavar="TOPIC", help="what about")
    parser.set_defaults(func=run, parsers=subparsers.choices)


def run(args: Namespace) -> int:
    """`osupdate help`.

    Raises:
        UsageError: there is no such topic.
    """
    if args.topic in TOPICS:
        args.console.page(TOPICS[args.topic]())
    elif args.topic in args.parsers:
        args.console.page(args.parsers[args.topic].format_help().rstrip().split("\n"))
    elif args.topic is None:
        names = ", ".join(sorted([*TOPICS, *args.parsers]))
        args.console.lines([f"Topics: {names}", "All commands: osupdate --help"])
    else:
        raise UsageError(
            f"there is no help on {args.topic}", hint="Topics: osupdate help"
        )
    return 0
