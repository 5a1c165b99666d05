"""The doctor: everything that an update and the way back will need, looked at.

It changes nothing, needs no network, and never stops at what it finds: what cannot be
looked at is a finding too.
"""

import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator

from updater.agent import care, credentials, memory
from updater.agent import look as looking
from updater.agent.room import BUILT, Room
from updater.core import machine, urls
from updater.core.signers import Key
from updater.core.text import plural, safe, show_path, size
from updater.core.times import minute
from updater.errors import OsupdateError
from updater.model import Finding, Phase, Record, State, TrustMode
from updater.steps.inspect import repairable
from updater.system import clock, fs, lockfile, signature
from updater.system.git.keeper import Keeper
from updater.system.git.prepared import unprivileged_user

LOW_SPACE = 256 << 20  # bytes
LOW_FILES = 50_000  # inodes
SHORTLY = 3 * 86400  # seconds before a channel's entry expires
SOON = 30 * 86400  # seconds before a key expires

Check = Callable[[Room, State], Iterable[Finding]]


def look(room: Room) -> list[Finding]:
    """Everything, in the order in which a person would ask."""
    state, found = _load(room)
    for topic, check in CHECKS:
        try:
            found += check(room, state)
        except PermissionError as error:
            where = f": {os.fsdecode(error.filename)}" if error.filename else ""
            text = f"cannot be looked at{where}: {error.strerror}"
            found.append(Finding("warning", topic, text, "Run it as root."))
        except OSError as error:
            where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
            found.append(Finding("problem", topic, f"{where}{error.strerror}"))
        except OsupdateError as error:
            found.append(Finding("problem", topic, str(error), error.hint))
    return found


def _load(room: Room) -> tuple[State, list[Finding]]:
    try:
        state = room.load()
    except OsupdateError as error:
        return State(), [Finding("problem", "state", str(error), error.hint)]
    text = f"{plural(len(state.deployments), 'deployment')}, phase {state.phase}"
    try:
        memory.require_whole(room.layout)
    except OsupdateError as error:
        return state, [Finding("problem", "state", str(error), error.hint)]
    return state, [Finding("ok", "state", text)]


def _config(room: Room, _: State) -> Iterator[Finding]:
    for mistake in dict.fromkeys(room.doubts.values()):
        yield Finding("problem", "config", mistake, "All: osupdate config --check")


def _busy(room: Room, state: State) -> Iterator[Finding]:
    if lockfile.is_held(room.layout.lock):
        text = "another osupdate is at work; what follows may change meanwhile"
        yield Finding("warning", "lock", text)
    elif state.phase is not Phase.IDLE:
        text = f"a transition stands at {state.phase}"
        hint = "Finish or drop it: osupdate status"
        yield Finding("warning", "phase", text, hint)
    if state.paused is not None:
        text = f"all updates are on hold: {safe(state.paused, 200)}"
        yield Finding("warning", "hold", text, "Take them again: osupdate unhold")
    last = state.last_check
    if last is not None and last.error is not None:
        text = f"the last check failed, {minute(last.at)}: {safe(last.error, 300)}"
        yield Finding("warning", "check", text, "Try again: osupdate check")


def _remote(room: Room, _: State) -> Iterator[Finding]:
    if not room.knows("remote.url", "remote.channel"):
        return
    remote = room.settings.remote
    if not remote.url:
        hint = "Set it in /etc/osupdate/config.toml; docs/config.md has an example"
        yield Finding("problem", "remote", "[remote] url is not set", hint)
        return
    location = urls.parse_remote(remote.url, allow_plain=room.allow_plain)
    if location.scheme == "file" and not _is_directory(location.path):
        text = f"{location.path} is not a directory"
        hint = "Is a disk to be mounted there, or remote.url wrong?"
        yield Finding("problem", "remote", text, hint)
        return
    unprivileged_user()
    text = f"{safe(remote.channel, 80)} of {safe(urls.shown(remote.url), 200)}"
    yield Finding("ok", "remote", text)


def _is_directory(path: str) -> bool:
    """As os.path.isdir, which calls what one may not look at missing."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _credentials(room: Room, _: State) -> Iterator[Finding]:
    if room.settings.remote.url and room.knows("remote"):
        yield from credentials.look(room)


def _trust(room: Room, state: State) -> Iterator[Finding]:
    if not room.knows("trust"):
        return
    if room.mode is TrustMode.UNSIGNED:
        text = "UNSIGNED: whoever controls the remote controls this machine"
        yield Finding("warning", "trust", text, 'Sign releases: trust.mode = "tag"')
        return
    names = ["release"] + ["channel"] * (room.mode is TrustMode.SIGNED)
    for name in names:
        yield from _role(signature.load_role(room.layout.root, name), room, state)


def _role(role: signature.Role, room: Room, state: State) -> Iterator[Finding]:
    now = room.device_time(state)
    revoked = {key.key for key in role.revoked}
    good = 0
    for key in role.signers:
        wrong = "is revoked" if key.key in revoked else _invalid(key, now)
        if wrong is not None:
            text = f"the key {key.name} of {key.where} {wrong}"
            yield Finding("warning", "trust", text)
            continue
        good += 1
        if key.before is not None and key.before <= now + SOON:
            text = f"the key {key.name} of {key.where} expires {minute(key.before)}"
            hint = "Trust the publisher's next key before that"
            yield Finding("warning", "trust", text, hint)
    if good:
        count = f"{good} {role.name} key{'s are' if good > 1 else ' is'}"
        yield Finding("ok", "trust", f"{count} valid now, of {role.place}")
    else:
        text = f"no key in {role.place} is valid now: everything is refused"
        hint = "Get the publisher's new key, from somewhere else than the releases"
        yield Finding("problem", "trust", text, hint)


def _channel(room: Room, state: State) -> Iterator[Finding]:
    log = room.accepted(state)
    if log is None:
        return
    name, now = safe(log.channel, 100), room.device_time(state)
    until = minute(log.entry.expires)
    hint = "Its publisher signs it again: osupdate promote --refresh"
    if log.entry.expires <= now:
        text = f"what {name} said expired {until}: nothing is taken"
        yield Finding("problem", "channel", text, hint)
    elif log.entry.expires <= now + SHORTLY:
        yield Finding("warning", "channel", f"what {name} said expires {until}", hint)
    else:
        text = f"entry {log.entry.number} of {name} counts until {until}"
        yield Finding("ok", "channel", text)


def _invalid(key: Key, now: int) -> str | None:
    if key.before is not None and key.before <= now:
        return f"expired {minute(key.before)}"
    if key.after is not None and key.after > now:
        return f"is not valid before {minute(key.after)}"
    return None


def _program(room: Room, _: State) -> Iterator[Finding]:
    if room.mode is not TrustMode.UNSIGNED:
        signature.require_program()
        yield Finding("ok", "ssh-keygen", "is installed")


def _clock(room: Room, state: State) -> Iterator[Finding]:
    now, hint = room.now(), "Set the clock: timedatectl; or, without it: date -s"
    newest = max((record.created for record in state.deployments), default=0)
    if now < BUILT:
        text = f"it is {minute(now)} here, before this version of osupdate was made"
        yield Finding("problem", "clock", text, hint)
    elif now < newest:
        text = f"it is {minute(now)} here, and a release here is of {minute(newest)}"
        yield Finding("warning", "clock", text, hint)
    elif clock.is_synchronised() is False:
        text = f"it is {minute(now)} here, and nobody keeps the clock right"
        yield Finding("warning", "clock", text, "Is a time service running?")
    else:
        yield Finding("ok", "clock", f"it is {minute(now)} here")


def _disk(room: Room, _: State) -> Iterator[Finding]:
    filesystems: dict[int, str] = {}
    for path in (room.layout.deployments, room.layout.state_dir):
        while not os.path.exists(path):
            path = os.path.dirname(path)  # noqa: PLW2901 - the part that is there
        filesystems.setdefault(os.stat(path).st_dev, path)
    for path in filesystems.values():
        facts = os.statvfs(path)
        free, files = facts.f_bavail * facts.f_frsize, facts.f_favail
        text = f"{size(free)} free in {path}"
        if free < LOW_SPACE:
            yield Finding("warning", "disk", text, "Free some: osupdate gc")
        elif facts.f_files and files < LOW_FILES:
            text = f"{files:,} inodes free in {path}"
            yield Finding("warning", "disk", text, "Free some: osupdate gc")
        else:
            yield Finding("ok", "disk", text)
    if os.access(room.layout.deployments, os.W_OK):
        shares = "reflinks" if fs.can_clone(room.layout.deployments) else ""
        text = f"unchanged files become {shares or 'hardlinks'}"
        yield Finding("ok", "sharing", text)
    if shutil.which("git") is None:
        yield Finding("ok", "git", "is not installed, and not needed")


def _objects(room: Room, state: State) -> Iterator[Finding]:
    path = room.layout.repository
    if not state.deployments:
        return
    hint = "Fetch anew what it had: osupdate apply --full"
    if not os.path.isdir(path):
        yield Finding("problem", "objects.git", f"{path} is missing", hint)
        return
    os.listdir(path)  # whoever may not look learns that first
    keeper = Keeper(path)
    if keeper.is_damaged():
        yield Finding("problem", "objects.git", f"{path} is damaged", hint)
        return
    objects = looking.open_kept(room)
    lost = [r for r in state.deployments if r.commit not in objects]
    for record in lost:
        text = f"the commit of {safe(record.version, 80)} is not in {path}"
        hint = f"Fetch it: osupdate apply {safe(record.version, 80)} --full"
        yield Finding("warning", "objects.git", text, hint)
    if not lost:
        yield Finding("ok", "objects.git", "every object can be read")


def _running(room: Room, state: State) -> Iterator[Finding]:
    _require_open(room)
    running = room.running(state)
    if running is None:
        if state.deployments:
            text = f"{room.layout.current} points at no deployment that is known here"
            hint = "Choose one: osupdate apply VERSION"
            yield Finding("problem", "current", text, hint)
        return
    changes = looking.survey_one(room, running).changes
    changed = repairable(changes, room.persistent)
    if not changed:
        text = f"{safe(running.version, 80)} looks as it was laid out"
        yield Finding("ok", "running", text)
        return
    text = (
        f"{plural(len(changed), 'file')} of {safe(running.version, 80)} changed, "
        f"{show_path(changed[0])} is one"
    )
    yield Finding("warning", "running", text, "See all: osupdate verify")


def _require_open(room: Room) -> None:
    """Whoever may not look learns that, and not that nothing is there.

    Raises:
        PermissionError.
    """
    if os.path.lexists(os.path.dirname(room.layout.current)):
        os.listdir(os.path.dirname(room.layout.current))


def _way_back(room: Room, state: State) -> Iterator[Finding]:
    _require_open(room)
    running, before = room.running(state), machine.previous(state, room.booted())
    if running is None:
        return
    if before is None:
        others = len(state.deployments) > 1
        why = "every other deployment is held" if others else "this is the only one"
        yield Finding("ok", "way back", f"revert has nowhere to go: {why}")
        return
    yield _way_to(room, before)


def _way_to(room: Room, record: Record) -> Finding:
    name = safe(record.version, 80)
    if not os.path.isdir(room.layout.deployment(record.id)):
        hint = f"Lay it out again: osupdate apply {name} --allow-downgrade --no-arm"
        text = f"the deployment of {name} is gone: revert has nowhere to go"
        return Finding("problem", "way back", text, hint)
    changes = looking.survey_one(room, record).changes
    lost = repairable([c for c in changes if c.kind == "missing"], room.persistent)
    if lost:
        text = f"{plural(len(lost), 'file')} of {name} missing, {show_path(lost[0])}"
        hint = f"Bring back: osupdate verify --repair {name}"
        return Finding("warning", "way back", f"{text} is one", hint)
    return Finding("ok", "way back", f"revert goes to {name}, which is complete")


def _leftovers(room: Room, state: State) -> Iterator[Finding]:
    deploy = os.path.dirname(room.layout.current)
    for mounted in fs.mounts_below(room.layout.deployments):
        text = f"{mounted} is mounted: what is below it is not deleted"
        yield Finding("warning", "mounts", text, f"umount {mounted}")
    if not os.path.isdir(deploy) or lockfile.is_held(room.layout.lock):
        return
    found = care.leftovers(room, state)
    if found:
        text = f"{plural(len(found), 'leftover')} of interrupted runs, {found[0]}"
        hint = "Delete: osupdate gc"
        yield Finding("warning", "leftovers", f"{text} is one", hint)


CHECKS: tuple[tuple[str, Check], ...] = (
    ("config", _config),
    ("lock", _busy),
    ("running", _running),
    ("way back", _way_back),
    ("remote", _remote),
    ("credentials", _credentials),
    ("trust", _trust),
    ("channel", _channel),
    ("ssh-keygen", _program),
    ("clock", _clock),
    ("disk", _disk),
    ("objects.git", _objects),
    ("leftovers", _leftovers),
)
"""Topic of what goes wrong while looking, and how to look."""
