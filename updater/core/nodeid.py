"""The name of a machine that tells nobody its machine-id."""

import hashlib
import hmac
import re

APPLICATION = bytes.fromhex("6f73c5a8d7b24c1f9e3b0a64f1d2875e")
_MACHINE_ID = re.compile(r"[0-9a-f]{32}\Z")


def derive(machine_id: str) -> str | None:
    """32 hex digits: HMAC-SHA256 of the application id with the machine-id as its key.

    None when this is no machine-id, as before the first boot has finished
    (`uninitialized`, or empty); see machine-id(5).
    """
    text = machine_id.strip()
    if not _MACHINE_ID.match(text) or text == "0" * 32:
        return None
    key = bytes.fromhex(text)
    return hmac.new(key, APPLICATION, hashlib.sha256).hexdigest()[:32]
