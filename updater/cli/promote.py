"""The verb for those who say what machines should run: promote."""

import time
from argparse import Namespace
from typing import Any

from updater.cli import publisher
from updater.errors import UsageError

NO_REASON = "no reason given"

_ACTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("--rollout", {"type": int, "metavar": "HOURS", "help": "reach all over HOURS"}),
    (
        "--expires",
        {"type": int, "metavar": "DAYS", "default": 30, "help": "default: 30"},
    ),
    ("--barrier", {"action": "store_true", "help": "no machine may leave it out"}),
    (
        "--dead-end",
        {
            "type": int,
            "metavar": "NUMBER",
            "action": "append",
            "default": [],
            "help": "no update leads from this release",
        },
    ),
    ("--pause", {"action": "store_true", "help": "stop the rollout where it is"}),
    ("--resume", {"action": "store_true", "help": "let the rollout go on"}),
    (
        "--withdraw",
        {
            "type": int,
            "metavar": "NUMBER",
            "action": "append",
            "default": [],
            "help": "nobody is to take this release any more",
        },
    ),
    ("--refresh", {"action": "store_true", "help": "say the same, with a new expiry"}),
    ("--reason", {"metavar": "TEXT", "help": "why, for everybody to read"}),
)


def add(subparsers: Any) -> None:  # noqa: ANN401 - argparse has no public name for it
    """Put the verb into the parser."""
    parser = subparsers.add_parser(
        "promote",
        help="say which release a channel's machines should run",
        description="Write the next signed entry of a channel's log: offer VERSION, or"
        "\nchange what is said of the release that it offers.",
        epilog="examples:\n"
        "  osupdate promote 2026.05.1 --repo /srv/acme.git --to stable \\\n"
        "      --rollout 24 --key channel.key\n"
        "  osupdate promote --repo /srv/acme.git --to stable --pause \\\n"
        "      --key channel.key\n"
        "  osupdate promote --repo /srv/acme.git --to stable --withdraw 42 \\\n"
        "      --reason 'eats disks' --key channel.key",
    )
    parser.add_argument(
        "version", nargs="?", metavar="VERSION", help="default: the one it offers now"
    )
    parser.add_argument(
        "--repo", metavar="URL|DIR", required=True, help="the repository of releases"
    )
    parser.add_argument(
        "--channels",
        metavar="URL|DIR",
        help="the repository of channel logs (default: that of --repo)",
    )
    parser.add_argument("--to", metavar="CHANNEL", required=True, help="which channel")
    parser.add_argument(
        "--key",
        metavar="FILE",
        required=True,
        help="SSH key of the role channel; a public one when an agent has the other",
    )
    for name, options in _ACTIONS:
        parser.add_argument(name, **options)
    parser.set_defaults(func=run)


def run(args: Namespace) -> int:
    """`osupdate promote`."""
    _check(args)
    from updater.publish import promoted  # noqa: PLC0415 - loads libgit2
    from updater.publish.channel import PromoteRequest, promote  # noqa: PLC0415

    done = promote(
        PromoteRequest(
            repo=args.repo,
            channels=args.channels,
            channel=args.to,
            version=args.version,
            change=promoted.change(
                hours=args.rollout,
                expires=args.expires,
                barrier=args.barrier,
                dead_ends=tuple(args.dead_end),
                withdrawn=tuple(args.withdraw),
                pause=args.pause,
                resume=args.resume,
                reason=args.reason or NO_REASON,
            ),
            cache=publisher.cache(),
            now=int(time.time()),  # noqa: TID251 - publishing has no agent to read it
            key=publisher.key(args.key),
            agent=publisher.agent(),
        )
    )
    for notice in done.notices:
        args.console.warn(f"! {notice}")
    if args.console.json:
        args.console.object(promoted.to_json(done))
    else:
        args.console.lines(done.text.split("\n"), answer=True)
    return 0


def _check(args: Namespace) -> None:
    marks = args.barrier or args.dead_end or args.withdraw
    asked = marks or args.pause or args.resume or args.refresh
    asked = asked or args.rollout is not None
    if args.version is None and not asked:
        raise UsageError(
            "promote needs a VERSION, or what is to change",
            hint="To sign the same offer again: osupdate promote --refresh",
        )
    if (args.dead_end or args.withdraw) and not args.reason:
        raise UsageError("--dead-end and --withdraw need a --reason: people will ask")
    if args.reason and not marks:
        raise UsageError("--reason goes with --barrier, --dead-end or --withdraw")
