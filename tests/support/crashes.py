"""kill -9 at a system call: every call of a run, and the run killed at one of them."""

import os
import re
import shutil
import subprocess
from typing import NamedTuple

import pytest
from support.machine import ROOT

KINDS = {
    "rename": ("rename", "renameat", "renameat2"),
    "sync": ("fsync", "fdatasync", "syncfs"),
    "write": ("write", "pwrite64", "ftruncate"),
    "make": ("mkdir", "mkdirat", "symlink", "symlinkat", "link", "linkat", "openat"),
    "remove": ("unlink", "unlinkat", "rmdir"),
    "wait": ("clone", "clone3", "fork", "vfork", "epoll_wait", "wait4"),
}
CALL = re.compile(r"(\w+)\((.*)")
ALL = ("-f", "--seccomp-bpf")  # processes: each counts its own calls

needed = pytest.mark.skipif(
    shutil.which("strace") is None, reason="strace is not installed"
)


class Point(NamedTuple):
    """The n-th call of one kind in a run, and what it is there."""

    call: str
    number: int
    step: str


def strace(machine, argv, *options, check=True):
    """Run the command here under strace; gives its exit code or minus the signal."""
    done = subprocess.run(
        ["strace", "-qq", *options, *machine.command(*argv)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert not check or done.returncode == 0, done.stderr
    return done.returncode


def killed_at(machine, argv, call, number, *options):
    """Run the command, killed at the entry of that call; gives how it ended."""
    kill = f"inject={call}:signal=SIGKILL:when={number}"
    only = ("-e", f"trace={call}", "-o", machine.root.parent / "killed")
    return strace(machine, argv, *options, *only, "-e", kill, check=False)


def trace(machine, argv):
    """Every call of the command's own process, and what it is there."""
    log = machine.root.parent / "trace"
    calls = ",".join(name for names in KINDS.values() for name in names)
    strace(machine, argv, *ALL, "-s", "300", "-e", f"trace=execve,{calls}", "-o", log)
    lines = log.read_text(errors="replace").splitlines()
    main = lines[0].split()[0]
    points, counts, step = [], {}, "begin"
    for line in lines:
        pid, _, text = line.partition(" ")
        found = CALL.match(text.strip())
        if pid != main or not found or found[1] == "execve":
            continue
        call, rest = found.groups()
        counts[call] = counts.get(call, 0) + 1
        step = told(rest) or step
        if is_ours(call, rest, machine):
            what = re.sub(r"[^ ]*/machine/", "", rest)[:100]
            points.append(Point(call, counts[call], f"{step}: {call}({what}"))
    return points


def told(text):
    """The step that a line of the ledger or a state.json begins."""
    event = re.search(r'\\"event\\":\\"(\w+)', text)
    phase = re.search(r'\\"phase\\": \\"(\w+)', text)
    if event:
        return f"after {event[1]} was told"
    return f"after phase {phase[1]}" if phase else None


def is_ours(call, rest, machine):
    """Not the interpreter's own start, and openat only where it creates."""
    if call == "openat":
        return str(machine.root) in rest and "O_CREAT" in rest
    if call in ("write", "pwrite64"):
        return not rest.startswith(("1,", "2,"))
    return True
