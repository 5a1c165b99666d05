"""The verb for those who make releases: publish."""

import os
import time
from argparse import Namespace
from datetime import UTC, datetime
from io import BufferedReader
from typing import Any

from updater.cli import publisher
from updater.errors import HostError, OsupdateError, UsageError
from updater.publish.defaults import DEFAULT_EXCLUDES
from updater.report.words import plural, size

_RFC3339 = "%Y-%m-%dT%H:%M:%SZ"

_OPTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("--repo", {"metavar": "URL|DIR", "required": True, "help": "the repository"}),
    ("--product", {"required": True, "help": "what the releases are of"}),
    ("--version", {"required": True, "help": "what people call this one"}),
    (
        "--number",
        {"type": int, "help": "decides the order (default: the last, plus 1)"},
    ),
    ("--arch", {"help": "default: what most of its packages are built for"}),
    ("--notes", {"metavar": "FILE", "help": "release notes; the headline comes first"}),
    ("--key", {"metavar": "FILE", "help": "SSH key that signs the release tag"}),
    (
        "--provenance",
        {"metavar": "FILE", "help": "JSON, path -> recipe file, for osupdate blame"},
    ),
    ("--source", {"metavar": "URL", "default": "", "help": "where its recipe lies"}),
    ("--created", {"metavar": "TIME", "help": "default: SOURCE_DATE_EPOCH, else now"}),
    ("--channel", {"metavar": "CHANNEL", "help": "let this channel offer it, too"}),
    ("--channels", {"metavar": "URL|DIR", "help": "where channel logs are, if apart"}),
    (
        "--channel-key",
        {"metavar": "FILE", "help": "signs it (default: --key)"},
    ),
    ("--security-floor", {"type": int, "metavar": "N", "help": "refuse older than N"}),
)
_LISTS: tuple[tuple[str, str, str], ...] = (
    ("--exclude", "PATTERN", "leave these paths out too"),
    ("--include", "PATTERN", "keep these although they are left out by default"),
    ("--allow-secret", "PATH", "publish this secret; every machine will share it"),
    ("--allow-id-change", "NAME", "let this user or group have another number"),
    ("--changelogs", "DIR", ".deb files or documentation of what changed"),
)


def add(subparsers: Any) -> None:  # noqa: ANN401 - argparse has no public name for it
    """Put the verb into the parser."""
    width = max(len(pattern) for pattern, _ in DEFAULT_EXCLUDES)
    rows = [f"  {pattern:<{width}}  {why}" for pattern, why in DEFAULT_EXCLUDES]
    parser = subparsers.add_parser(
        "publish",
        help="make a release of a root filesystem",
        description="Make one signed release commit of a directory, or of a tar archive"
        "\n(plain, gz, bz2, xz, zst; - is stdin), and push it.",
        epilog="left out by default:\n" + "\n".join(rows) + "\n\nexample:\n"
        "  osupdate publish ./rootfs --repo /srv/acme.git --product acme-gw \\\n"
        "      --version 2026.05.1 --notes notes.md --key release.key",
    )
    parser.add_argument("rootfs", metavar="ROOTFS", help="directory, tar file, or -")
    for name, options in _OPTIONS:
        parser.add_argument(name, **options)
    for name, metavar, text in _LISTS:
        parser.add_argument(
            name, metavar=metavar, action="append", default=[], help=text
        )
    parser.add_argument(
        "--no-default-excludes", action="store_true", help="leave nothing out"
    )
    parser.add_argument(
        "--draft-notes",
        action="store_true",
        help="print a draft of the notes and publish nothing",
    )
    parser.add_argument(
        "--unsigned",
        action="store_true",
        help="publish without --key; no machine in mode signed or tag will take it",
    )
    parser.set_defaults(func=run)


def run(args: Namespace) -> int:
    """`osupdate publish`."""
    if args.draft_notes:
        return _draft(args)
    from updater.publish import outcome  # noqa: PLC0415 - loads libgit2
    from updater.publish.release import publish  # noqa: PLC0415

    began = time.monotonic()
    _check_channel(args)
    progress = _Progress(args)
    published = publish(_request(args), stdin=_stdin(args), progress=progress.report)
    progress.end()
    took = time.monotonic() - began
    for notice in published.notices:
        args.console.warn(f"! {notice}")
    if args.console.json:
        args.console.object(outcome.to_json(published, took))
    else:
        args.console.lines(published.text.split("\n"), answer=True)
        args.console.lines([f"It took {took:.1f} s."])
    return 0 if args.channel is None else _offer(args, published.version)


def _check_channel(args: Namespace) -> None:
    if args.channel is None:
        if args.channels or args.channel_key:
            raise UsageError("--channels and --channel-key go with --channel")
        return
    if args.unsigned:
        raise UsageError("a channel cannot offer an unsigned release")
    for key in filter(None, (args.key, args.channel_key)):
        publisher.key(key)


def _offer(args: Namespace, version: str) -> int:
    """Let a channel offer what was published, unless it does already."""
    from updater.publish import channel, promoted  # noqa: PLC0415 - loads libgit2

    request = channel.PromoteRequest(
        repo=args.repo,
        channels=args.channels,
        channel=args.channel,
        version=version,
        change=promoted.change(),
        cache=publisher.cache(),
        now=int(time.time()),  # noqa: TID251 - publishing has no agent to read it
        key=args.channel_key or args.key,
        agent=publisher.agent(),
    )
    try:
        before = channel.current(request)
        if before is not None and before.release == version:
            return 0
        done = channel.promote(request)
    except OsupdateError as error:
        error.unchanged = (
            f"{version} is published; channel {args.channel} says what it said."
        )
        error.hint = error.hint or "Then: osupdate promote"
        raise
    for notice in done.notices:
        args.console.warn(f"! {notice}")
    if not args.console.json:
        args.console.lines(done.text.split("\n"))
    return 0


def _draft(args: Namespace) -> int:
    """`osupdate publish --draft-notes`: Markdown on stdout, nothing else happens."""
    from updater.agent.draft import draft  # noqa: PLC0415 - loads libgit2

    progress = _Progress(args)
    text = draft(_request(args), stdin=_stdin(args), progress=progress.report)
    progress.end()
    args.console.lines(text.rstrip("\n").split("\n"))
    return 0


def _stdin(args: Namespace) -> BufferedReader | None:
    return open(0, "rb", closefd=False) if args.rootfs == "-" else None


def _request(args: Namespace) -> Any:  # noqa: ANN401 - imported lazily
    from updater.publish.request import PublishRequest  # noqa: PLC0415 - loads libgit2

    return PublishRequest(
        rootfs=args.rootfs,
        repo=args.repo,
        product=args.product,
        version=args.version,
        cache=publisher.cache(),
        created=_created(args.created),
        machine=os.uname().machine,
        number=args.number,
        arch=args.arch,
        notes=_notes(args.notes),
        provenance=_read(args.provenance, "provenance"),
        key=args.key,
        agent=publisher.agent(),
        unsigned=args.unsigned,
        source=args.source,
        security_floor=args.security_floor,
        excludes=tuple(args.exclude),
        includes=tuple(args.include),
        default_excludes=not args.no_default_excludes,
        allow_secrets=tuple(args.allow_secret),
        allow_id_changes=tuple(args.allow_id_change),
        changelogs=tuple(args.changelogs),
    )


def _created(text: str | None) -> int:
    if text is None:
        text = os.environ.get("SOURCE_DATE_EPOCH")
    if text is None:
        return int(time.time())  # noqa: TID251 - publishing has no agent to read it
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        return int(datetime.strptime(text, _RFC3339).replace(tzinfo=UTC).timestamp())
    except ValueError as error:
        raise UsageError(
            f'the time "{text}" is neither like 2026-05-16T14:02:11Z nor seconds since '
            "1970"
        ) from error


def _notes(path: str | None) -> str | None:
    data = _read(path, "notes")
    try:
        return None if data is None else data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"the notes {path} are not UTF-8") from error


def _read(path: str | None, what: str) -> bytes | None:
    if path is None:
        return None
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise HostError(f"cannot read the {what} {path}: {error.strerror}") from error


class _Progress:
    """Stage lines on stderr; none for programs."""

    _UNITS = {"hash": "files", "changes": "sources", "send": "objects"}  # noqa: RUF012 - a constant

    def __init__(self, args: Namespace) -> None:
        self._watcher = None if args.console.json else args.console.watcher()
        self._stages = ["hash"]
        if args.changelogs:  # reading packages takes seconds, documentation does not
            self._stages.append("changes")
        if "://" in args.repo:
            self._stages.append("send")
        self._now: str | None = None
        self._text = ""

    def report(self, what: str, done: int, of: int, count: int) -> None:
        """How far one stage is."""
        if self._watcher is None or what not in self._stages:
            return
        unit = self._UNITS[what]
        if what != self._now:
            self.end()
            number = self._stages.index(what) + 1
            self._watcher.stage(number, len(self._stages), what)
            self._now = what
        self._text = plural(of, unit.removesuffix("s"))
        if count:
            self._text += f", {size(count)}"
        self._watcher.progress(done, of, unit)

    def end(self) -> None:
        """The stage that was under way ended well."""
        if self._watcher is not None and self._now is not None:
            self._watcher.done(self._text)
            self._now = None
