"""The verbs of a fleet's reboot lock."""

from argparse import ArgumentTypeError, Namespace
from typing import Any

from updater.errors import HostError

SERVICE_CONFIG = "etc/osupdate/lock.toml"
SHOWN = 30  # entries of the ledger

_EPILOG = """\
examples:
  osupdate lock status                           who is down, who waits, why
  osupdate lock acquire --wait 1h && reboot      by hand, or in a script
  osupdate lock release web3 --reason 'disk died'
  osupdate lock drain web --reason 'freeze until Monday'
  osupdate lock slots web 2 --reason 'hurry'
  osupdate lock log -n 50
  osupdate lock serve                            a service for this machine
"""


def add(subparsers: Any) -> None:  # noqa: ANN401 - argparse has no public name for it
    """Put the verb and its own verbs into the parser."""
    parser = subparsers.add_parser(
        "lock",
        help="the reboot lock of a fleet: who may be down, and why",
        description="At most so many nodes of a group are down at once. The service\n"
        "speaks FleetLock; [lock] url in the configuration names it.",
        epilog=_EPILOG,
    )
    verbs = parser.add_subparsers(dest="lock_verb", metavar="COMMAND", required=True)
    _add_looking(verbs)
    _add_node(verbs)
    _add_overrides(verbs)
    serve = verbs.add_parser(
        "serve",
        help="run the service",
        description="Run the lock service until SIGTERM or SIGINT. --config FILE is\n"
        f"the service's own file (default: /{SERVICE_CONFIG}, when it is there).",
        epilog="example:\n  osupdate lock serve --store sqlite:///srv/lock.db",
    )
    serve.add_argument("--listen", metavar="HOST:PORT", help="default: 127.0.0.1:9090")
    serve.add_argument(
        "--store",
        metavar="URL",
        help="sqlite:///PATH, or etcd://HOST:PORT,HOST:PORT for several services",
    )
    parser.set_defaults(func=run)


def _add_looking(verbs: Any) -> None:  # noqa: ANN401 - as above
    status = verbs.add_parser("status", help="who holds the lock, who waits, and why")
    _add_service(status)
    log = verbs.add_parser("log", help="what happened, oldest first")
    log.add_argument("-n", type=_count, metavar="N", default=SHOWN, help="the newest N")
    _add_service(log)


def _add_node(verbs: Any) -> None:  # noqa: ANN401 - as above
    acquire = verbs.add_parser("acquire", help="take the lock for this machine")
    acquire.add_argument("--reason", metavar="TEXT", default="by hand", help="why")
    acquire.add_argument(
        "--wait", metavar="TIME", type=_duration, help="ask until then: 90s, 10min, 1h"
    )
    acquire.add_argument("--id", metavar="ID", help="for this node, not this machine")
    _add_service(acquire)
    release = verbs.add_parser(
        "release",
        help="give the lock of this machine back, or take that of NODE away",
        description="Without NODE: give this machine's lock back. With NODE, an id or\n"
        "name, and --reason: take its slot or place away, as an administrator.",
    )
    release.add_argument("node", nargs="?", metavar="NODE", help="another node")
    release.add_argument("--reason", metavar="TEXT", help="why; needed with NODE")
    release.add_argument("--id", metavar="ID", help="for this node, not this machine")
    release.add_argument("--booted", metavar="RELEASE", help="what this machine runs")
    release.add_argument(
        "--verdict", choices=("good", "failed", "unchanged"), help="how that went"
    )
    _add_service(release)


def _add_overrides(verbs: Any) -> None:  # noqa: ANN401 - as above
    drain = verbs.add_parser("drain", help="grant nothing more in a group, or again")
    drain.add_argument("drained", nargs="?", metavar="GROUP", help="default: [lock]'s")
    drain.add_argument("--off", action="store_true", help="grant again")
    drain.add_argument("--reason", metavar="TEXT", required=True, help="why")
    _add_service(drain)
    slots = verbs.add_parser("slots", help="let N nodes of a group be down at once")
    slots.add_argument("changed", metavar="GROUP", help="made when there is none")
    slots.add_argument("count", metavar="N", type=_slots, help="0 to 10000")
    slots.add_argument("--reason", metavar="TEXT", required=True, help="why")
    _add_service(slots)


def _add_service(parser: Any) -> None:  # noqa: ANN401 - as above
    parser.add_argument("--group", metavar="GROUP", help="default: [lock] group")
    parser.add_argument("--url", metavar="URL", help="default: [lock] url")
    parser.add_argument(
        "--token-file", metavar="FILE", help="default: [lock] token_file"
    )


def run(args: Namespace) -> int:
    """`osupdate lock` and its own verb.

    Raises:
        HostError: the libraries for it are not installed.
    """
    try:
        from updater.cli import lock_verbs  # noqa: PLC0415 - loads aiohttp
    except ModuleNotFoundError as error:
        raise HostError(
            f"the reboot lock needs {error.name}, which is not installed",
            hint="It comes with: pip install 'osupdate[lock]'",
        ) from error
    verb: str = args.lock_verb
    return lock_verbs.VERBS[verb](args)


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 1000:
        raise ValueError
    return number


def _slots(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 10_000:
        raise ValueError
    return number


def _duration(text: str) -> int:
    from updater.lock.config import parse_duration  # noqa: PLC0415 - only for --wait

    try:
        return parse_duration(text)
    except ValueError as error:
        raise ArgumentTypeError(f'"{text}" is not {error}') from error
