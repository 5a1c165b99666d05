"""ledger.jsonl: what happened to this machine, one JSON object a line, never rewritten.

An entry is on the disk when `append` returns. A crash in the middle of one leaves a
torn last line, which the next `append` cuts off and `read` does not show.
"""

import os

import msgspec

from updater.errors import HostError
from updater.model import LedgerEntry
from updater.system.fs import append_durably, host_error, truncate_durably

_BLOCK = 65536  # bytes


class Ledger:
    """The ledger at `path`."""

    def __init__(self, path: str) -> None:
        self.path = path

    def append(self, entry: LedgerEntry) -> None:
        """Add one entry, durably.

        Raises:
            HostError: the disk refused it; a torn line is cut off next time.
        """
        _cut_torn_line(self.path)
        append_durably(self.path, msgspec.json.encode(entry) + b"\n")

    def read(self) -> list[LedgerEntry]:
        """Every entry, oldest first; a line that cannot be read is said to be so.

        Raises:
            HostError: the file cannot be read.
        """
        try:
            with open(self.path, "rb") as file:
                lines = file.read().split(b"\n")[:-1]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise HostError(f"cannot read {self.path}: {error.strerror}") from error
        entries: list[LedgerEntry] = []
        for number, line in enumerate(lines, 1):
            try:
                entries.append(msgspec.json.decode(line, type=LedgerEntry))
            except msgspec.DecodeError:
                at = entries[-1].at if entries else 0
                text = f"line {number} of {self.path} cannot be read"
                entries.append(LedgerEntry(at, "unreadable", text, "unknown"))
        return entries


def _cut_torn_line(path: str) -> None:
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            end = _end_of_last_line(file.fileno(), size)
        if end < size:
            truncate_durably(path, end)
    except FileNotFoundError:
        return
    except OSError as error:
        raise host_error(error, f"cannot repair {path}") from error


def _end_of_last_line(fd: int, end: int) -> int:
    """The offset behind the last line feed before `end`: the next entry's place."""
    while end:
        start = max(0, end - _BLOCK)
        feed = os.pread(fd, end - start, start).rfind(b"\n")
        if feed >= 0:
            return start + feed + 1
        end = start
    return 0
