"""Makes SSH signatures with ssh-keygen, as `git tag -s` with gpg.format=ssh does."""

from updater.core import statements
from updater.core.text import safe
from updater.errors import HostError
from updater.system import process

_PASSPHRASE_TIME = 120  # seconds for a person to type on the terminal


def sign(
    payload: bytes, key: str, namespace: str = "git", *, agent: str | None = None
) -> bytes:
    """The armored signature of a payload.

    Args:
        payload: the bytes to sign.
        key: path of a private key, or of a public one whose private half an agent has.
        namespace: what the signature may be used for.
        agent: socket of the ssh-agent.

    Raises:
        HostError: ssh-keygen is missing or could not sign.
    """
    done = process.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", key],
        stdin=payload,
        env={"SSH_AUTH_SOCK": agent} if agent else {},
        timeout=_PASSPHRASE_TIME,
        terminal=True,
    )
    if done.code != 0 or not done.stdout.startswith(statements.BEGIN):
        reason = safe(done.stderr.strip().replace(b"\r\n", b" "), 300)
        raise HostError(f"ssh-keygen cannot sign with {safe(key)}: {reason}")
    return done.stdout
