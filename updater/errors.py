"""Why something did not happen. A class exists where somebody reacts differently.

The message says what, where, expected, got; the hint says what to do; both are
printed once, at the edge. Exit codes are a contract (`osupdate help exit-codes`).
"""

UNCHANGED = "Nothing was changed."


class OsupdateError(Exception):
    """Anything that osupdate itself reports.

    Attributes:
        hint: what a person can do about it, or None.
        unchanged: the sentence that says what is as it was.
        exit_code: of the process.
        code: the name in JSON.
    """

    exit_code = 1
    code = "failed"

    def __init__(
        self, message: str, *, hint: str | None = None, unchanged: str = UNCHANGED
    ) -> None:
        super().__init__(message)
        self.hint = hint
        self.unchanged = unchanged


class UsageError(OsupdateError):
    """The command line asks for something that does not exist or make sense."""

    exit_code = 2
    code = "usage"


class ConfigError(OsupdateError):
    """The configuration is wrong; all mistakes are in the message, a line each."""

    exit_code = 2
    code = "config"


class RefusedError(OsupdateError):
    """A rule forbids it: policy of this machine, or of publishing."""

    exit_code = 3
    code = "refused"


class UntrustedError(RefusedError):
    """Bytes from outside failed a check. Never retried.

    Attributes:
        check: the name of the check in DESIGN section 3.6 (T1 .. S1).
        reason: the message without it.
    """

    code = "untrusted"

    def __init__(
        self,
        check: str,
        message: str,
        *,
        hint: str | None = None,
        unchanged: str = UNCHANGED,
    ) -> None:
        super().__init__(f"{message} (check {check})", hint=hint, unchanged=unchanged)
        self.check = check
        self.reason = message


class TransportError(OsupdateError):
    """The other side could not be reached, or went away. Worth another try later."""

    exit_code = 4
    code = "network"


class BusyError(OsupdateError):
    """Another osupdate holds the lock; the message says which."""

    exit_code = 5
    code = "busy"


class HostError(OsupdateError):
    """This machine cannot do it: a missing program, a failing disk, a wrong mount."""

    code = "host"


class BrokenStateError(HostError):
    """What this machine remembers is broken, or a newer version wrote it."""


class NoSpaceError(HostError):
    """The disk is too full; the message has both numbers."""

    exit_code = 7
    code = "no_space"


class HealthError(OsupdateError):
    """The new release was tried, failed its health checks, and was left."""

    exit_code = 8
    code = "health"


def not_loadable(error: BaseException) -> HostError | None:
    """What this system lacks, when that is why a library could not be loaded."""
    if isinstance(error, ImportError):
        return HostError(
            f"the Python module {error.name or '?'} cannot be loaded: {error}",
            hint="Is this Python complete, and osupdate installed with its libraries? "
            "In Debian: python3, not python3-minimal",
        )
    # pygit2, when it is imported; its class is out of reach when that fails.
    if type(error).__name__ == "GitError" and "failed to load certif" in str(error):
        return HostError(
            "no certificates of authorities are on this system, and libgit2 does not "
            "start without",
            hint="Install ca-certificates",
        )
    return None
