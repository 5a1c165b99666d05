"""What every verb that works on this machine needs: its settings, and the agent."""

from argparse import Namespace
from typing import TYPE_CHECKING

from updater import config
from updater.cli.console import JsonLines, StageLines

if TYPE_CHECKING:
    from updater.agent import Agent

_NAMED = 5  # keys in a warning


def settings(args: Namespace, *, strict: bool) -> config.Loaded:
    """The configuration; what a tolerant load passed over is printed as warnings.

    Raises:
        ConfigError: every mistake at once.
    """
    loaded = config.load(args.root, args.config, strict=strict)
    for warning in loaded.warnings:
        args.console.warn(f"osupdate: warning: {warning}")
    if loaded.doubts:
        keys = ", ".join(loaded.doubts)
        if len(loaded.doubts) > _NAMED:
            keys = f"{len(loaded.doubts)} keys"
        args.console.warn(f"osupdate: warning: going on with the defaults of {keys}")
    return loaded


def agent(
    args: Namespace,
    *,
    strict: bool = False,
    watcher: StageLines | JsonLines | None = None,
) -> "Agent":
    """The agent of this machine.

    Args:
        args: the parsed command line.
        strict: refuse a configuration with mistakes: for verbs that change things by
            what a remote says, and those that nobody needs in trouble.
        watcher: who hears its progress; the console's own when None.
    """
    loaded = settings(args, strict=strict)
    # Here, because help, config and a mistake do not pay for it.
    from updater.agent import Agent  # noqa: PLC0415

    return Agent(
        loaded.settings,
        args.root,
        watcher or args.console.watcher(),
        offline=args.offline,
        doubts=loaded.doubts,
    )
