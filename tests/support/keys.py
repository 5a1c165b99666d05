"""SSH keys, signatures and signed release tags, made by the real ssh-keygen."""

import subprocess
from pathlib import Path

from updater.core import statements

FIELDS = {
    "Osupdate-Format": "1",
    "Product": "acme-gw",
    "Arch": "amd64",
    "Version": "2026.05.1",
    "Number": "42",
    "Security-Floor": "40",
    "Tree-SHA256": "e" * 64,
    "Files": "7",
    "Bytes": "250",
}
COMMIT = "c" * 40
TAGGED = 1_770_000_000  # 2026-02-02


def make_key(directory, name, kind="ed25519", *options):
    """A new key without a passphrase: the path of its private half."""
    path = Path(directory) / name
    keygen("-q", "-t", kind, "-N", "", "-C", name, "-f", path, *options)
    return path


def public(key):
    """`type base64` of a key's public half."""
    return " ".join(Path(f"{key}.pub").read_text().split()[:2])


def allowed_signers_line(key, role="release", options='namespaces="git"'):
    return f"{role} {options} {public(key)}\n"


def sign(payload, key, namespace="git"):
    """The armored signature of `payload`."""
    return keygen("-q", "-Y", "sign", "-n", namespace, "-f", key, stdin=payload)


def keygen(*arguments, stdin=b""):
    done = subprocess.run(
        ["ssh-keygen", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def tag_payload(
    commit=COMMIT,
    name=None,
    headline="acme-gw 2026.05.1",
    text="",
    tagger="acme-gw <releases@acme-gw.invalid>",
    at=TAGGED,
    **fields,
):
    """The signed bytes of a release tag; `Tree_SHA256=` stands for `Tree-SHA256`."""
    values = FIELDS | {key.replace("_", "-"): value for key, value in fields.items()}
    name = f"release/{values['Version']}" if name is None else name
    message = statements.write_message(headline, text, values)
    return (
        f"object {commit}\ntype commit\ntag {name}\ntagger {tagger} {at} +0000\n\n"
        f"{message}"
    ).encode()


def signed_tag(key, **options):
    """A raw signed release tag."""
    payload = tag_payload(**options)
    return payload + sign(payload, key)
