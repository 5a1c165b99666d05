import hashlib
import hmac

import pytest

from updater.core.nodeid import derive

MACHINE = "0123456789abcdef0123456789abcdef"


def test_the_node_id_is_the_documented_hmac():
    made = hmac.new(bytes.fromhex(MACHINE), b"org.osupdate.node", hashlib.sha256)
    assert derive(f"{MACHINE}\n") == made.hexdigest()[:32]
    assert MACHINE not in derive(MACHINE)


@pytest.mark.parametrize(
    "text", ["", "uninitialized\n", "0" * 32, "AB" * 16, "ab" * 15]
)
def test_what_is_no_machine_id_gives_no_name(text):
    assert derive(text) is None
