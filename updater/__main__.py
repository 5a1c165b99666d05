"""The command `osupdate`: also `python -m updater`.

Nothing is imported here that could fail or take time: until the rest is loaded, Ctrl-C
and a missing module of Python are a sentence too, not a traceback.
"""

import gc
import os
import signal
import sys

INTERRUPTED = 130  # 128 + SIGINT
_RARELY = 500_000  # objects made before the collector looks at any


def run() -> int:
    """Run the command line of this process.

    Returns:
        The exit code.
    """
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if not ignored:
        signal.signal(signal.SIGINT, _leave)
    try:
        from updater.cli import main  # noqa: PLC0415 - see above
    except ImportError as error:
        return _missing(error)
    try:
        if not ignored:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        # A root filesystem is 100,000 tuples that live until the end: looking through
        # them for cycles again and again took a tenth of the time.
        gc.set_threshold(_RARELY)
        code = main()
    except KeyboardInterrupt:
        _leave()
        return INTERRUPTED
    finally:
        # What is done is done: nothing may interrupt the interpreter while it ends.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    if code == INTERRUPTED:
        os._exit(code)  # the interpreter may have noted it, and would end by a signal
    return code


def _leave(*_: object) -> None:
    os.write(2, b"osupdate: interrupted; what runs is as it was\n")
    os._exit(INTERRUPTED)


def _missing(error: ImportError) -> int:
    from updater.errors import not_loadable  # noqa: PLC0415 - see above

    reason = not_loadable(error)
    assert reason is not None
    print(f"osupdate: failed: {reason}\n  {reason.hint}  (exit 1)", file=sys.stderr)
    return reason.exit_code


if __name__ == "__main__":
    sys.exit(run())
