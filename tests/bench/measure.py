"""Whole processes, timed one at a time, and how much disk and memory they take."""

import os
import shutil
import statistics
import subprocess
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple


class Run(NamedTuple):
    """One process: seconds, bytes of its largest child or itself, what it printed."""

    seconds: float
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
    return Run(seconds, usage.ru_maxrss * 1024, printed)


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
        """Keep one more; returns it."""
        self._values[name].append(value)
        return value

    def __contains__(self, name):
        return name in self._values

    def names(self):
        """Every name."""
        return list(self._values)

    def all(self, name):
        """All numbers of a name."""
        return self._values[name]

    def median(self, name):
        """The middle one."""
        return statistics.median(self._values[name])

    def least(self, name):
        """The smallest one: what noise did not touch."""
        return min(self._values[name])


def disk(path):
    """Bytes that a directory takes on disk; hardlinks once."""
    done = subprocess.run(
        ["du", "-s", "--block-size=1", str(path)], capture_output=True, check=True
    )
    return int(done.stdout.split()[0])


def remove(*paths):
    """Delete trees, and wait for the disk."""
    for path in paths:
        shutil.rmtree(path, ignore_errors=True)
    os.sync()


def fresh(path):
    """An empty directory."""
    remove(path)
    Path(path).mkdir(parents=True)
    return Path(path)
