"""Hostile releases against `steps.verify`, with a real object directory and ssh-keygen.

Every refusal names its check, and leaves every file of the sandbox as it was.
"""

import base64
import hashlib
import os
import shutil
import stat

import pytest
from support import evil, keys

from updater.core.statements import parse_tag
from updater.errors import ConfigError, HostError, UntrustedError
from updater.model import (
    Candidate,
    Hold,
    MachineFacts,
    Offer,
    TrustMode,
    TrustSettings,
)
from updater.steps.verify import verify
from updater.system import process, signature
from updater.system.git.objects import open_objects

NOW = 1_780_000_000  # 2026-05-28
TAG = TrustSettings(mode=TrustMode.TAG, product="acme-gw")
UNSIGNED = TrustSettings(mode=TrustMode.UNSIGNED)
FACTS = MachineFacts(arch="amd64", running_number=41, running_commit="1" * 40)
BEGIN, END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
LAYERS = "usr/share/osupdate/trust", "var/lib/osupdate/trust", "etc/osupdate/trust"


@pytest.fixture(scope="session")
def ring(tmp_path_factory):
    """Keys of the session, by name."""
    directory = tmp_path_factory.mktemp("keys")
    return {
        name: keys.make_key(directory, name)
        for name in ("release", "other", "channel", "ca")
    }


class Sandbox:
    """A machine's root directory and a remote's objects."""

    def __init__(self, path, key):
        self.path = path
        self.key = key
        self.root = path / "root"
        self.repository = evil.Repository(path / "remote.git")
        for layer in LAYERS:
            (self.root / layer).mkdir(parents=True)
        self.trust(keys.allowed_signers_line(key))

    def trust(self, text, name="release", layer=LAYERS[0]):
        (self.root / layer / name).write_text(text)

    def offer(self, content, **options):
        """Tag this content truthfully, but for `options`, and offer it."""
        commit = options.pop("commit", None) or self.repository.commit(content.tree)
        key = options.pop("key", self.key)
        namespace = options.pop("namespace", "git")
        fields = {"Files": str(content.files), "Bytes": str(content.size)}
        payload = keys.tag_payload(commit=commit, **fields | options)
        return self.offer_raw(payload + keys.sign(payload, key, namespace), commit)

    def offer_raw(self, raw, commit):
        return Candidate(
            Offer(
                url="file:///remote.git",
                channel="stable",
                ref="refs/heads/stable",
                commit=commit,
                tag=self.repository.add("tag", raw),
                tag_name="release/2026.05.1",
                version="2026.05.1",
            ),
            str(self.repository.path / "objects"),
        )

    def plain(self, commit, **fields):
        offer = Offer(
            url="file:///remote.git",
            channel="main",
            ref="refs/heads/main",
            commit=commit,
            **fields,
        )
        return Candidate(offer, str(self.repository.path / "objects"))

    def verify(self, candidate, trust=TAG, facts=FACTS, now=NOW):
        objects = open_objects([candidate.objects])
        return verify(candidate, objects, trust, facts, now, root=str(self.root))

    def refused(self, check, candidate, *arguments, **keywords):
        """Verify, and hold the refusal to its name and to having touched nothing."""
        before = snapshot(self.path)
        with pytest.raises(UntrustedError) as caught:
            self.verify(candidate, *arguments, **keywords)
        assert snapshot(self.path) == before
        assert caught.value.check == check
        message = str(caught.value)
        assert message.isprintable()
        assert len(message) < 1000
        return message


def snapshot(top):
    """Everything below a directory that could have changed."""
    found = {}
    for here, directories, files in os.walk(os.fsencode(top)):
        for name in directories + files:
            path = os.path.join(here, name)
            info = os.lstat(path)
            digest = None
            if stat.S_ISREG(info.st_mode):
                with open(path, "rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
            # The time of a directory tells too, but for the one of temporary files.
            time = None if name == b"tmp" else info.st_mtime_ns
            found[path] = (info.st_mode, info.st_uid, time, digest)
    return found


@pytest.fixture
def sandbox(tmp_path, monkeypatch, ring):
    made = Sandbox(tmp_path, ring["release"])
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    return made


def content(sandbox, **options):
    return evil.release(sandbox.repository, **options)


def test_the_release_that_all_attacks_start_from_is_taken(sandbox):
    """Otherwise every refusal below could have another reason."""
    made = content(sandbox)
    candidate = sandbox.offer(made)
    release = sandbox.verify(candidate)
    assert release.version == "2026.05.1"
    assert (release.number, release.security_floor) == (42, 40)
    assert (release.commit, release.tree) == (candidate.offer.commit, made.tree)
    assert release.tag == candidate.offer.tag
    assert (release.product, release.arch) == ("acme-gw", "amd64")
    assert (release.files, release.size) == (made.files, made.size)
    assert release.created == 1_770_000_000
    assert release.headline == "acme-gw 2026.05.1"
    assert release.tree_sha256 == "e" * 64
    assert [entry.path for entry in release.entries] == [
        b"etc/motd",
        b"usr/lib/osupdate/manifest",
        b"usr/lib/osupdate/release.toml",
    ]
    assert release.metadata == {}
    assert release.notices == ()


# --- tags: R1 and R2


def test_an_unsigned_tag_is_refused(sandbox):
    made = content(sandbox)
    commit = sandbox.repository.commit(made.tree)
    message = sandbox.refused(
        "R1", sandbox.offer_raw(keys.tag_payload(commit=commit), commit)
    )
    assert "is not signed" in message


def test_a_lightweight_tag_is_refused(sandbox):
    commit = sandbox.repository.commit(content(sandbox).tree)
    candidate = sandbox.plain(commit, tag_name="release/2026.05.1")
    assert "lightweight" in sandbox.refused("R1", candidate)


@pytest.mark.parametrize("kind", ["commit", "tree", "blob"])
def test_a_tag_that_is_another_object_is_refused(sandbox, kind):
    made = content(sandbox)
    commit = sandbox.repository.commit(made.tree)
    oid = {"commit": commit, "tree": made.tree, "blob": sandbox.repository.blob()}
    candidate = sandbox.plain(commit, tag=oid[kind], tag_name="release/2026.05.1")
    assert f"is a {kind}; expected a tag" in sandbox.refused("R1", candidate)


def test_a_tag_that_was_not_fetched_is_refused(sandbox):
    candidate = sandbox.plain("c" * 40, tag="d" * 40, tag_name="release/2026.05.1")
    assert "is missing" in sandbox.refused("R1", candidate)


@pytest.mark.parametrize("kind", ["tag", "tree", "blob"])
def test_a_signed_tag_of_something_else_than_a_commit_is_refused(sandbox, kind):
    payload = keys.tag_payload().replace(b"type commit", f"type {kind}".encode())
    raw = payload + keys.sign(payload, sandbox.key)
    sandbox.refused("R1", sandbox.offer_raw(raw, keys.COMMIT))


def test_a_tag_of_ten_megabytes_is_refused_before_it_is_read(sandbox):
    payload = keys.tag_payload(text="x" * 10_000_000)
    raw = payload + keys.sign(payload, sandbox.key)
    message = sandbox.refused("R1", sandbox.offer_raw(raw, keys.COMMIT))
    assert "at most 65,536 are read" in message


@pytest.mark.parametrize("tail", [b"\n", b"x", b"\0", b"Number: 99\n"])
def test_bytes_after_the_signature_are_refused(sandbox, tail):
    raw = keys.signed_tag(sandbox.key) + tail
    sandbox.refused("R1", sandbox.offer_raw(raw, keys.COMMIT))


def test_a_second_signature_is_refused(sandbox, ring):
    once = keys.signed_tag(ring["other"])
    twice = once + keys.sign(once, sandbox.key)
    sandbox.refused("R1", sandbox.offer_raw(twice, keys.COMMIT))


def test_an_empty_signature_is_refused(sandbox):
    armor = b"-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----\n"
    raw = keys.tag_payload() + armor
    sandbox.refused("R2", sandbox.offer_raw(raw, keys.COMMIT))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Number: 42", b"Number: 43"),
        (b"Security-Floor: 40", b"Security-Floor: 10"),
        (b"object " + b"c" * 40, b"object " + b"d" * 40),
        (b"tagger acme-gw", b"tagger Good-signature"),
        (b"+0000", b"+0100"),
    ],
)
def test_a_tampered_tag_is_refused(sandbox, old, new):
    raw = keys.signed_tag(sandbox.key)
    assert raw.count(old) == 1
    candidate = sandbox.offer_raw(raw.replace(old, new), keys.COMMIT)
    sandbox.refused("R2", candidate)


def test_every_changed_byte_of_a_signed_tag_is_refused(sandbox):
    raw = keys.signed_tag(sandbox.key)
    role = signature.load_role(str(sandbox.root), "release")
    statement = parse_tag(raw)
    signature.verify(statement.payload, statement.signature, role, NOW)
    accepted = []
    for at in range(len(raw)):
        evil_raw = bytearray(raw)
        evil_raw[at] ^= 1 << (at % 8)
        try:
            statement = parse_tag(bytes(evil_raw))
            signature.verify(statement.payload, statement.signature, role, NOW)
        except UntrustedError as error:
            assert error.check in ("R1", "R2")
        else:
            accepted.append(at)
    assert accepted == []


def test_a_tag_signed_by_an_unknown_key_is_refused(sandbox, ring):
    sandbox.refused("R2", sandbox.offer(content(sandbox), key=ring["other"]))


def test_a_tag_signed_for_another_namespace_is_refused(sandbox):
    candidate = sandbox.offer(content(sandbox), namespace="file")
    sandbox.refused("R2", candidate)


def test_a_key_of_another_role_is_refused(sandbox, ring):
    line = keys.allowed_signers_line(ring["channel"], role="channel")
    sandbox.trust(line, name="channel")
    sandbox.refused("R2", sandbox.offer(content(sandbox), key=ring["channel"]))


def limited(sandbox, options):
    sandbox.trust(
        keys.allowed_signers_line(sandbox.key, options='namespaces="git",' + options)
    )
    return sandbox.offer(content(sandbox), at=1_500_000_000)


def test_an_expired_key_is_refused_although_the_tag_is_dated_back(sandbox):
    candidate = limited(sandbox, 'valid-before="20260501Z"')
    sandbox.refused("R2", candidate)
    assert sandbox.verify(candidate, now=1_770_000_000).number == 42


def test_a_key_that_is_not_valid_yet_is_refused(sandbox):
    candidate = limited(sandbox, 'valid-after="20260601000000Z"')
    sandbox.refused("R2", candidate)
    assert sandbox.verify(candidate, now=1_785_000_000).number == 42


def test_a_key_expires_at_its_second_in_utc(sandbox, monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    candidate = limited(sandbox, 'valid-before="20260528202640Z"')
    assert sandbox.verify(candidate, now=NOW - 1).number == 42
    sandbox.refused("R2", candidate, now=NOW + 1)


def refusal(sandbox, candidate):
    with pytest.raises(UntrustedError) as caught:
        sandbox.verify(candidate)
    return str(caught.value), caught.value.hint


def fingerprint(key):
    """As stock ssh-keygen says."""
    return keys.keygen("-l", "-f", f"{key}.pub").split()[1].decode()


def test_the_refusal_of_an_expired_key_says_which_when_and_where(sandbox):
    options = 'namespaces="git",valid-before="20260501Z"'
    line = keys.allowed_signers_line(sandbox.key, options=options).rstrip("\n")
    sandbox.trust(f"# ours\n{line} build server\n", layer=LAYERS[2])
    file = sandbox.root / LAYERS[2] / "release"
    text, hint = refusal(sandbox, sandbox.offer(content(sandbox)))
    assert text == (
        "the signature is not one of the role release: the key "
        f"{fingerprint(sandbox.key)} (build server) expired 2026-05-01 00:00 UTC "
        f"({file}:2) (check R2)"
    )
    assert f"write a later valid-before into {file}:2" in hint


def test_the_refusal_of_a_key_that_is_not_valid_yet_names_both_times(sandbox):
    text, hint = refusal(sandbox, limited(sandbox, 'valid-after="20260601000000Z"'))
    assert "is valid from 2026-06-01 00:00 UTC on" in text
    assert "it is 2026-05-28 20:26 UTC here" in text
    assert "osupdate doctor" in hint


def test_the_refusal_of_a_revoked_key_says_who_revokes_it(sandbox):
    candidate = sandbox.offer(content(sandbox))
    text = f"# lost\n{keys.public(sandbox.key)} laptop of the builder\n"
    sandbox.trust(text, name="revoked", layer=LAYERS[0])
    text, _ = refusal(sandbox, candidate)
    file = sandbox.root / LAYERS[0] / "revoked"
    assert f"{fingerprint(sandbox.key)} (laptop of the builder) signed it" in text
    assert f"which {file}:2 revokes" in text


def test_the_refusal_of_an_unknown_key_has_its_fingerprint(sandbox, ring):
    candidate = sandbox.offer(content(sandbox), key=ring["other"])
    text, hint = refusal(sandbox, candidate)
    assert f"the key {fingerprint(ring['other'])} signed it, which is not" in text
    assert hint == f"Trusted keys are those in {sandbox.root / LAYERS[0] / 'release'}"


def test_a_signature_whose_key_cannot_be_read_is_refused_too(sandbox):
    payload = keys.tag_payload()
    for blob in (b"SSHSIG", b"SSHSIG\0\0\0\1" + b"\xff" * 40, b"x" * 99):
        text = base64.b64encode(blob).decode()
        lines = [text[i : i + 70] for i in range(0, len(text), 70)]
        armor = "\n".join([BEGIN, *lines, END, ""]).encode()
        raw = payload + armor
        message = sandbox.refused("R2", sandbox.offer_raw(raw, keys.COMMIT))
        assert "ssh-keygen says: " in message


def test_deciding_on_a_signature_leaves_nothing_on_disk(sandbox, monkeypatch):
    """Not even when it ends in the middle: there are no files to be left."""
    candidate = sandbox.offer(content(sandbox))
    before = snapshot(sandbox.path)
    times = (sandbox.path / "tmp").stat().st_mtime_ns
    seen = []
    run = process.run

    def watched(argv, **kw):
        seen.append(snapshot(sandbox.path))
        return run(argv, **kw)

    monkeypatch.setattr(process, "run", watched)
    sandbox.verify(candidate)
    assert seen == [before]
    assert (sandbox.path / "tmp").stat().st_mtime_ns == times


@pytest.mark.parametrize("layer", LAYERS)
def test_a_key_that_any_place_revokes_is_refused(sandbox, layer):
    candidate = sandbox.offer(content(sandbox))
    sandbox.trust(keys.public(sandbox.key) + " lost\n", name="revoked", layer=layer)
    sandbox.refused("R2", candidate)


def test_a_revoked_file_without_keys_revokes_nothing(sandbox):
    sandbox.trust("# none so far\n", name="revoked")
    assert sandbox.verify(sandbox.offer(content(sandbox))).number == 42


def test_a_certificate_for_the_release_role_is_refused(sandbox, ring, tmp_path):
    key = keys.make_key(tmp_path, "certified")
    keys.keygen("-q", "-s", ring["ca"], "-I", "x", "-n", "release", f"{key}.pub")
    # ssh-keygen signs with a certificate when the private key has its name.
    certified = shutil.copy(key, f"{key}-cert")
    made = content(sandbox)
    commit = sandbox.repository.commit(made.tree)
    fields = {"Files": str(made.files), "Bytes": str(made.size)}
    payload = keys.tag_payload(commit=commit, **fields)
    armor = keys.sign(payload, f"{certified}.pub")
    blob = base64.b64decode(b"".join(armor.split(b"\n")[1:-2]))
    assert b"ssh-ed25519-cert-v01@openssh.com" in blob
    sandbox.trust(
        keys.allowed_signers_line(key) + keys.allowed_signers_line(ring["ca"])
    )
    sandbox.refused("R2", sandbox.offer_raw(payload + armor, commit))


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ('echo "Good \\"git\\" signature for release"; exit 1', UntrustedError),
        ('echo "Good \\"git\\" signature for release"; exit 255', UntrustedError),
        ("kill -KILL $$", HostError),
        (None, HostError),
    ],
)
def test_only_the_exit_code_of_ssh_keygen_counts(sandbox, monkeypatch, script, error):
    candidate = sandbox.offer(content(sandbox))
    program = sandbox.path / "ssh-keygen"
    if script is not None:
        program.write_text(f"#!/bin/sh\ncat >/dev/null\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setattr(signature, "PROGRAM", str(program))
    before = snapshot(sandbox.path)
    with pytest.raises(error):
        sandbox.verify(candidate)
    assert snapshot(sandbox.path) == before


# --- tags: R3 to R5


@pytest.mark.parametrize(
    ("options", "facts", "check", "text"),
    [
        ({"name": "release/2026.06.1"}, FACTS, "R3", "expected release/2026.05.1"),
        ({"name": "2026.05.1"}, FACTS, "R3", "expected release/2026.05.1"),
        ({"Version": "2026.06.1"}, FACTS, "R3", "expected release/2026.05.1"),
        ({"Product": "acme-tv"}, FACTS, "R3", "expected acme-gw, got acme-tv"),
        ({"Arch": "arm64"}, FACTS, "R3", "expected amd64, got arm64"),
        ({}, MachineFacts(running_number=43), "R4", "is older"),
        ({}, MachineFacts(running_number=42), "R4", "expected a larger number"),
        ({}, MachineFacts(security_floor=43), "R4", "below the security floor"),
        (
            {},
            MachineFacts(security_floor=43, allow_downgrade=True),
            "R4",
            "below the security floor",
        ),
        ({"Security-Floor": "43"}, FACTS, "R4", "above itself"),
        (
            {},
            MachineFacts(holds=(Hold("2026.05.1", "f" * 40, 42, "it failed", 0),)),
            "R5",
            "is held: it failed",
        ),
        ({}, MachineFacts(pin="2026.04.1"), "R5", "pinned to 2026.04.1"),
    ],
)
def test_a_well_signed_release_that_is_not_for_this_machine_is_refused(
    sandbox, options, facts, check, text
):
    candidate = sandbox.offer(content(sandbox), **options)
    assert text in sandbox.refused(check, candidate, facts=facts)


def test_an_older_release_is_taken_when_a_person_allows_it(sandbox):
    facts = MachineFacts(running_number=43, allow_downgrade=True)
    assert sandbox.verify(sandbox.offer(content(sandbox)), facts=facts).number == 42


# --- commits: F1


def test_another_commit_than_the_signed_one_is_refused(sandbox):
    made = content(sandbox)
    candidate = sandbox.offer(made)
    other = sandbox.repository.commit(made.tree, message="Other\n")
    tag = candidate.offer.tag
    swapped = sandbox.plain(other, tag=tag, tag_name="release/2026.05.1")
    assert f"fetched was {other}" in sandbox.refused("F1", swapped)


@pytest.mark.parametrize("name", evil.COMMITS)
def test_an_odd_commit_is_refused(sandbox, name):
    made = content(sandbox)
    commit = evil.COMMITS[name](sandbox.repository, made.tree)
    sandbox.refused("F1", sandbox.offer(made, commit=commit))
    sandbox.refused("F1", sandbox.plain(commit), UNSIGNED)


def test_a_commit_whose_tree_is_a_blob_is_refused(sandbox):
    made = content(sandbox)
    commit = sandbox.repository.commit(sandbox.repository.blob(b"x"))
    sandbox.refused("F2", sandbox.offer(made, commit=commit))
    sandbox.refused("F2", sandbox.plain(commit), UNSIGNED)


# --- trees: F2


@pytest.mark.parametrize("name", evil.TREES)
def test_a_hostile_tree_is_refused(sandbox, name):
    extra = evil.TREES[name](sandbox.repository)
    made = content(sandbox, extra=extra)
    message = sandbox.refused("F2", sandbox.offer(made._replace(files=10_000)))
    assert "the signed tag says" not in message


@pytest.mark.parametrize("name", sorted(set(evil.TREES) - evil.ALLOWED_PLAIN))
def test_a_hostile_tree_is_refused_in_a_plain_repository_too(
    sandbox, name, monkeypatch
):
    monkeypatch.setattr("updater.core.tree.MAX_ENTRIES", 10_000)
    extra = evil.TREES[name](sandbox.repository)
    commit = sandbox.repository.commit(content(sandbox, extra=extra).tree)
    sandbox.refused("F2", sandbox.plain(commit), UNSIGNED)


@pytest.mark.parametrize(("files", "size"), [(1, 0), (-1, 0), (0, 1), (0, -1)])
def test_a_tree_of_another_size_than_signed_is_refused(sandbox, files, size):
    made = content(sandbox)
    told = made._replace(files=made.files + files, size=made.size + size)
    sandbox.refused("F2", sandbox.offer(told))


# --- what the release says of itself: F3, F4


@pytest.mark.parametrize(
    "release_toml",
    [
        None,
        "",
        "format = 2\n" + evil.RELEASE_TOML.partition("\n")[2],
        evil.RELEASE_TOML.replace("2026.05.1", "2026.05.2"),
        evil.RELEASE_TOML.replace("number = 42", "number = 43"),
        evil.RELEASE_TOML.replace("acme-gw", "acme-tv"),
        evil.RELEASE_TOML.replace("amd64", "arm64"),
        evil.RELEASE_TOML.replace("= 40", "= 0"),
        evil.RELEASE_TOML.replace('created = "2026', 'created = "x'),
    ],
)
def test_a_release_that_contradicts_its_tag_is_refused(sandbox, release_toml):
    made = content(sandbox, release_toml=release_toml)
    sandbox.refused("F3", sandbox.offer(made))


def test_a_release_toml_that_is_a_symlink_is_refused(sandbox):
    target = b"/etc/osupdate/release.toml"
    link = ("120000", sandbox.repository.blob(target))
    made = content(sandbox, release_toml=link)
    truth = made._replace(size=made.size + len(target))
    assert "is a symlink" in sandbox.refused("F3", sandbox.offer(truth))


def test_a_release_without_a_manifest_is_refused(sandbox):
    sandbox.refused("F4", sandbox.offer(content(sandbox, manifest=None)))


@pytest.mark.parametrize("name", evil.MANIFESTS)
def test_a_broken_manifest_is_refused(sandbox, name):
    made = content(sandbox, manifest=evil.MANIFESTS[name])
    message = sandbox.refused("F4", sandbox.offer(made))
    sandbox.refused("F4", sandbox.plain(sandbox.repository.commit(made.tree)), UNSIGNED)
    assert "/" in message or "line" in message


# --- trust files


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has none"),
        ("# nobody\n", "has none"),
        ("garbage\n", 'principal "garbage"; expected release'),
        ("release\n", "expected principal, options, key type, key"),
        ('* namespaces="git" {key}\n', 'principal "*"'),
        ('release,x namespaces="git" {key}\n', 'principal "release,x"'),
        ("release {key}\n", "option"),
        ('release namespaces="*" {key}\n', 'expected namespaces="git"'),
        ('release namespaces="git,file" {key}\n', "option"),
        ('release namespaces="file" {key}\n', 'expected namespaces="git"'),
        ('release valid-after="20260101Z" {key}\n', 'expected namespaces="git"'),
        ('release cert-authority,namespaces="git" {key}\n', 'option "cert-authority"'),
        ('release namespaces="git",valid-before="20260101" {key}\n', "ending in Z"),
        ('release namespaces="git",valid-before=20260101Z {key}\n', "ending in Z"),
        ('release namespaces="git",valid-before="20261301Z" {key}\n', "ending in Z"),
        ('release namespaces="git",namespaces="git" {key}\n', "appears twice"),
        ('release namespaces="git" ssh-dss AAAA\n', 'key type "ssh-dss"'),
        ('release namespaces="git" ssh-ed25519 AAAA\n', "is not the base64"),
        ('release namespaces="git" {key}x\n', "is not the base64"),
        ('release namespaces="git" {key}\r\n', "control character"),
        ('release\tnamespaces="git" {key}\n', "control character"),
        (
            'release namespaces="git" {key}\nrelease namespaces="git" {key}\n',
            "appears twice",
        ),
        ('release namespaces="git" {key}\nssh-ed25519 AAAA\n', ":2: principal"),
    ],
)
def test_a_trust_file_with_a_line_that_is_not_right_trusts_nobody(
    sandbox, text, reason
):
    candidate = sandbox.offer(content(sandbox))
    sandbox.trust(text.replace("{key}", keys.public(sandbox.key)))
    before = snapshot(sandbox.path)
    with pytest.raises(ConfigError) as caught:
        sandbox.verify(candidate)
    assert snapshot(sandbox.path) == before
    assert reason in str(caught.value)


@pytest.mark.parametrize("text", ["garbage\n", "ssh-ed25519 AAAA\n", "SSHKRL\n\0"])
def test_a_broken_list_of_revoked_keys_trusts_nobody(sandbox, text):
    candidate = sandbox.offer(content(sandbox))
    sandbox.trust(text, name="revoked", layer=LAYERS[2])
    with pytest.raises(ConfigError):
        sandbox.verify(candidate)


def test_a_machine_without_trusted_keys_says_where_they_belong(sandbox):
    candidate = sandbox.offer(content(sandbox))
    (sandbox.root / LAYERS[0] / "release").unlink()
    with pytest.raises(ConfigError, match="no key is trusted for the role release"):
        sandbox.verify(candidate)


def test_a_pinned_key_counts_alone(sandbox, ring):
    candidate = sandbox.offer(content(sandbox))
    sandbox.trust(keys.allowed_signers_line(ring["other"]), layer=LAYERS[2])
    sandbox.refused("R2", candidate)
    other = sandbox.offer(content(sandbox), key=ring["other"])
    assert sandbox.verify(other).number == 42
    assert signature.load_role(str(sandbox.root), "release").pinned


@pytest.mark.parametrize(
    ("shipped", "accepted", "counts"),
    [(1, 2, "accepted"), (2, 1, "shipped"), (2, 2, "shipped"), (1, None, "shipped")],
)
def test_the_newer_set_of_shipped_and_accepted_keys_counts(
    sandbox, ring, shipped, accepted, counts
):
    sandbox.trust(keys.allowed_signers_line(ring["other"]), layer=LAYERS[1])
    sandbox.trust(f"version = {shipped}\n", name="trust.toml", layer=LAYERS[0])
    if accepted is not None:
        sandbox.trust(f"version = {accepted}\n", name="trust.toml", layer=LAYERS[1])
    place = LAYERS[0] if counts == "shipped" else LAYERS[1]
    role = signature.load_role(str(sandbox.root), "release")
    assert role.place == str(sandbox.root / place / "release")
    assert not role.pinned
