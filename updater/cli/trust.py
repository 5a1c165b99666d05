"""The verb of the keys: trust. Publishers change them; a machine shows its own."""

import re
import time
from argparse import Namespace
from collections.abc import Callable
from typing import Any

from updater.cli import publisher
from updater.cli.session import agent
from updater.errors import HostError, UsageError
from updater.report import trust as report

ACTIONS = {
    "init": (0, "begin: the first keys"),
    "add": (2, "ROLE PUBKEY: let one more key have a role"),
    "revoke": (1, "KEY: let a key count for nothing, whatever it signed"),
    "rotate": (3, "ROLE KEY PUBKEY: put another key in the place of one"),
    "show": (0, "which keys count, on this machine or in a repository"),
}
_Edit = Callable[[dict[str, bytes]], dict[str, bytes]]
_ROLES = ("root", "release", "channel")
_DAY = re.compile(r"([0-9]{4})-?([0-9]{2})-?([0-9]{2})\Z")


def add(subparsers: Any) -> None:  # noqa: ANN401 - argparse has no public name for it
    """Put the verb into the parser."""
    parser = subparsers.add_parser(
        "trust",
        help="which keys count, and changing them",
        description="The keys that machines trust, in the signed branch trust.\n\n"
        + "\n".join(f"  {name:<7} {text}" for name, (_, text) in ACTIONS.items()),
        epilog="examples:\n"
        "  osupdate trust show\n"
        "  osupdate trust init --repo /srv/acme.git --root-key root.pub \\\n"
        "      --release-key release.pub --channel-key channel.pub --key root\n"
        "  osupdate trust rotate release SHA256:AbC... new.pub \\\n"
        "      --repo /srv/acme.git --key root\n\n"
        "PUBKEY is a file, KEY a file, a fingerprint or a comment.",
    )
    parser.add_argument("action", choices=tuple(ACTIONS), metavar="ACTION")
    parser.add_argument("keys", nargs="*", metavar="ARGUMENT")
    parser.add_argument("--repo", metavar="URL|DIR", help="where the branch trust is")
    parser.add_argument(
        "--key",
        metavar="FILE",
        action="append",
        default=[],
        help="root key that signs; once for each; a public one when an agent has it",
    )
    for role in _ROLES:
        parser.add_argument(
            f"--{role}-key",
            metavar="PUBKEY",
            action="append",
            default=[],
            help=f"init: a key of the role {role}",
        )
    parser.add_argument(
        "--threshold", type=int, metavar="N", help="root keys that must sign the next"
    )
    parser.add_argument(
        "--until", metavar="YYYY-MM-DD", help="add, rotate: the key ends on that day"
    )
    parser.set_defaults(func=run)


def run(args: Namespace) -> int:
    """`osupdate trust`."""
    count = ACTIONS[args.action][0]
    if len(args.keys) != count:
        raise UsageError(
            f"trust {args.action} takes {count} arguments, got {len(args.keys)}",
            hint="See: osupdate trust --help",
        )
    if args.action == "show":
        return _show(args)
    if args.repo is None or not args.key:
        raise UsageError(f"trust {args.action} needs --repo and --key")
    from updater.publish import trust  # noqa: PLC0415 - loads libgit2

    request = trust.TrustRequest(
        repo=args.repo,
        cache=publisher.cache(),
        now=int(time.time()),  # noqa: TID251 - publishing has no agent to read it
        keys=tuple(publisher.key(key) for key in args.key),
        agent=publisher.agent(),
    )
    if args.action == "init":
        done = trust.begin(request, _first(args), args.threshold or 1)
    else:
        edit, what = _edit(args)
        done = trust.change(request, edit, what, args.threshold)
    if args.console.json:
        args.console.object(report.to_json(trust.as_trusted(done.current, request.now)))
    else:
        args.console.lines(done.text.split("\n"), answer=True)
    return 0


def _show(args: Namespace) -> int:
    if args.repo is None:
        found = agent(args).trusted()
    else:
        from updater.publish import trust  # noqa: PLC0415 - loads libgit2

        now = int(time.time())  # noqa: TID251 - publishing has no agent to read it
        request = trust.TrustRequest(repo=args.repo, cache=publisher.cache(), now=now)
        found = trust.as_trusted(trust.read(request), now)
    if args.console.json:
        args.console.object(report.to_json(found))
    else:
        args.console.lines(report.text(found), answer=True)
    return 0


def _first(args: Namespace) -> dict[str, bytes]:
    from updater.publish import trust  # noqa: PLC0415 - loads libgit2

    given = {role: getattr(args, f"{role}_key") for role in _ROLES}
    missing = [f"--{role}-key" for role in _ROLES if not given[role]]
    if missing:
        raise UsageError(f"trust init needs {' and '.join(missing)}")
    files = trust.no_keys()
    for role, paths in given.items():
        for path in paths:
            files = trust.adding(role, _text(path), path, None)(files)
    return files


def _edit(
    args: Namespace,
) -> tuple[Callable[[dict[str, bytes]], dict[str, bytes]], str]:
    from updater.publish import trust  # noqa: PLC0415 - loads libgit2

    until = _until(args.until)
    if args.action == "revoke":
        (key,) = args.keys
        return trust.revoking(_text_or_name(key), key), f"Revoke {key}"
    role = args.keys[0]
    if role not in _ROLES:
        raise UsageError(f'"{role}" is not a role: expected {", ".join(_ROLES)}')
    path = args.keys[-1]
    adding = trust.adding(role, _text(path), path, until)
    if args.action == "add":
        return adding, f"Add {path} to {role}"
    old = args.keys[1]
    dropping = trust.dropping(role, _text_or_name(old), old)
    return lambda files: dropping(adding(files)), f"Rotate {role} to {path}"


def _until(text: str | None) -> str | None:
    if text is None:
        return None
    match = _DAY.match(text)
    if not match:
        raise UsageError(f'--until "{text}" is not a day such as 2027-05-16')
    return "".join(match.groups())


def _text(path: str) -> str:
    """The content of a public key file."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read(1 << 16)
    except (OSError, UnicodeDecodeError) as error:
        raise HostError(f"cannot read the public key {path}: {error}") from error


def _text_or_name(name: str) -> str:
    try:
        with open(name, encoding="utf-8") as file:
            return file.read(1 << 16)
    except (OSError, UnicodeDecodeError):
        return name
