"""The command line: the only place that prints, asks, and reads argv and environment.

`main` parses, runs one verb, and prints the error of a failed one, once.
"""

import errno
import os
import sys
from argparse import Namespace
from collections.abc import Sequence

from updater.cli.console import Console
from updater.cli.parser import parse
from updater.errors import NoSpaceError, OsupdateError, UsageError, not_loadable
from updater.report import objects

INTERRUPTED = 130  # 128 + SIGINT
PIPE_CLOSED = 141  # 128 + SIGPIPE

_WORDS = {
    "untrusted": "refused",
    "config": "configuration",
    "usage": "usage",
    "no_space": "no space",
    "host": "failed",
}


class _InternalError(OsupdateError):
    """A mistake of osupdate's own."""

    code = "internal"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: without the program's name; those of the process when None.

    Returns:
        The exit code (`osupdate help exit-codes`).
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    console = Console(Namespace(json="--json" in arguments))
    try:
        args = parse(arguments)
        console = args.console = Console(args)
        code = int(args.func(args))
        sys.stdout.flush()
    except OsupdateError as error:
        return _report(console, error)
    except KeyboardInterrupt:
        console.interrupted()
        return INTERRUPTED
    except BrokenPipeError:
        # The interpreter would flush stdout once more at exit, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return PIPE_CLOSED
    except SystemExit as leave:  # argparse, after --help and --version
        return int(leave.code or 0)
    except Exception as error:  # noqa: BLE001 - the edge: nobody above could tell
        if isinstance(error, OSError) and _is_output_full(error):
            return _report(_without_output(console), _output_full(error))
        return _report(console, _internal(error))
    return code


def _is_output_full(error: OSError) -> bool:
    return error.filename is None and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _output_full(error: OSError) -> OsupdateError:
    full = NoSpaceError(f"cannot write the output: {error.strerror}", unchanged="")
    full.__cause__ = error
    return full


def _without_output(console: Console) -> Console:
    """Let what is not written yet go: it would be tried once more at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    console.json = False
    return console


def _internal(error: Exception) -> OsupdateError:
    if lacking := not_loadable(error):
        lacking.__cause__ = error
        return lacking
    if isinstance(error, OSError) and error.strerror:
        where = f": {os.fsdecode(error.filename)}" if error.filename else ""
        made: OsupdateError = _InternalError(f"{error.strerror}{where}", unchanged="")
    else:
        frame = error.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        code = frame.tb_frame.f_code.co_filename if frame is not None else "?"
        line = frame.tb_lineno if frame is not None else 0
        place = f"{os.path.basename(code)}:{line}"
        made = _InternalError(
            f"{type(error).__name__} at {place}: {error}",
            hint="This is a mistake in osupdate. With -v it shows where.",
            unchanged="",
        )
    made.__cause__ = error
    return made


def _report(console: Console, error: OsupdateError) -> int:
    console.failed()
    if console.json:
        console.object(objects.error(error))
    else:
        word = _WORDS.get(error.code, error.code)
        console.error(word, str(error), _below(error))
    if console.verbose:
        import traceback  # noqa: PLC0415 - only here

        console.warn("".join(traceback.format_exception(error)).rstrip())
    return error.exit_code


def _below(error: OsupdateError) -> list[str]:
    """The sentences under the message: what is as it was, what to do, the code."""
    unchanged = "" if isinstance(error, UsageError) else error.unchanged
    lines = [line for line in (unchanged, error.hint) if line]
    code = f"(exit {error.exit_code})"
    return [*lines[:-1], f"{lines[-1]}  {code}"] if lines else [code]
