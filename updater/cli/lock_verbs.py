"""What the verbs of the reboot lock do. Loads aiohttp, and so is loaded late."""

import getpass
import logging
import os
import sys
import time
from argparse import Namespace
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from updater.cli.lock import SERVICE_CONFIG
from updater.cli.session import settings
from updater.errors import ConfigError, HostError, UsageError
from updater.lock import client, config, lines, office
from updater.lock.access import Access, access, node_id
from updater.lock.client import Ask, Outcome, Proof, Verdict
from updater.lock.serve import serve
from updater.lock.status import GroupStatus, Status, as_object, only_group
from updater.report.words import plural, safe
from updater.settings import LockSettings, Settings

REFUSED = 3
UNREACHABLE = 4
NOT_GRANTED = 6


class Desk(Struct, frozen=True):
    """The service that a verb talks to, and what is set about it."""

    settings: Settings
    lock: LockSettings
    access: Access


def run_serve(args: Namespace) -> int:
    """`osupdate lock serve`."""
    default = os.path.join(args.root, SERVICE_CONFIG)
    path = args.config or (default if os.path.exists(default) else None)
    loaded = config.load(path, listen=args.listen, store=args.store)
    # The ledger, for the journal, which has its own times.
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)

    def ready(url: str, store: str) -> None:
        if args.console.json:
            return
        groups = ", ".join(
            f"{name} ({plural(one.slots, 'slot')})"
            for name, one in loaded.groups.items()
        )
        who = "everybody who reaches it" if loaded.open else f"by {loaded.auth.nodes}"
        args.console.warn(f"Serving {url}   store {store}")
        args.console.warn(f"Groups: {groups}   nodes: {who}")

    serve(loaded, ready)
    return 0


def run_status(args: Namespace) -> int:
    """`osupdate lock status`."""
    desk = _desk(args)
    value = office.status(desk.access)
    _check_group(value, args.group)
    if args.console.json:
        args.console.object(as_object(only_group(value, args.group)))
        return 0
    try:
        me = _own_id(args, desk)
    except HostError:
        me = None
    args.console.lines(
        lines.status(value, desk.access.url, me, args.group), answer=True
    )
    return 0


def run_log(args: Namespace) -> int:
    """`osupdate lock log`."""
    value = office.log(_desk(args).access, after=None, limit=args.n)
    if args.console.json:
        args.console.object(as_object(value))
    else:
        args.console.page(lines.log(value))
    return 0


def run_acquire(args: Namespace) -> int:
    """`osupdate lock acquire`."""
    desk = _desk(args)
    group = desk.lock.group
    ask = Ask(_own_id(args, desk), name=os.uname().nodename, why=args.reason)
    until = time.monotonic() + (args.wait or 0)
    while True:
        outcome = client.pre_reboot(desk.access, group, ask)
        left = until - time.monotonic()
        if left <= 0 or not isinstance(outcome, client.Wait | client.Unreachable):
            break
        pause = min(outcome.retry_after, left)
        if not args.console.quiet:
            told = lines.acquired(outcome, group)[0]
            args.console.warn(f"{told}; asking again in {pause:.0f}s")
        time.sleep(pause)
    return _tell(args, outcome, lines.acquired(outcome, group))


def run_release(args: Namespace) -> int:
    """`osupdate lock release`."""
    if args.node is not None:
        return _force(args)
    if args.reason is not None:
        raise UsageError("--reason is for the lock of another NODE")
    if (args.booted is None) != (args.verdict is None):
        raise UsageError("--booted and --verdict go together")
    desk = _desk(args)
    proof = Proof(
        _own_id(args, desk),
        name=os.uname().nodename,
        booted=args.booted or "",
        verdict=Verdict(args.verdict) if args.verdict else None,
    )
    outcome = client.steady_state(desk.access, desk.lock.group, proof)
    return _tell(args, outcome, lines.released(outcome, desk.lock.group))


def _force(args: Namespace) -> int:
    if not args.reason:
        raise UsageError(
            "taking the lock of another node away needs --reason TEXT",
            hint="It is recorded, for whoever asks later why two nodes were down.",
        )
    if args.id or args.booted or args.verdict:
        raise UsageError("--id, --booted and --verdict are for this machine's own lock")
    desk = _desk(args)
    group, node = find(office.status(desk.access), args.node, args.group)
    note = office.force(desk.access, group, node, args.reason, _actor())
    return _done(args, f"Released: {safe(node, 64)} in {group}", note)


def run_drain(args: Namespace) -> int:
    """`osupdate lock drain`."""
    desk = _desk(args)
    group = args.drained or desk.lock.group
    note = office.drain(desk.access, group, not args.off, args.reason, _actor())
    return _done(
        args, f"{group} grants {'again' if args.off else 'nothing more'}", note
    )


def run_slots(args: Namespace) -> int:
    """`osupdate lock slots`."""
    desk = _desk(args)
    note = office.slots(desk.access, args.changed, args.count, args.reason, _actor())
    return _done(args, f"{args.changed} has {plural(args.count, 'slot')}", note)


VERBS: dict[str, Callable[[Namespace], int]] = {
    "serve": run_serve,
    "status": run_status,
    "log": run_log,
    "acquire": run_acquire,
    "release": run_release,
    "drain": run_drain,
    "slots": run_slots,
}


def find(value: Status, wanted: str, group: str | None) -> tuple[str, str]:
    """Group and id of the one holder or waiting node that a person means.

    Raises:
        UsageError: there is none, or several are called so.
    """
    _check_group(value, group)
    known = [
        (one.name, node_, name)
        for one in value.groups
        if group in (None, one.name)
        for node_, name in _nodes(one)
    ]
    for matches in (
        [(g, i) for g, i, _ in known if i == wanted],
        [(g, i) for g, i, name in known if name == wanted],
        [(g, i) for g, i, _ in known if len(wanted) >= 4 and i.startswith(wanted)],
    ):
        if len(matches) == 1:
            return matches[0]
        if matches:
            several = ", ".join(f"{safe(i, 64)} in {g}" for g, i in matches)
            raise UsageError(f'"{wanted}" may be any of {several}: say more of it')
    raise UsageError(
        f'no node "{wanted}" holds the lock or is shown to wait for it',
        hint="See: osupdate lock status",
    )


def _nodes(group: GroupStatus) -> list[tuple[str, str]]:
    """Id and name of everybody who holds or waits."""
    holders = [(one.id, one.name) for one in group.holders]
    return holders + [(place.id, place.name) for place in group.queue]


def _check_group(value: Status, group: str | None) -> None:
    names = [one.name for one in value.groups]
    if group is not None and group not in names:
        raise UsageError(
            f'the service has no group "{group}"',
            hint=f"It has: {', '.join(safe(name, 100) for name in names) or 'none'}",
        )


def _desk(args: Namespace) -> Desk:
    """The service, from the settings and the command line.

    Raises:
        ConfigError: none is named, or it is not usable.
    """
    loaded = settings(args, strict=True).settings
    token = args.token_file and os.path.abspath(args.token_file)
    given = {"group": args.group, "url": args.url, "token_file": token}
    lock = replace(
        loaded.lock, **{key: value for key, value in given.items() if value is not None}
    )
    if lock.url is None:
        raise ConfigError(
            "no lock service is named: [lock] url is not set",
            hint="Set it, or give --url URL.",
        )
    if args.offline:
        raise UsageError("the lock is in the network, which --offline forbids")
    made = access(
        lock.url,
        ca=lock.ca,
        cert=lock.cert,
        key=lock.key,
        token_file=lock.token_file,
        proxy=lock.proxy,
        secrets_dir=os.environ.get("CREDENTIALS_DIRECTORY"),
    )
    return Desk(loaded, lock, made)


def _own_id(args: Namespace, desk: Desk) -> str:
    given = getattr(args, "id", None)
    return given or node_id(args.root, desk.settings.node.id)


def _actor() -> str:
    try:
        return f"{getpass.getuser()}@{os.uname().nodename}"
    except (KeyError, OSError):
        return f"uid {os.getuid()}@{os.uname().nodename}"


def _tell(args: Namespace, outcome: Outcome, told: list[str]) -> int:
    if args.console.json:
        args.console.object(client.as_object(outcome))
    else:
        args.console.lines(told, answer=True)
    match outcome:
        case client.Granted():
            return 0
        case client.Wait():
            return NOT_GRANTED
        case client.Refused():
            return REFUSED
        case client.Unreachable():
            return UNREACHABLE


def _done(args: Namespace, what: str, note: str) -> int:
    if args.console.json:
        args.console.object(
            {"schema": "osupdate.lock-change/1", "text": what, "note": note}
        )
    else:
        args.console.lines([f"{what} ({note})" if note else what], answer=True)
    return 0
