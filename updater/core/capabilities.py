"""File capabilities in words, as getcap(8) prints them.

Source of the format: linux/capability.h, `struct vfs_ns_cap_data`: little-endian words
of magic and flags, then permitted and inheritable, 32 bits each time, then the root id.
"""

import struct

_VERSIONS = {0x01000000: 1, 0x02000000: 2, 0x03000000: 2}  # pairs of words that follow
_REVISION = 0xFF000000
_EFFECTIVE = 1
_NAMES = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
]


def describe(value: bytes) -> str:
    """`cap_net_raw=ep`; `cap_net_admin=p, cap_net_raw=ip`; what is odd is said so."""
    try:
        permitted, inheritable, effective = _read(value)
    except struct.error:
        return f"unreadable ({len(value)} bytes)"
    flags: dict[str, list[str]] = {}
    for bit in range(64):
        word = "e" if effective and permitted >> bit & 1 else ""
        word += "i" if inheritable >> bit & 1 else ""
        word += "p" if permitted >> bit & 1 else ""
        if word:
            flags.setdefault(word, []).append(_name(bit))
    told = [f"{','.join(names)}={word}" for word, names in flags.items()]
    return ", ".join(told) or "none"


def granted(value: bytes) -> int:
    """The bits that a value grants; every bit when it cannot be read."""
    try:
        permitted, inheritable, _ = _read(value)
    except struct.error:
        return -1
    return permitted | inheritable


def _read(value: bytes) -> tuple[int, int, bool]:
    magic = struct.unpack_from("<I", value)[0]
    pairs = _VERSIONS.get(magic & _REVISION)
    if pairs is None:
        raise struct.error("an unknown revision")
    words = struct.unpack_from(f"<{2 * pairs}I", value, 4)
    permitted = sum(word << 32 * n for n, word in enumerate(words[::2]))
    inheritable = sum(word << 32 * n for n, word in enumerate(words[1::2]))
    return permitted, inheritable, bool(magic & _EFFECTIVE)


def _name(bit: int) -> str:
    return f"cap_{_NAMES[bit]}" if bit < len(_NAMES) else f"cap_{bit}"
