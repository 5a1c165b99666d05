"""The verbs of updates without a person: auto, why."""

from argparse import Namespace
from typing import Any

from updater.cli.session import agent
from updater.report import gates


def add(subparsers: Any) -> None:  # noqa: ANN401 - argparse has no public name for it
    """Put the verbs into the parser."""
    parser = subparsers.add_parser(
        "auto",
        help="one step of updates without a person, for the timer",
        description="Look at the channel when that is due, stage what is to be taken,\n"
        "and switch to it when every gate is open. A closed gate is no failure.",
        epilog="examples:\n  osupdate auto\n"
        "  systemctl enable --now osupdate-auto.timer",
    )
    parser.set_defaults(func=run_auto)
    parser = subparsers.add_parser(
        "why",
        help="why the staged release does not run yet: every gate",
        description="Say what the staged release waits for: every gate in order, and\n"
        "the next openings of the window. Asks logind, and the hooks in gate.d; no\n"
        "network.",
        epilog="example:\n  osupdate why --json",
    )
    parser.set_defaults(func=run_why)


def run_auto(args: Namespace) -> int:
    """`osupdate auto`: one line, and 0 unless something went wrong."""
    args.yes = True  # nobody is there to be asked
    done = agent(args).auto()
    if args.console.json:
        args.console.object(gates.auto(done))
        return 0
    if done.alarm is not None:
        args.console.warn(f"osupdate: ALARM: {done.alarm}")
    args.console.lines([done.text.partition("\n")[0]], answer=True)
    return 0


def run_why(args: Namespace) -> int:
    """`osupdate why`."""
    found = agent(args).why()
    values = (found.running, found.waits, found.gates, found.plan, found.now)
    if args.console.json:
        args.console.object(gates.why(*values))
    else:
        args.console.lines(gates.lines(*values), answer=True)
    return 0
