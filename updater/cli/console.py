"""The terminal, or what stands in its place: data on stdout, the rest on stderr."""

import os
import re
import shlex
import shutil
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from updater.errors import RefusedError
from updater.model import Preview
from updater.report import objects, outcomes, paint
from updater.report.words import duration, plural, safe, size

WIDTH = 72  # columns of a stage line
NARROWEST, WIDEST = 80, 120  # columns of what is laid out; beyond, eyes lose the line
_REFRESH = 0.1  # seconds between two drawings of the progress line
_RED, _GREEN, _BOLD, _PLAIN = "\033[31m", "\033[32m", "\033[1m", "\033[0m"
_ALARMS = ("PROBLEM", "STALE")
Painter = Callable[[Iterable[str]], Iterable[str]]
_GAP = re.compile(r" {5,}(?=[A-Z])")  # between two commands of a line


class Console:
    """How this process talks: from the global options, environment and terminal."""

    def __init__(self, args: Namespace) -> None:
        self.json = bool(getattr(args, "json", False))
        self.quiet = bool(getattr(args, "quiet", False)) or self.json
        self.verbose = bool(getattr(args, "verbose", False))
        self.yes = bool(getattr(args, "yes", False))
        self._pager = not getattr(args, "no_pager", False)
        self._color = getattr(args, "color", "auto")
        self._watcher: StageLines | None = None
        self._command = _command_pattern(args)
        self._program = _program(args)
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")

    def watcher(self) -> "StageLines":
        """What a command tells its progress to."""
        self._watcher = StageLines(self)
        return self._watcher

    def events(self) -> "StageLines | JsonLines":
        """The same for a command whose progress is data with --json."""
        return JsonLines(self) if self.json else self.watcher()

    def failed(self) -> None:
        """End the line of a stage that is not done."""
        if self._watcher is not None:
            self._watcher.failed()

    def interrupted(self) -> None:
        """Ctrl-C."""
        self.failed()
        self.warn("osupdate: interrupted; what runs is as it was")

    def lines(self, lines: Iterable[str], *, answer: bool = False) -> None:
        """Print to stdout; the first line is emphasised when it is an answer."""
        for number, line in enumerate(lines):
            shown = self._fit(line)
            if answer and number == 0:
                color = _RED if line.startswith(_ALARMS) else _BOLD
                shown = self._paint(shown, color, sys.stdout)
            print(shown)

    @property
    def width(self) -> int:
        """Columns for what is laid out: the terminal's, within reason."""
        if not sys.stdout.isatty():
            return NARROWEST
        return min(max(shutil.get_terminal_size().columns, NARROWEST), WIDEST)

    def page(self, lines: Iterable[str], paint: Painter | None = None) -> None:
        """Print to stdout, through a pager when a person looks.

        Args:
            lines: without colour.
            paint: colours them, where there is colour.
        """
        pager = self._pager_command()
        if paint and _shows_color(pager):
            lines = self.painted(lines, sys.stdout, paint)
        if pager is None:
            self.lines(lines)
            return
        import pydoc  # noqa: PLC0415 - only where there is a terminal

        os.environ.setdefault("LESS", "FRX")
        os.environ["MANPAGER"] = pager  # what pydoc asks first
        pydoc.pager("\n".join(self._fit(line) for line in lines) + "\n")

    def painted(
        self,
        lines: Iterable[str],
        stream: Any,  # noqa: ANN401 - any text stream
        paint: Painter = paint.report,
    ) -> Iterable[str]:
        """The same lines, in colour where the stream has colour."""
        return paint(lines) if self._has_color(stream) else lines

    def document(self, text: str) -> None:
        """Write a file to stdout: UTF-8 whatever the locale is."""
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()

    def object(self, value: dict[str, Any]) -> None:
        """Print one JSON object, on one line."""
        text = msgspec.json.encode(self._hinting(value)).decode()
        if not text.isprintable():
            text = "".join(map(_visible, text))
        print(text, flush=True)

    def raw(self, data: bytes) -> None:
        """Bytes for another program, on stdout as they are; tamed for a terminal."""
        if sys.stdout.isatty():
            self.page(safe(line.replace(b"\t", b"    ")) for line in data.split(b"\n"))
            return
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def warn(self, text: str) -> None:
        """A message for a person."""
        lines = [self._fit(line) for line in text.split("\n")]
        print("\n".join(lines), file=sys.stderr, flush=True)

    def error(self, word: str, message: str, below: Iterable[str]) -> None:
        """An error, its further lines indented."""
        head = self._paint(f"osupdate: {word}:", _RED, sys.stderr)
        first, *more = message.split("\n")
        self.warn("\n  ".join([f"{head} {first}", *more, *below]))

    def ok(self, text: str) -> str:
        """`text` in green, where there is colour on stderr."""
        return self._paint(text, _GREEN, sys.stderr)

    def alarm(self, text: str) -> str:
        """`text` in red, where there is colour on stderr."""
        return self._paint(text, _RED, sys.stderr)

    def ask(self, question: str) -> bool:
        """Yes or no, from a person at a terminal; anything but yes is no.

        Raises:
            RefusedError: nobody is there, and --yes was not given.
        """
        if self.yes:
            return True
        if self.json or not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise RefusedError(
                "this needs a yes, and there is no terminal to ask at",
                hint="Give it on the command line: --yes",
            )
        print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def _paint(self, text: str, color: str, stream: Any) -> str:  # noqa: ANN401
        return f"{color}{text}{_PLAIN}" if self._has_color(stream) else text

    def _has_color(self, stream: Any) -> bool:  # noqa: ANN401 - any text stream
        if self._color != "auto" or self.json:
            return self._color == "always" and not self.json
        plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        return bool(stream.isatty()) and not plain

    def _pager_command(self) -> str | None:
        """The pager, where somebody sits at a terminal and wants one."""
        if not (self._pager and sys.stdout.isatty() and sys.stdin.isatty()):
            return None
        names = ("OSUPDATE_PAGER", "PAGER")
        chosen = next((os.environ[n] for n in names if n in os.environ), "less")
        if chosen == "less" and shutil.which(chosen) is None:
            return None
        return chosen if chosen.strip() not in ("", "cat") else None

    def _hinting(self, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        """The same value, its hints as they are printed."""
        if isinstance(value, list):
            return [self._hinting(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {
            key: self._naming_machine(item)
            if key == "hint" and isinstance(item, str)
            else self._hinting(item)
            for key, item in value.items()
        }

    def _naming_machine(self, text: str) -> str:
        """Commands in a text act on the machine that this command was told to use."""
        return self._command.sub(lambda _: self._program, text)

    def _fit(self, line: str) -> str:
        """A line as it is printed; commands that got long stand below each other."""
        commands = len(self._command.findall(line))
        line = self._naming_machine(line)
        if commands > 1 and len(line) > WIDTH:
            line = _GAP.sub("\n", line)
        encoding = (sys.stdout.encoding or "ascii").lower()
        return line if encoding.startswith("utf") else line.replace("●", "*")


class StageLines:
    """Stages for people: one line each; on a terminal the last one moves."""

    def __init__(
        self, console: Console, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console
        self._clock = clock
        self._head = ""
        self._began = self._drawn = 0.0
        self._moves = sys.stderr.isatty() and not console.quiet

    def stage(self, number: int, of: int, name: str) -> None:
        """A stage begins."""
        self._head = f"[{number}/{of}] {name:<9}"
        self._began = self._clock()
        self._drawn = 0.0
        self._draw("")

    def progress(self, done: int, total: int | None, unit: str) -> None:
        """How far it is; drawn at most ten times a second."""
        now = self._clock()
        if not self._moves or now - self._drawn < _REFRESH:
            return
        self._drawn = now
        self._draw(progress_text(done, total, unit, now - self._began))

    def done(self, text: str) -> None:
        """The stage ended well."""
        self._end(text, self._console.ok("ok"), len("ok"))

    def failed(self) -> None:
        """The stage that is under way did not end well."""
        if self._head:
            self._end("", self._console.alarm("FAILED"), len("FAILED"))

    def notice(self, text: str) -> None:
        """Printed also with --quiet."""
        self._clear()
        self._console.warn(f"! {text}")
        self._draw("")

    def consent(self, preview: Preview) -> bool:
        """Print the preview, then ask."""
        self._clear()
        if not self._console.quiet or not self._console.yes:
            lines = "\n".join(outcomes.preview(preview)).split("\n")
            self._console.warn("\n".join(self._console.painted(lines, sys.stderr)))
        agreed = self._console.ask(f"Apply {safe(preview.version)}?")
        self._draw("")
        return agreed

    def _end(self, text: str, word: str, length: int) -> None:
        self._clear()
        if not self._console.quiet:
            line = f"{self._head} {text}"
            gap = " " * max(2, WIDTH - len(line) - length)
            self._console.warn(f"{line}{gap}{word}")
        self._head = ""

    def _clear(self) -> None:
        if self._moves and self._head:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def _draw(self, text: str) -> None:
        if self._moves and self._head:
            columns = _columns() - 1
            line = f"{self._head} {text}"[:columns]
            print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)


class JsonLines:
    """Stages for programs: one `osupdate.event/1` a line on stdout."""

    def __init__(
        self, console: Console, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console
        self._clock = clock
        self._start = clock()
        self._stage: dict[str, Any] = {}
        self._drawn = 0.0

    def stage(self, number: int, of: int, name: str) -> None:
        """A stage begins."""
        self._stage = {"stage": name, "n": number, "of": of}
        self._emit("stage")

    def progress(self, done: int, total: int | None, unit: str) -> None:
        """How far it is; at most one line a second."""
        now = self._clock()
        if now - self._drawn >= 1:
            self._drawn = now
            self._emit("progress", done=done, total=total, unit=unit)

    def done(self, text: str) -> None:
        """The stage ended well."""
        self._emit("done", text=text)

    def notice(self, text: str) -> None:
        """Something that must be read."""
        self._emit("notice", text=text)

    def consent(self, preview: Preview) -> bool:
        """Emit the preview; only --yes is a yes."""
        self._emit("preview", preview=objects.preview(preview))
        return self._console.ask("")

    def elapsed(self) -> float:
        """Seconds since the command began."""
        return self._clock() - self._start

    def _emit(self, kind: str, **values: Any) -> None:  # noqa: ANN401
        self._console.object(
            objects.event(kind, self.elapsed(), **self._stage, **values)
        )


def _visible(char: str) -> str:
    """A character of JSON, as an escape where a terminal would obey or hide it."""
    if char.isprintable():
        return char
    units = char.encode("utf-16-be")
    pairs = (units[at : at + 2].hex() for at in range(0, len(units), 2))
    return "".join(f"\\u{pair}" for pair in pairs)


def _shows_color(pager: str | None) -> bool:
    """Whether escape sequences come through: less needs -R, which may be taken away."""
    less = os.environ.get("LESS", "R")
    return pager is None or "less" not in pager or "r" in less.lower()


def _command_pattern(args: Namespace) -> re.Pattern[str]:
    """The name of this program, where a verb that acts on a machine follows it."""
    verbs = "|".join(map(re.escape, getattr(args, "machine_verbs", ())))
    return re.compile(rf"\bosupdate(?= (?:{verbs})\b)" if verbs else r"(?!)")


def _program(args: Namespace) -> str:
    """How this program is called to act on the same machine."""
    words = ["osupdate"]
    root, config = getattr(args, "root", "/"), getattr(args, "config", None)
    if root != "/":
        words += ["--root", root]
    if config is not None:
        words += ["--config", os.path.abspath(config)]
    return shlex.join(words)


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def progress_text(done: int, total: int | None, unit: str, seconds: float) -> str:
    """`12.1 MB of 18.4 MB, 2.6 MB/s, 3s left`."""
    show = size if unit == "bytes" else (lambda n: plural(n, unit.removesuffix("s")))
    parts = [f"{show(done)} of {show(total)}" if total else show(done)]
    if seconds > 0.5 and done:
        if unit == "bytes":
            parts.append(f"{size(int(done / seconds))}/s")
        if total and done < total:
            parts.append(f"{duration(int((total - done) * seconds / done) + 1)} left")
    return ", ".join(parts)
