"""Whole processes, timed one at a time, and how much disk and memory they take."""

import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

_FILESYSTEM = 40 << 30  # bytes; the file behind it has holes


class Run(NamedTuple):
    """One process, with those that it started and waited for.

    Attributes:
        seconds: from its start to its end.
        cpu: seconds of processors, in programs and in the kernel.
        memory: bytes of the largest one.
        stdout: what it printed.
    """

    seconds: float
    cpu: float
    memory: int
    stdout: str


def run(*argv, cwd=None, env=None, stdin=None):
    """Run a program, timed from its start to its end; the disk is idle before.

    Raises:
        SystemExit: it failed; with its messages.
    """
    settle()
    with open(stdin or os.devnull, "rb") as source:
        began = time.perf_counter()
        # Its messages go to a file, so that no thread of this process reads along.
        with subprocess.Popen(
            [str(word) for word in argv],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=source,
            stdout=(out := _scratch()),
            stderr=(messages := _scratch()),
        ) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - began
    printed, said = (_text(file) for file in (out, messages))
    if process.returncode != 0:
        words = " ".join(map(str, argv))
        raise SystemExit(f"{words}\nended with {process.returncode}:\n{printed}{said}")
    cpu = usage.ru_utime + usage.ru_stime
    return Run(seconds, cpu, usage.ru_maxrss * 1024, printed)


def _scratch():
    return os.fdopen(os.memfd_create("output"), "w+b")


def _text(file):
    with file:
        file.seek(0)
        return file.read().decode(errors="replace")


def settle():
    """Write back what earlier runs left dirty; returns the seconds that took."""
    began = time.perf_counter()
    os.sync()
    return time.perf_counter() - began


class Samples:
    """Numbers by name, in the order in which the names came."""

    def __init__(self):
        self._values = defaultdict(list)

    def add(self, name, value):
        """Keep one more, and show it to who waits."""
        self._values[name].append(value)
        print(f"  {name}: {value:,.2f}", file=sys.stderr, flush=True)

    def summary(self, name):
        """The median, and the smallest: what noise did not touch."""
        values = self._values[name]
        return statistics.median(values), min(values)


def disk(path):
    """Bytes that a directory takes on disk; hardlinks once."""
    done = subprocess.run(
        ["du", "-s", "--block-size=1", str(path)], capture_output=True, check=True
    )
    return int(done.stdout.split()[0])


def remove(*paths):
    """Delete trees."""
    for path in paths:
        shutil.rmtree(path, ignore_errors=True)


def fresh(path):
    """An empty directory."""
    remove(path)
    Path(path).mkdir(parents=True)
    return Path(path)


@contextlib.contextmanager
def filesystem(place):
    """An empty ext4 of its own, mounted at `place`, and gone afterwards.

    On one with a past, creating a file takes ten times as long in one minute as in the
    next (ext4 looks for a free inode, and passes over those just deleted); that would
    be counted for whoever comes next.
    """
    image = Path(f"{place}.img")
    unmount(place)
    fresh(place)
    with image.open("wb") as file:
        file.truncate(_FILESYSTEM)
    lazy = "lazy_itable_init=0,lazy_journal_init=0"
    subprocess.run(["mkfs.ext4", "-q", "-E", lazy, str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True)
    try:
        yield Path(place)
    finally:
        unmount(place)


def unmount(place):
    """Undo what `filesystem` did, also in a run that was killed."""
    if os.path.ismount(place):
        subprocess.run(["umount", str(place)], check=True)
    Path(f"{place}.img").unlink(missing_ok=True)
