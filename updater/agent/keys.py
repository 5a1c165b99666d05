"""Which keys count on this machine, from where, and until when."""

import os

from updater.agent.room import Room
from updater.core.signers import ROLES
from updater.errors import ConfigError
from updater.model import State, Trusted, TrustedKey
from updater.system import signature
from updater.system.signature import Role


def trusted(room: Room, state: State) -> Trusted:
    """The keys of every role, and what they signed last.

    Raises:
        ConfigError: a trust file is malformed.
    """
    root = room.layout.root
    found = signature.load_trust(root)
    keys: list[TrustedKey] = []
    missing: list[str] = []
    for name in ROLES:
        try:
            keys += _of(signature.load_role(root, name))
        except ConfigError:
            if os.path.lexists(os.path.join(root, signature.SHIPPED, name)):
                raise
            missing.append(name)
    revoked = signature.load_revoked(root)
    gone = tuple(TrustedKey("revoked", k.name, k.where, None, None) for k in revoked)
    log = room.accepted(state)
    return Trusted(
        version=found.version if found else None,
        threshold=found.threshold if found else None,
        pinned=room.is_pinned(),
        keys=tuple(keys),
        revoked=gone,
        missing=tuple(missing),
        signers=log.signers if log else (),
        now=room.device_time(state),
    )


def _of(role: Role) -> list[TrustedKey]:
    return [
        TrustedKey(role.name, key.name, key.where, key.after, key.before)
        for key in role.signers
    ]
