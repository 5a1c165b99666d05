"""The verbs that say what this machine takes: hold, unhold, pin."""

from argparse import Namespace
from typing import Any

from updater.cli.session import agent
from updater.errors import UsageError
from updater.report import objects, outcomes

DEFAULT_REASON = "no reason given"


def add(subparsers: Any) -> None:  # noqa: ANN401 - argparse has no public name for it
    """Put the verbs into the parser."""
    parser = subparsers.add_parser(
        "hold",
        help="do not take a release, or any",
        description="Do not take RELEASE here; without RELEASE, take none at all.",
        epilog="examples:\n  osupdate hold 2026.05.1 --reason 'breaks the printer'\n"
        "  osupdate hold --reason 'trade fair until Friday'",
    )
    parser.add_argument("release", nargs="?", metavar="RELEASE", help="which one")
    parser.add_argument("--reason", metavar="TEXT", default=DEFAULT_REASON, help="why")
    parser.set_defaults(func=run_hold)
    parser = subparsers.add_parser(
        "unhold",
        help="take a held release again",
        description="Take RELEASE again; without RELEASE, end every hold.",
        epilog="example:\n  osupdate unhold 2026.05.1",
    )
    parser.add_argument("release", nargs="?", metavar="RELEASE", help="which one")
    parser.set_defaults(func=run_unhold)
    parser = subparsers.add_parser(
        "pin",
        help="stay on one release",
        description="Stay on RELEASE: no other is taken, and gc keeps it.",
        epilog="examples:\n  osupdate pin 2026.04.2\n  osupdate pin --off",
    )
    parser.add_argument("release", nargs="?", metavar="RELEASE", help="which one")
    parser.add_argument("--off", action="store_true", help="take newer ones again")
    parser.set_defaults(func=run_pin)


def run_hold(args: Namespace) -> int:
    """`osupdate hold`."""
    held = agent(args, strict=True).hold(args.release, args.reason)
    if args.console.json:
        items = [] if held is None else [held]
        args.console.object(objects.holds(held=items, released=[], paused=held is None))
    else:
        args.console.lines(outcomes.held(held, args.reason), answer=True)
    return 0


def run_unhold(args: Namespace) -> int:
    """`osupdate unhold`."""
    released = agent(args, strict=True).unhold(args.release)
    if args.console.json:
        paused = False if args.release is None else None
        args.console.object(objects.holds(held=[], released=released, paused=paused))
    else:
        args.console.lines(outcomes.unheld(released), answer=True)
    return 0


def run_pin(args: Namespace) -> int:
    """`osupdate pin`."""
    if args.off == (args.release is not None):
        raise UsageError("pin takes either a release or --off")
    version = agent(args, strict=True).pin(args.release)
    if args.console.json:
        args.console.object(objects.pin(version))
    else:
        args.console.lines(outcomes.pinned(version), answer=True)
    return 0
