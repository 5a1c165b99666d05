"""argv to a namespace: the verbs, and the options that all of them take."""

import argparse
import os
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from updater import __version__
from updater.cli import (
    apply,
    auto,
    diff,
    host,
    lock,
    look,
    paths,
    policy,
    promote,
    publish,
    releases,
    site,
    topics,
    trust,
)
from updater.errors import UsageError

ON_MACHINE = (look, diff, releases, paths, apply, auto, policy, host)
VERBS = (*ON_MACHINE, lock, publish, promote, trust, site, topics)
"""The rooms of the verbs; each has `add(subparsers)`, which sets `func`."""

DEFAULTS = {
    "root": "/",
    "config": None,
    "json": False,
    "color": "auto",
    "no_pager": False,
    "offline": False,
    "yes": False,
    "quiet": False,
    "verbose": False,
}

_FLAGS = {
    ("--json",): "print JSON for programs (schemas: docs/json)",
    ("--no-pager",): "do not page long output on a terminal",
    ("--utc",): "times in UTC, as they always are today",
    ("--offline",): "do not use the network",
    ("--yes",): "answer every question with yes",
    ("-q", "--quiet"): "say only what must be read",
    ("-v", "--verbose"): "say why, down to the traceback",
}

_DESCRIPTION = """\
Updates whole operating systems from git: shown before, staged beside what runs,
taken back when bad. Without a command: status.
"""
_EPILOG = """\
examples:
  osupdate                      how this machine stands
  osupdate check                ask the channel
  osupdate apply --dry-run      what an update would change
  osupdate apply                fetch, verify, lay out, switch
  osupdate revert               go back

exit codes: osupdate help exit-codes
"""
_CHOICE = re.compile(r"argument COMMAND: invalid choice: '(.*)' \(choose from (.*)\)")


class Parser(argparse.ArgumentParser):
    """Takes the global options at any place; a mistake is a UsageError, not an exit."""

    machine_verbs: tuple[str, ...] = ()

    def __init__(self, **kw: Any) -> None:  # noqa: ANN401 - argparse's own
        kw.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(**kw, allow_abbrev=False, conflict_handler="resolve")
        _add_global_options(self)
        self.intermixed = False  # whether options may stand between arguments
        self._mixing = False

    def parse_known_args(
        self,
        args: Any = None,  # noqa: ANN401 - argparse's own
        namespace: Any = None,  # noqa: ANN401
    ) -> tuple[Any, list[str]]:
        """As argparse does, with options between arguments where that was asked for."""
        if not self.intermixed or self._mixing:
            return super().parse_known_args(args, namespace)
        self._mixing = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._mixing = False

    def error(self, message: str) -> NoReturn:
        """Instead of exiting.

        Raises:
            UsageError: always.
        """
        if match := _CHOICE.match(message):
            message = f"there is no command {match[1]}"
            import difflib  # noqa: PLC0415 - only for a mistake

            names = match[2].replace("'", "").split(", ")
            if close := difflib.get_close_matches(match[1], names, 1):
                message += f"; did you mean {close[0]}?"
        raise UsageError(message, hint=f"See: {self.prog} --help")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line.

    Returns:
        Every global option, the verb's own, `func`, which runs it, and `machine_verbs`,
        the names of those that act on the machine of --root.

    Raises:
        UsageError: an option or value that does not exist.
        SystemExit: after --help or --version.
    """
    parser = build()
    args = parser.parse_args(argv)
    if args.verb is None:
        args = parser.parse_args([*argv, "status"])
    for name, value in DEFAULTS.items():
        if not hasattr(args, name):
            setattr(args, name, value)
    args.root = os.path.abspath(args.root)
    args.machine_verbs = parser.machine_verbs
    if not os.path.isdir(args.root):
        raise UsageError(f"--root {args.root}: there is no such directory")
    return args


def build() -> Parser:
    """The parser of the whole command line."""
    parser = Parser(prog="osupdate", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument(
        "--version", action="version", version=f"osupdate {__version__}"
    )
    subparsers = parser.add_subparsers(dest="verb", metavar="COMMAND", title="commands")
    for room in VERBS:
        room.add(subparsers)
        if room in ON_MACHINE:
            parser.machine_verbs = tuple(subparsers.choices)
    return parser


def _add_global_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("options of every command")
    # SUPPRESS: an option before the verb must outlive the verb's own default.
    off = argparse.SUPPRESS
    group.add_argument(
        "--root",
        metavar="DIR",
        default=off,
        help="the directory that stands for / (works without root privileges)",
    )
    group.add_argument(
        "--config",
        metavar="FILE",
        default=off,
        help="read this configuration file in place of all others",
    )
    group.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default=off,
        help="auto: on a terminal, and without NO_COLOR",
    )
    for names, text in _FLAGS.items():
        group.add_argument(*names, action="store_true", default=off, help=text)
