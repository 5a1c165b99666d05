"""The name of a machine in rollouts and at the lock. Its machine-id stays its own."""

import hashlib
import hmac
import re

_APPLICATION = b"org.osupdate.node"  # who asks for the machine's name
_MACHINE_ID = re.compile(r"[0-9a-f]{32}\Z")


def derive(machine_id: str) -> str | None:
    """A machine's name: HMAC-SHA256(machine-id, `org.osupdate.node`).

    Args:
        machine_id: the content of /etc/machine-id, which others must not learn.

    Returns:
        32 hex digits; None when that is no machine-id, as before the first boot has
        finished (`uninitialized`, or empty); see machine-id(5).
    """
    text = machine_id.strip()
    if not _MACHINE_ID.match(text) or not text.strip("0"):
        return None
    made = hmac.new(bytes.fromhex(text), _APPLICATION, hashlib.sha256)
    return made.hexdigest()[:32]
