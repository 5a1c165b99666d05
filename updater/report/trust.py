"""Which keys count: for people, and as JSON."""

from typing import Any

from updater.core.signers import REVOKED
from updater.core.text import plural, safe
from updater.core.times import minute, rfc3339
from updater.model import Signer, Trusted, TrustedKey


def text(found: Trusted) -> list[str]:
    """The page: the answer first, then every key by role."""
    lines = [_first(found)]
    for key in (*found.keys, *found.revoked):
        name = safe(key.name, 200) + _validity(key, found.now)
        lines.append(f"  {key.role:<8} {name}")
        lines.append(f"  {'':<8} {safe(key.where, 400)}")
    for role in found.missing:
        lines.append(f"  {role:<8} no key: nothing is accepted for it")
    if found.signers:
        lines.append("Signed what counts here now:")
    return lines + [f"  {signer.what:<8} {_signed(signer)}" for signer in found.signers]


def _first(found: Trusted) -> str:
    if found.pinned:
        return "Trust is pinned in /etc/osupdate/trust: keys do not rotate"
    if found.version is None:
        return "Trust has no root key: keys come with the OS, and do not rotate"
    if found.version == 0:
        return "Trust as it came with the OS; one root key may rotate it"
    signing = plural(found.threshold or 1, "root key")
    return f"Trust version {found.version}; the next one needs {signing}"


def _validity(key: TrustedKey, now: int) -> str:
    if key.before is not None and now >= key.before:
        return f", EXPIRED {minute(key.before)}"
    if key.after is not None and now < key.after:
        return f", from {minute(key.after)}"
    if key.before is not None:
        return f", until {minute(key.before)}"
    return ""


def _signed(signer: Signer) -> str:
    until = f", until {minute(signer.until)}" if signer.until else ""
    return f"{safe(signer.key, 200)}{until}"


def to_json(found: Trusted) -> dict[str, Any]:
    """`osupdate.trust/1`."""
    return {
        "schema": "osupdate.trust/1",
        "version": found.version,
        "threshold": found.threshold,
        "pinned": found.pinned,
        "keys": [_key(key) for key in found.keys],
        REVOKED: [_key(key) for key in found.revoked],
        "missing": list(found.missing),
        "signers": [
            {"what": s.what, "key": s.key, "until": _time(s.until)}
            for s in found.signers
        ],
    }


def _key(key: TrustedKey) -> dict[str, Any]:
    return {
        "role": key.role,
        "name": key.name,
        "where": key.where,
        "after": _time(key.after),
        "before": _time(key.before),
    }


def _time(at: int | None) -> str | None:
    return None if at is None else rfc3339(at)
