"""File capabilities in the words of getcap(8)."""

import struct

import pytest

from updater.core import capabilities

PING = bytes.fromhex("0100000200200000000000000000000000000000")  # of Debian's ping


def value(permitted=0, inheritable=0, *, effective=False, version=2):
    magic = {1: 0x01000000, 2: 0x02000000, 3: 0x03000000}[version] | effective
    words = [permitted & 0xFFFFFFFF, inheritable & 0xFFFFFFFF]
    if version > 1:
        words += [permitted >> 32, inheritable >> 32]
    data = struct.pack(f"<I{len(words)}I", magic, *words)
    return data + struct.pack("<I", 1000) if version == 3 else data


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (PING, "cap_net_raw=ep"),
        (value(1 << 12 | 1 << 13, effective=True), "cap_net_admin,cap_net_raw=ep"),
        (value(1 << 21), "cap_sys_admin=p"),
        (value(0, 1 << 10), "cap_net_bind_service=i"),
        (value(1 << 39, version=3, effective=True), "cap_bpf=ep"),
        (value(1 << 7, version=1, effective=True), "cap_setuid=ep"),
        (value(1 << 55, effective=True), "cap_55=ep"),
        (value(), "none"),
        (b"", "unreadable (0 bytes)"),
        (b"\1\0\0\x09" + bytes(16), "unreadable (20 bytes)"),
        (PING[:10], "unreadable (10 bytes)"),
    ],
)
def test_what_a_value_says(data, words):
    assert capabilities.describe(data) == words


def test_a_value_that_cannot_be_read_may_grant_everything():
    assert capabilities.granted(PING) == 1 << 13
    assert capabilities.granted(b"x") & 1 << 21
