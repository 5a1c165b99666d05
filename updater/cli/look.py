"""The verbs that look: status, check, history, verify."""

from argparse import Namespace
from typing import Any

from updater.cli.session import agent
from updater.errors import UsageError
from updater.model import Verified
from updater.report import objects, outcomes
from updater.report import status as status_report

DIFFERENT = 1
AVAILABLE = 100
NOT_TAKEN = 102


def add(subparsers: Any) -> None:  # noqa: ANN401 - argparse has no public name for it
    """Put the verbs into the parser."""
    parser = subparsers.add_parser(
        "status",
        help="how this machine stands, and why",
        description="How this machine stands: the answer in the first line. Works\n"
        "without root and without the network.",
        epilog="examples:\n  osupdate status --short     one line, for a prompt\n"
        "  osupdate status --exit-code; [ $? = 100 ] && echo update available",
    )
    parser.add_argument("--short", action="store_true", help="one line")
    parser.add_argument(
        "--exit-code",
        action="store_true",
        help="100 available, 101 staged or armed, 102 held, 4 cannot tell",
    )
    parser.set_defaults(func=run_status)
    parser = subparsers.add_parser(
        "check",
        help="ask the channel for a newer release",
        description="Ask the channel what machines should run. Fetches no content.",
        epilog="example:\n  osupdate check --exit-code || osupdate apply --dry-run",
    )
    parser.add_argument(
        "--exit-code",
        action="store_true",
        help="100 available, 102 available and not taken here",
    )
    parser.set_defaults(func=run_check)
    parser = subparsers.add_parser(
        "history",
        help="what happened here, when, and who did it",
        description="The ledger, newest first.",
        epilog="example:\n  osupdate history -n 5",
    )
    parser.add_argument("-n", type=_count, metavar="N", help="only the newest N")
    parser.set_defaults(func=run_history)
    _add_verify(subparsers)
    _add_channel(subparsers)


def _add_channel(subparsers: Any) -> None:  # noqa: ANN401 - as below
    parser = subparsers.add_parser(
        "channel",
        help="which channel this machine follows, and what it says",
        description="Show the channel, and what it said last; with NAME, follow that\n"
        "one from now on. A channel that offers an older release is waited for.",
        epilog="examples:\n  osupdate channel\n  osupdate channel testing\n"
        "  osupdate channel stable --allow-downgrade",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="which one to follow")
    parser.add_argument(
        "--allow-downgrade",
        action="store_true",
        help="let the next update lead to an older release",
    )
    parser.set_defaults(func=run_channel)


def _add_verify(subparsers: Any) -> None:  # noqa: ANN401 - as above
    parser = subparsers.add_parser(
        "verify",
        help="compare what is on disk with what was released",
        description="Hash a deployment and compare it with its release: content,\n"
        "owners, modes, links. Without RELEASE: the one that runs.",
        epilog="examples:\n  osupdate verify\n  osupdate verify --repair previous",
    )
    parser.add_argument("release", nargs="?", metavar="RELEASE", help="which one")
    parser.add_argument("--all", action="store_true", help="every deployment")
    parser.add_argument(
        "--repair", action="store_true", help="bring back what the release has"
    )
    parser.add_argument("--exit-code", action="store_true", help="1 when different")
    parser.set_defaults(func=run_verify)


def run_status(args: Namespace) -> int:
    """`osupdate status`."""
    value = agent(args).status()
    console = args.console
    if console.json:
        console.object(objects.status(value))
    elif args.short:
        console.lines([status_report.one_line(value)])
    else:
        console.lines(status_report.text(value), answer=True)
    found = status_report.condition(value)
    return status_report.EXIT_CODES.get(found, 0) if args.exit_code else 0


def run_check(args: Namespace) -> int:
    """`osupdate check`."""
    value = agent(args, strict=True).check()
    if args.console.json:
        args.console.object(objects.check(value))
    else:
        args.console.lines(outcomes.check(value), answer=True)
    if not args.exit_code or value.available is None:
        return 0
    return AVAILABLE if value.obstacle is None else NOT_TAKEN


def run_channel(args: Namespace) -> int:
    """`osupdate channel`."""
    if args.allow_downgrade and args.name is None:
        raise UsageError("--allow-downgrade goes with the name of a channel")
    machine = agent(args, strict=args.name is not None)
    found = machine.channel(args.name, allow_downgrade=args.allow_downgrade)
    if args.console.json:
        args.console.object(objects.followed(found))
    else:
        args.console.lines(outcomes.followed(found), answer=True)
    return 0


def run_history(args: Namespace) -> int:
    """`osupdate history`."""
    entries = agent(args).history()
    if args.console.json:
        args.console.object(objects.history(entries, args.n))
    else:
        args.console.page(outcomes.history(entries, args.n))
    return 0


def run_verify(args: Namespace) -> int:
    """`osupdate verify`."""
    if args.all and args.release is not None:
        raise UsageError("verify takes a release or --all, not both")
    machine = agent(args)
    wanted: list[str | None] = [args.release]
    if args.all:
        value = machine.status()
        wanted = [record.id for record in value.state.deployments]
    found: list[Verified] = []
    for name in wanted:
        outcome = machine.verify(name, repair=args.repair)
        found.append(outcome)
        if not args.console.json:
            args.console.lines(outcomes.verified(outcome))
    if args.console.json:
        args.console.object(objects.verified(found))
    different = any(len(o.changes) > len(o.repaired) for o in found)
    return DIFFERENT if different and args.exit_code else 0


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number
