"""What a fetch does not accept, each against a real server that does it."""

import os
import re
import socket
import subprocess
import threading

import pytest
from support.fetching import Client, homes
from support.remote import Authority, HttpServer, RawServer, Repository, SshServer

from updater.errors import (
    ConfigError,
    OsupdateError,
    RefusedError,
    TransportError,
    UntrustedError,
)
from updater.model import TrustMode

TOKEN = "canary-5ecret-t0ken"


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    made = Repository(tmp_path_factory.mktemp("remote"))
    made.commit({"a": "one\n"}, "1.0")
    return made


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    directory = tmp_path_factory.mktemp("keys")
    for name in ("host", "other", "mine"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / name],
            check=True,
        )
    return directory


@pytest.fixture
def ssh(repository, keys):
    with SshServer(repository.root, keys / "host", keys / "mine") as server:
        yield server


def refused(client, error, match):
    """The check is refused, at the first try, and leaves nothing behind."""
    with pytest.raises(error, match=match) as caught:
        client.check()
    assert client.waits == []
    assert client.leftovers() == {}
    assert homes() == set()
    assert TOKEN not in str(caught.value)
    return caught.value


# --- TLS ---


def test_unknown_authority_is_refused(tmp_path, repository, authority):
    with HttpServer(
        repository.root, certificate=authority.issue("127.0.0.1")
    ) as server:
        client = Client(tmp_path, f"{server.base}/os.git")
        refused(client, RefusedError, "certificate")
    assert server.log == []


def test_a_private_authority_is_the_only_one(tmp_path, repository, authority):
    other = Authority(tmp_path, "other")
    with HttpServer(
        repository.root, certificate=authority.issue("127.0.0.1")
    ) as server:
        client = Client(tmp_path, f"{server.base}/os.git", ca=str(other.pem))
        refused(client, RefusedError, "certificate")
    assert server.log == []


@pytest.mark.parametrize("names", [["127.0.0.2"], ["localhost"], ["example.org"]])
def test_certificate_for_another_name_is_refused(
    tmp_path, repository, authority, names
):
    with HttpServer(repository.root, certificate=authority.issue(*names)) as server:
        client = Client(tmp_path, f"{server.base}/os.git", ca=str(authority.pem))
        with pytest.raises(OsupdateError, match="certificate"):
            client.check()
    assert server.log == []


def test_expired_certificate_is_refused(tmp_path, repository, authority):
    certificate = authority.issue("127.0.0.1", expired=True)
    with HttpServer(repository.root, certificate=certificate) as server:
        client = Client(tmp_path, f"{server.base}/os.git", ca=str(authority.pem))
        refused(client, RefusedError, "certificate")
    assert server.log == []


def test_a_certificate_file_without_certificates_is_refused(tmp_path):
    empty = tmp_path / "ca.pem"
    empty.write_text("nothing\n")
    client = Client(tmp_path, "https://127.0.0.1:9/os.git", ca=str(empty))
    refused(client, ConfigError, r"remote\.ca")


# --- ssh ---


def known(tmp_path, text):
    path = tmp_path / "known_hosts"
    path.write_text(text)
    return str(path)


def test_ssh_without_known_hosts_is_refused(tmp_path, ssh, keys):
    client = Client(tmp_path, f"{ssh.base}/os.git", ssh_key=str(keys / "mine"))
    refused(client, ConfigError, "known_hosts is not set")
    assert ssh.users == []


@pytest.mark.parametrize("case", ["another key", "nothing", "another host"])
def test_ssh_host_key_that_is_not_pinned_is_refused(tmp_path, ssh, keys, case):
    text = {
        "another key": ssh.known_hosts(keys / "other"),
        "nothing": "",
        "another host": ssh.known_hosts().replace("127.0.0.1", "127.0.0.2"),
    }[case]
    client = Client(
        tmp_path,
        f"{ssh.base}/os.git",
        known_hosts=known(tmp_path, text),
        ssh_key=str(keys / "mine"),
    )
    refused(client, RefusedError, "host key")
    assert ssh.users == []


def test_markers_that_libssh2_does_not_understand_are_refused(tmp_path, ssh, keys):
    line = ssh.known_hosts()
    client = Client(
        tmp_path,
        f"{ssh.base}/os.git",
        known_hosts=known(tmp_path, f"{line}@revoked {line}"),
        ssh_key=str(keys / "mine"),
    )
    refused(client, ConfigError, "line 2: @revoked is not supported")
    assert ssh.users == []


def test_ssh_key_that_the_server_does_not_know_ends_at_once(tmp_path, ssh, keys):
    client = Client(
        tmp_path,
        f"{ssh.base}/os.git",
        known_hosts=known(tmp_path, ssh.known_hosts()),
        ssh_key=str(keys / "other"),
    )
    refused(client, TransportError, "credentials")


def test_the_agent_of_the_caller_is_not_asked(tmp_path, ssh, keys, monkeypatch):
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    client = Client(
        tmp_path, f"{ssh.base}/os.git", known_hosts=known(tmp_path, ssh.known_hosts())
    )
    refused(client, TransportError, r"remote\.ssh_key is not set")


# --- redirects and credentials ---


def redirect_to(target, seen=None):
    def hook(handler, body):
        if seen is not None:
            seen.append(handler.headers.get("authorization"))
        handler.answer(302, {"Location": target() + handler.path})
        return True

    return hook


def demand_password(handler, body):
    if handler.headers.get("authorization"):
        return False
    handler.answer(401, {"WWW-Authenticate": 'Basic realm="x"'})
    return True


def never_satisfied(handler, body):
    handler.answer(401, {"WWW-Authenticate": 'Basic realm="x"'})
    return True


def token_file(tmp_path):
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    return str(path)


def test_redirect_to_another_host_is_refused(tmp_path, repository):
    with (
        HttpServer(repository.root, name="localhost") as other,
        HttpServer(repository.root, redirect_to(lambda: other.base)) as server,
    ):
        client = Client(tmp_path, f"{server.base}/os.git")
        refused(client, RefusedError, "redirect")
    assert other.log == []


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_redirect_from_tls_to_plain_is_refused(tmp_path, repository, authority, name):
    certificate = authority.issue("127.0.0.1")
    hook = redirect_to(lambda: other.base)
    with (
        HttpServer(repository.root, name=name) as other,
        HttpServer(repository.root, hook, certificate=certificate) as server,
    ):
        client = Client(tmp_path, f"{server.base}/os.git", ca=str(authority.pem))
        refused(client, OsupdateError, None)
    assert other.log == []


def test_redirect_of_the_second_request_is_refused(tmp_path, repository):
    def hook(handler, body):
        if handler.command == "GET":
            return False
        return redirect_to(lambda: other.base)(handler, body)

    with (
        HttpServer(repository.root, name="localhost") as other,
        HttpServer(repository.root, hook) as server,
    ):
        client = Client(tmp_path, f"{server.base}/os.git")
        offer = client.check()
        with pytest.raises(OsupdateError):
            client.fetch(offer)
    assert other.log == []
    assert client.leftovers() == {}


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_token_never_reaches_the_target_of_a_redirect(
    tmp_path, repository, authority, scheme, name
):
    certificate = authority.issue("127.0.0.1", "localhost")

    def hook(handler, body):
        return demand_password(handler, body) or redirect_to(lambda: other.base)(
            handler, body
        )

    with (
        HttpServer(
            repository.root,
            demand_password,
            certificate=certificate if scheme == "https" else None,
            name=name,
        ) as other,
        HttpServer(repository.root, hook, certificate=certificate) as server,
    ):
        client = Client(
            tmp_path,
            f"{server.base}/os.git",
            ca=str(authority.pem),
            token_file=token_file(tmp_path),
        )
        refused(client, OsupdateError, None)
    assert all("Authorization" not in headers for _, _, headers in other.log)


def test_token_is_sent_to_its_server(tmp_path, repository, authority):
    certificate = authority.issue("127.0.0.1")
    with HttpServer(
        repository.root, demand_password, certificate=certificate
    ) as server:
        client = Client(
            tmp_path,
            f"{server.base}/os.git",
            ca=str(authority.pem),
            token_file=token_file(tmp_path),
        )
        assert client.check().version == "1.0"


def test_token_over_http_is_refused(tmp_path, repository):
    with HttpServer(repository.root, demand_password) as server:
        client = Client(
            tmp_path, f"{server.base}/os.git", token_file=token_file(tmp_path)
        )
        refused(client, ConfigError, "http:// would show the token")
    assert server.log == []


def test_a_server_that_never_accepts_the_token_is_asked_once(
    tmp_path, repository, authority
):
    certificate = authority.issue("127.0.0.1")
    with HttpServer(
        repository.root, never_satisfied, certificate=certificate
    ) as server:
        client = Client(
            tmp_path,
            f"{server.base}/os.git",
            ca=str(authority.pem),
            token_file=token_file(tmp_path),
        )
        refused(client, TransportError, "did not accept our credentials")
    assert len(server.log) <= 3


def test_missing_token_is_named(tmp_path, repository):
    with HttpServer(repository.root, never_satisfied) as server:
        client = Client(tmp_path, f"{server.base}/os.git")
        refused(client, TransportError, r"remote\.token_file is not set")


def test_secrets_are_in_no_argument_and_no_environment(
    tmp_path, repository, authority, keys
):
    seen = []

    def hook(handler, body):
        for pid in children_of(os.getpid()):
            for what in ("cmdline", "environ"):
                with open(f"/proc/{pid}/{what}", "rb") as file:
                    seen.append(file.read())
        return demand_password(handler, body)

    certificate = authority.issue("127.0.0.1")
    with HttpServer(repository.root, hook, certificate=certificate) as server:
        Client(
            tmp_path,
            f"{server.base}/os.git",
            ca=str(authority.pem),
            token_file=token_file(tmp_path),
        ).check()
    assert any(b"updater.fetcher" in text for text in seen)
    assert not any(TOKEN.encode() in text for text in seen)


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


# --- isolation ---


def test_environment_and_gitconfig_of_the_caller_do_not_matter(
    tmp_path, repository, monkeypatch
):
    with (
        HttpServer(tmp_path) as trap,
        HttpServer(repository.root) as server,
    ):
        home = tmp_path / "home"
        home.mkdir()
        config = f'[url "{trap.base}/"]\n\tinsteadOf = {server.base}/\n'
        config += f"[http]\n\tproxy = {trap.base}\n"
        (home / ".gitconfig").write_text(config)
        for name, value in {
            "HOME": home,
            "XDG_CONFIG_HOME": home,
            "GIT_CONFIG_GLOBAL": home / ".gitconfig",
            "http_proxy": trap.base,
            "https_proxy": trap.base,
            "ALL_PROXY": trap.base,
            "GIT_DIR": "/nonexistent",
            "GIT_SSL_NO_VERIFY": "1",
            "PYTHONPATH": str(home),
            "PYTHONSTARTUP": str(home / "x"),
        }.items():
            monkeypatch.setenv(name, str(value))
        client = Client(tmp_path, f"{server.base}/os.git")
        client.fetch(client.check())
    assert trap.log == []


def test_authorities_of_the_environment_are_not_trusted(
    tmp_path, repository, authority, monkeypatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.pem))
    monkeypatch.setenv("SSL_CERT_DIR", str(authority.pem.parent))
    monkeypatch.setenv("GIT_SSL_NO_VERIFY", "1")
    with HttpServer(
        repository.root, certificate=authority.issue("127.0.0.1")
    ) as server:
        refused(Client(tmp_path, f"{server.base}/os.git"), RefusedError, "certificate")
    assert server.log == []


def tunnel(connection):
    """An http proxy that knows only CONNECT."""
    request = b""
    while b"\r\n\r\n" not in request:
        request += connection.recv(4096)
    method, target, _ = request.split(b"\r\n")[0].decode().split(" ")
    assert method == "CONNECT"
    with socket.create_connection(("127.0.0.1", int(target.split(":")[1]))) as behind:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        back = threading.Thread(target=pump, args=(behind, connection))
        back.start()
        pump(connection, behind)
        back.join()


def pump(source, target):
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def test_a_configured_proxy_is_used(tmp_path, repository, authority):
    certificate = authority.issue("os.invalid")
    with (
        RawServer(tunnel) as proxy,
        HttpServer(
            repository.root, certificate=certificate, name="os.invalid"
        ) as server,
    ):
        client = Client(
            tmp_path,
            f"{server.base}/os.git",
            ca=str(authority.pem),
            proxy=proxy.base,
        )
        assert client.check().version == "1.0"
    assert proxy.connections > 0


def test_a_proxy_that_libgit2_would_ignore_is_refused(tmp_path, repository):
    with HttpServer(repository.root) as server:
        client = Client(tmp_path, f"{server.base}/os.git", proxy="http://127.0.0.1:9")
        refused(client, ConfigError, "https:// only")
    assert server.log == []


def test_the_child_is_unprivileged_and_limited(tmp_path, repository):
    seen = []

    def hook(handler, body):
        for pid in children_of(os.getpid()):
            with open(f"/proc/{pid}/status") as file:
                status = dict(line.split(":\t") for line in file.read().splitlines())
            with open(f"/proc/{pid}/limits") as file:
                seen.append((pid, os.getsid(pid), status, file.read()))
        return False

    with HttpServer(repository.root, hook) as server:
        Client(tmp_path, f"{server.base}/os.git").check()
    pid, session, status, limits = seen[0]
    assert session == pid
    assert status["NoNewPrivs"] == "1"
    assert re.search(rf"^Max data size +{1 << 30} +{1 << 30} ", limits, re.MULTILINE)
    assert not re.search(r"^Max address space +unlimited", limits, re.MULTILINE)
    assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)
    if os.geteuid() == 0:
        assert "0" not in status["Uid"].split() + status["Gid"].split()
        assert status["Groups"].strip() == ""
        assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0


# --- silent successes ---


def test_missing_branch_is_an_error_that_names_others(tmp_path, repository):
    with HttpServer(repository.root) as server:
        client = Client(tmp_path, f"{server.base}/os.git", channel="beta")
        error = refused(client, UntrustedError, "no branch beta; it has stable")
    assert error.check == "C1"


def test_empty_repository_is_an_error(tmp_path):
    made = Repository(tmp_path)
    with HttpServer(made.root) as server:
        for url in (f"{server.base}/os.git", str(made.path)):
            refused(Client(tmp_path, url), UntrustedError, "it has none at all")


def test_missing_repository_is_an_error(tmp_path, repository):
    with HttpServer(repository.root) as server:
        refused(Client(tmp_path, f"{server.base}/no.git"), TransportError, "404")
    refused(Client(tmp_path, str(tmp_path / "no")), TransportError, "No such file")


@pytest.mark.parametrize("transport", ["http", "file"])
def test_a_ref_that_moved_since_the_check_is_refused(tmp_path, transport):
    made = Repository(tmp_path)
    made.commit({"a": "1"})
    with HttpServer(made.root) as server:
        url = f"{server.base}/os.git" if transport == "http" else str(made.path)
        client = Client(tmp_path, url)
        offer = client.check()
        made.commit({"a": "2"})
        with pytest.raises(UntrustedError) as caught:
            client.fetch(offer)
    assert caught.value.check == "F1"
    assert client.waits == []
    assert client.leftovers() == {}


@pytest.mark.parametrize("transport", ["http", "file"])
def test_a_tag_that_was_replaced_since_the_check_is_refused(tmp_path, transport):
    made = Repository(tmp_path)
    made.commit({"a": "1"}, "release/1")
    with HttpServer(made.root) as server:
        url = f"{server.base}/os.git" if transport == "http" else str(made.path)
        client = Client(tmp_path, url)
        offer = client.check(mode=TrustMode.TAG)
        made.git("tag", "-f", "-a", "-m", "again", "release/1", "stable")
        with pytest.raises(UntrustedError) as caught:
            client.fetch(offer)
    assert caught.value.check == "F1"
    assert client.leftovers() == {}


def test_a_history_that_was_rewritten_is_fetched_and_not_silently_ignored(tmp_path):
    """A non-fast-forward is nothing that libgit2 reports; here it cannot arise."""
    made = Repository(tmp_path)
    made.commit({"a": "1"})
    with HttpServer(made.root) as server:
        client = Client(tmp_path, f"{server.base}/os.git")
        first = client.fetch(client.check())
        made.git("update-ref", "-d", "refs/heads/stable")
        made2 = Repository(tmp_path / "else")
        made2.commit({"b": "2"})
        made.git("fetch", "-q", str(made2.path), "+stable:refs/heads/stable")
        second = client.fetch(client.check())
    assert first.offer.commit != second.offer.commit
    assert second.offer.commit == made.git("rev-parse", "stable")
