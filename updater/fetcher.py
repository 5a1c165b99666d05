"""The child process that talks to the network: `python -m updater.fetcher`.

It reads one request (`system.git.wire`) from stdin and answers with JSON lines on
stdout. It has no privileges, a clean environment and limits; its parent kills it when
it is slow. Nothing that it says is believed before it is checked.
"""

import codecs
import errno
import gc
import os
import sys

from updater.errors import (
    NoSpaceError,
    OsupdateError,
    UntrustedError,
    not_loadable,
)
from updater.system.git import privileges, wire

# Python loads these when they are first used, and may be out of reach by then.
_CODECS = ("ascii", "unicode_escape")


def main() -> int:
    """Answer one request.

    Returns:
        The exit code: 0 when the last line says `done`.
    """
    gc.disable()  # it answers once, and ends
    sys.excepthook = lambda *_: None  # a traceback could hold a token
    os.umask(0o022)
    request = wire.decode_request(sys.stdin.buffer.read())
    try:
        _prepare(request)
        _answer(request)
    except MemoryError:
        return _fail("memory", "the server sent more than fits into the memory limit")
    except wire.FailedError as error:
        return _fail(error.kind, str(error))
    except NoSpaceError as error:
        return _fail("space", str(error))
    except UntrustedError as error:
        return _fail("untrusted", error.reason, error.check)
    except OsupdateError as error:
        return _fail("host", str(error))
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return _fail("space" if full else "host", f"the download: {error.strerror}")
    except Exception as error:  # noqa: BLE001 - its text could hold anything
        reason = not_loadable(error) or type(error).__name__
        return _fail("host", f"the fetching process failed: {reason}")
    return 0


def _prepare(request: wire.Request) -> None:
    """Put files where libgit2 looks for them, before it is loaded and looks."""
    home, given = request.home, request.credentials
    os.mkdir(f"{home}/.ssh")
    os.mkdir(f"{home}/no-certificates")
    if given.known_hosts is not None:
        _write(f"{home}/.ssh/known_hosts", given.known_hosts)
    if given.ca is not None:
        _write(f"{home}/ca.pem", given.ca)
        # pygit2 loads what these name when it is imported; anything loaded later
        # would be trusted in addition, so this is the only place to pin an authority.
        os.environ["SSL_CERT_FILE"] = f"{home}/ca.pem"
        os.environ["SSL_CERT_DIR"] = f"{home}/no-certificates"


def _write(path: str, text: str) -> None:
    """Create a file. It may be root who does: what is there already is refused."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o644), "w", encoding="utf-8") as file:
        file.write(text)


def _answer(request: wire.Request) -> None:
    if request.repository is not None:
        from updater.system.git import local as source  # noqa: PLC0415 - after _prepare
    else:
        from updater.system.git import transport as source  # type: ignore[no-redef] # noqa: PLC0415
    for codec in _CODECS:
        codecs.lookup(codec)
    privileges.drop(request.user, request.parent)
    if request.incoming is None:
        heads = source.list_heads(request)
        for start in range(0, len(heads), 100):
            _say(wire.Heads(tuple(heads[start : start + 100])))
        _say(wire.Done())
        return
    if request.logs:
        _say(source.fetch_logs(request, lambda progress: _say(wire.Step(progress))))
        return
    _say(source.fetch(request, lambda progress: _say(wire.Step(progress))))


def _say(event: wire.Event) -> None:
    sys.stdout.buffer.write(wire.encode(event) + b"\n")
    sys.stdout.buffer.flush()


def _fail(kind: str, message: str, check: str = "F1") -> int:
    _say(wire.Failure(kind, message, check))
    return 1


if __name__ == "__main__":
    sys.exit(main())
