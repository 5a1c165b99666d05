"""What `doctor` says about the files that `[remote]` names."""

import os
import stat
from collections.abc import Iterator

from updater.agent.room import Room
from updater.core import urls
from updater.core.text import safe
from updater.errors import ConfigError
from updater.model import Finding
from updater.system import process, signature
from updater.system.git import credentials

USED = {
    "ssh": ("known_hosts", "ssh_key"),
    "https": ("ca", "token_file", "proxy"),
}
"""Scheme -> the keys of `[remote]` that it uses."""

SECRET = ("ssh_key", "token_file")


def look(room: Room) -> Iterator[Finding]:
    """Whether each can be read, protects what it should, and is used at all."""
    remote = room.settings.remote
    location = urls.parse_remote(remote.url)
    used = USED.get(location.scheme, ())
    for keys in USED.values():
        for key in keys:
            if getattr(remote, key) is not None and key not in used:
                text = f"remote.{key} is set, and {location.scheme}:// does not use it"
                yield Finding("warning", "credentials", text)
    try:
        credentials.load(remote, location, room.secrets)
        credentials.check_proxy(remote.proxy, location)
    except ConfigError as error:
        yield Finding("problem", "credentials", str(error), error.hint)
        return
    named = {key: getattr(remote, key) for key in used}
    named = {key: name for key, name in named.items() if name is not None}
    found = [] if "ca" in named or location.scheme != "https" else list(_authorities())
    for key in SECRET:
        if key in named:
            found += _secret(key, os.path.join(room.secrets or "/", named[key]))
    yield from found
    if named and not found:
        yield Finding("ok", "credentials", f"{', '.join(named)} can be used")


def _authorities() -> Iterator[Finding]:
    import ssl  # noqa: PLC0415 - only here

    places = ssl.get_default_verify_paths()
    found = [p for p in (places.cafile, places.capath) if p and os.path.exists(p)]
    if not any(os.path.isfile(path) or os.listdir(path) for path in found):
        text = "this system trusts no authority, and remote.ca is not set"
        hint = "Install ca-certificates, or set remote.ca"
        yield Finding("problem", "credentials", text, hint)


def _secret(key: str, path: str) -> Iterator[Finding]:
    found = os.stat(path)
    mode = stat.S_IMODE(found.st_mode)
    shown = safe(path, 200)
    if mode & 0o077:
        text = f"remote.{key}: {shown} has mode {mode:04o}; expected 0600"
        yield Finding("warning", "credentials", text, f"chmod 600 {shown}")
    elif key == "ssh_key":
        argv = [signature.PROGRAM, "-y", "-P", "", "-f", path]
        if process.run(argv, timeout=10).code != 0:
            text = f"remote.{key}: {shown} is no private key without a passphrase"
            yield Finding("problem", "credentials", text)
