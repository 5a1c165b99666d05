"""What `[lock]` may name, and what of it is refused."""

import pytest

from updater.core.nodeid import derive
from updater.errors import ConfigError, HostError
from updater.lock.access import access, node_id

MACHINE_ID = "1c09ca98649c4c7abc779cd04c96812e"


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://lock.example.org/", "https://lock.example.org"),
        ("https://lock.example.org:9090/base/", "https://lock.example.org:9090/base"),
        ("http://10.0.0.1:9090", "http://10.0.0.1:9090"),
        ("http://[::1]:9090/", "http://[::1]:9090"),
    ],
)
def test_a_url_is_kept_without_its_last_slash(url, kept):
    assert access(url).url == kept


@pytest.mark.parametrize(
    "url",
    [
        *("", "lock.example.org", "ftp://x/", "file:///etc/passwd", "https://"),
        *("http://x:99999/", "http://x:0/", "http://x/?a=b", "http://x/#a"),
        *("http://x y/", "http://x/\n", "http://ä/", "http://[::1/"),
    ],
)
def test_what_is_no_plain_url_is_refused(url):
    with pytest.raises(ConfigError, match=r"lock\.url"):
        access(url)


def test_a_password_in_the_url_is_refused_and_not_repeated():
    with pytest.raises(ConfigError) as refused:
        access("https://node:geheim@lock.example.org/")
    assert "geheim" not in str(refused.value)


def test_a_token_does_not_travel_in_the_open(tmp_path):
    path = tmp_path / "token"
    path.write_text("geheim\n")
    with pytest.raises(ConfigError, match="everybody on the way"):
        access("http://lock.example.org/", token_file=str(path))
    made = access("http://127.0.0.1:1/", token_file=str(path))
    assert made.token == "geheim"
    assert "geheim" not in repr(made)


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"two words", b"a\nb", b"\xff", b"x" * 5000]
)
def test_a_file_that_holds_no_token_is_refused_without_its_content(tmp_path, content):
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"lock\.token_file") as refused:
        access("https://x/", token_file=str(path))
    assert "two words" not in str(refused.value)


@pytest.mark.parametrize("key", ["ca", "cert"])
def test_a_file_that_tls_cannot_use_is_named(tmp_path, key):
    path = tmp_path / "file.pem"
    path.write_text("nonsense")
    for name in (str(path), str(tmp_path / "missing")):
        with pytest.raises(ConfigError, match=rf"lock\.{key}: {name}"):
            access("https://x/", **{key: name})


def test_a_name_is_a_credential_of_systemd(tmp_path):
    (tmp_path / "lock-token").write_text("abc")
    made = access("https://x/", token_file="lock-token", secrets_dir=str(tmp_path))
    assert made.token == "abc"
    for name in ("../lock-token", ".", ".."):
        with pytest.raises(ConfigError, match="neither an absolute path"):
            access("https://x/", token_file=name, secrets_dir=str(tmp_path))
    with pytest.raises(ConfigError, match="neither an absolute path"):
        access("https://x/", token_file="lock-token")


@pytest.mark.parametrize(
    "proxy", ["proxy:3128", "https://p", "http://u:p@p:1", "socks://p"]
)
def test_a_proxy_is_a_plain_url_without_a_password(proxy):
    with pytest.raises(ConfigError, match=r"lock\.proxy"):
        access("https://x/", proxy=proxy)


def test_the_name_of_a_machine_is_derived_and_does_not_tell_its_machine_id(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/machine-id").write_text(f"{MACHINE_ID}\n")
    made = node_id(str(tmp_path), None)
    # printf org.osupdate.node | openssl dgst -sha256 -mac HMAC -macopt hexkey:1c09...
    assert made == derive(MACHINE_ID) == "3b9e689dc22b65634b3da07917bdeada"
    assert node_id(str(tmp_path), "web1") == "web1"


@pytest.mark.parametrize("content", ["", "uninitialized\n", "0" * 32, "x" * 32, "ab"])
def test_a_machine_without_a_machine_id_must_be_given_a_name(tmp_path, content):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/machine-id").write_text(content)
    with pytest.raises(HostError, match="no machine-id") as refused:
        node_id(str(tmp_path), None)
    assert "[node] id" in refused.value.hint


def test_a_missing_machine_id_is_said(tmp_path):
    with pytest.raises(HostError, match="cannot read"):
        node_id(str(tmp_path), None)
