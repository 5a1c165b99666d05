"""Which remotes may be named, and how they are told apart."""

import pytest

from updater.core.urls import Location, parse_remote, shown
from updater.errors import ConfigError


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "https://os.example.org/acme.git",
            Location("https", "os.example.org", 443, "/acme.git"),
        ),
        ("https://Os.Org:8443/a", Location("https", "os.org", 8443, "/a")),
        ("https://[2001:db8::1]:9/a", Location("https", "[2001:db8::1]", 9, "/a")),
        ("ssh://git@h/~me/a.git", Location("ssh", "h", 22, "/~me/a.git", "git")),
        ("http://h/a", Location("http", "h", 80, "/a")),
        ("git://h/a", Location("git", "h", 9418, "/a")),
        ("file:///srv/a b.git", Location("file", "", 0, "/srv/a b.git")),
        ("file://localhost/srv/a", Location("file", "", 0, "/srv/a")),
        ("/srv/a.git", Location("file", "", 0, "/srv/a.git")),
    ],
)
def test_remotes_that_may_be_named(url, expected):
    assert parse_remote(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "os.git",
        "./os.git",
        "ftp://h/a",
        "ext::sh -c id",
        "git@h:a.git",
        "HTTPS://h/a",
        "https:///a",
        "https://h",
        "https://h/a b",
        "https://h/a'b",
        "https://h/a;b",
        "https://h/$(id)",
        "https://h/`id`",
        "https://h/a\nb",
        "https://h/a\n",
        "https://h/a%27",
        "https://h/a?b",
        "https://h/a#b",
        "https://h/../a",
        "https://h:0/a",
        "https://h:65536/a",
        "https://h:٣/a",
        "https://-h/a",
        "https://h\\@other/a",
        "https://hé/a",
        "ssh://-oProxyCommand=id/a",
        "ssh://-o@h/a",
        "ssh://git:pw@h/a",
        "ssh://h/a'b",
        "file://other/srv/a",
        "file:///srv/../etc",
        "file:///srv/a\x1b[31m",
        "/srv/a\n",
        "https://h/" + "a" * 3000,
    ],
)
def test_remotes_that_are_refused(url):
    with pytest.raises(ConfigError, match=r"remote\.url") as caught:
        parse_remote(url)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "url", ["https://me:s3cret@h/a", "https://s3cret@h/a", "https://me:s3cret@h/a b"]
)
def test_secrets_in_a_url_are_refused_and_not_repeated(url):
    with pytest.raises(ConfigError) as caught:
        parse_remote(url)
    assert "s3cret" not in str(caught.value) + str(caught.value.hint)


@pytest.mark.parametrize("url", ["http://h/a", "git://h/a"])
def test_transports_without_protection_need_permission(url):
    with pytest.raises(ConfigError, match="protects nothing"):
        parse_remote(url, allow_plain=False)


def test_an_origin_is_scheme_host_and_port():
    origin = parse_remote("https://h/a").origin
    assert origin == parse_remote("https://H:443/b").origin
    for other in ("http://h/a", "https://h:444/a", "https://i/a"):
        assert parse_remote(other).origin != origin


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://user:s3cret@example.org/a", "https://***@example.org/a"),
        ("https://s3cret@example.org/a", "https://***@example.org/a"),
        ("https://u:s3/cr@et@example.org/a", "https://***@example.org/a"),
        ("ssh://git:s3cret@example.org/a", "ssh://***@example.org/a"),
        ("file://u:s3cret@example.org/a", "file://***@example.org/a"),
        ("u:s3cret@example.org:a", "***@example.org:a"),
    ],
)
def test_a_password_is_not_shown(url, expected):
    assert shown(url) == expected
    with pytest.raises(ConfigError) as caught:
        parse_remote(url)
    assert "s3cret" not in str(caught.value) + str(caught.value.hint)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ssh://git@example.org/a.git",
        "https://example.org/a@b.git",
        "file:///srv/a:b@c.git",
    ],
)
def test_a_url_without_a_password_is_shown_as_it_is(url):
    assert shown(url) == url


def test_a_token_in_a_query_is_not_repeated():
    with pytest.raises(ConfigError) as caught:
        parse_remote("https://h/a.git?token=s3cret")
    assert "s3cret" not in str(caught.value)
