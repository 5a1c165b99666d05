import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.core import commits
from updater.errors import UntrustedError

TREE = b"tree " + b"a" * 40 + b"\n"
PARENT = b"parent " + b"b" * 40 + b"\n"
AUTHOR = b"author A U Thor <a@example.org> 1700000000 +0100\n"
COMMITTER = b"committer C <c@example.org> 1700000123 -0730\n"
PLAIN = TREE + PARENT + AUTHOR + COMMITTER + b"\nThe subject\n\nThe rest\n"


def refusal(raw):
    with pytest.raises(UntrustedError) as caught:
        commits.parse(raw)
    assert caught.value.check == "F1"
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_a_commit_is_read():
    assert commits.parse(PLAIN) == commits.Commit(
        tree="a" * 40,
        parents=("b" * 40,),
        committed=1_700_000_123,
        headline="The subject",
        text="The rest",
    )


def test_a_first_commit_has_no_parent_and_a_merge_has_two():
    assert commits.parse(PLAIN.replace(PARENT, b"")).parents == ()
    merge = PLAIN.replace(PARENT, PARENT + b"parent " + b"c" * 40 + b"\n")
    assert commits.parse(merge).parents == ("b" * 40, "c" * 40)


@pytest.mark.parametrize(
    "more",
    [
        b"gpgsig -----BEGIN SSH SIGNATURE-----\n U1NI\n -----END SSH SIGNATURE-----\n",
        b"encoding UTF-8\n",
        b"mergetag object " + b"d" * 40 + b"\n type commit\n tag v1\n \n text\n",
        b"HG:extra branch:default\n",
        b"encoding UTF-8\ngpgsig x\n y\n",
    ],
)
def test_other_headers_of_git_are_passed_over(more):
    raw = TREE + PARENT + AUTHOR + COMMITTER + more + b"\nThe subject\n"
    assert commits.parse(raw).headline == "The subject"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        PLAIN[1:],
        TREE + PLAIN,
        PARENT + PLAIN,
        PLAIN.replace(AUTHOR, AUTHOR + AUTHOR),
        PLAIN.replace(AUTHOR, b""),
        PLAIN.replace(COMMITTER, b""),
        PLAIN.replace(COMMITTER, COMMITTER + COMMITTER),
        PLAIN.replace(COMMITTER, COMMITTER + TREE),
        PLAIN.replace(COMMITTER, COMMITTER + PARENT),
        PLAIN.replace(PARENT + AUTHOR, AUTHOR + PARENT),
        PLAIN.replace(AUTHOR + COMMITTER, COMMITTER + AUTHOR),
        PLAIN.replace(b"a" * 40, b"A" * 40),
        PLAIN.replace(b"a" * 40, b"a" * 41),
        PLAIN.replace(b"1700000123", b"-1"),
        PLAIN.replace(b"1700000123", b"9" * 12),
        PLAIN.replace(b"1700000123", b"1e9"),
        PLAIN.replace(b"C <", b"C \0<"),
        PLAIN.replace(b"\n\nThe subject", b"\nSubject"),
        PLAIN.replace(b"\n", b"\r\n"),
        TREE + PARENT + AUTHOR + COMMITTER,
        TREE + PARENT + AUTHOR + COMMITTER + b" folded\n\nx\n",
    ],
)
def test_an_odd_commit_is_refused(raw):
    assert "its headers are not tree, parents, author, committer" in refusal(raw)


def test_a_huge_commit_is_refused():
    assert "at most 1,048,576 are read" in refusal(PLAIN + b"x" * (1 << 20))


@pytest.mark.parametrize(
    ("encoding", "message", "headline"),
    [
        (b"", "größer\n".encode(), "größer"),
        (b"", b"gr\xf6\xdfer\n", "gr\ufffd\ufffder"),
        (b"encoding ISO-8859-1\n", b"gr\xf6\xdfer\n", "größer"),
        (b"encoding rot13\n", b"abc\n", "abc"),
        (b"encoding nonsense\n", b"abc\n", "abc"),
        (b"", b"", ""),
        (b"", b"\n\n  indented \n", "indented"),
    ],
)
def test_the_subject_is_read_in_the_commits_encoding(encoding, message, headline):
    raw = TREE + AUTHOR + COMMITTER + encoding + b"\n" + message
    assert commits.parse(raw).headline == headline


@given(st.integers(0, len(PLAIN) - 1), st.integers(1, 255))
def test_a_changed_byte_is_refused_or_read_and_never_crashes(at, change):
    raw = bytearray(PLAIN)
    raw[at] ^= change
    try:
        commits.parse(bytes(raw))
    except UntrustedError as error:
        assert error.check == "F1"


# --- signatures of commits


ARMOR = b"-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH SIGNATURE-----\n"
PAYLOAD = (
    b"tree " + b"a" * 40 + b"\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n"
    b"\na message\n\ngpgsig in the text\n"
)
SIGNED = commits.add_signature(PAYLOAD, ARMOR)


def test_a_signature_is_a_header_as_git_writes_it():
    assert (
        PAYLOAD.replace(
            b"\n\na message",
            b"\ngpgsig -----BEGIN SSH SIGNATURE-----\n U1NIU0lH\n"
            b" -----END SSH SIGNATURE-----\n\na message",
        )
        == SIGNED
    )


def test_what_was_signed_is_the_commit_without_the_header():
    assert commits.split_signature(SIGNED) == (PAYLOAD, ARMOR)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (PAYLOAD, "not signed"),
        (commits.add_signature(SIGNED, ARMOR), "more than one"),
        (SIGNED.replace(b"gpgsig ", b"gpgsig-sha256 ", 1), "more than one"),
        (SIGNED.replace(b"U1NI", b"U1 I"), "as ssh-keygen writes it"),
        (SIGNED.replace(b" U1NIU0lH\n", b" U1NIU0lH\n \n"), "as ssh-keygen writes it"),
        (SIGNED.replace(b"SIGNATURE-----\n\n", b"SIGNATURE-----\n more\n\n"), "as ssh"),
        (SIGNED.replace(b"SSH SIG", b"PGP SIG"), "as ssh-keygen writes it"),
    ],
)
def test_a_commit_without_one_ssh_signature_is_refused(raw, said):
    with pytest.raises(UntrustedError, match=said) as caught:
        commits.split_signature(raw)
    assert caught.value.check == "C2"
