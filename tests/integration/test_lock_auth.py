"""Who may speak for whom at the lock service: tokens, certificates, administrators."""

import base64
import hashlib
import json
import ssl
import subprocess
import sys
import time

import pytest
from support.certificates import Authority
from support.lock_service import PROTOCOL, LockService

TOKENS = {"node a": "token-of-a", "node b": "token-of-b", "admin alice": "alices"}


def token_file(path, tokens=TOKENS):
    lines = [
        f"{who} sha256:{hashlib.sha256(token.encode()).hexdigest()}"
        for who, token in tokens.items()
    ]
    path.write_text("\n".join(["# who may speak", "", *lines, ""]))
    return path


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def basic(user, token):
    value = base64.b64encode(f"{user}:{token}".encode()).decode()
    return {"Authorization": f"Basic {value}"}


@pytest.fixture
def by_token(tmp_path):
    tokens = token_file(tmp_path / "tokens")
    config = f'[auth]\nnodes = "token"\ntokens = "{tokens}"\n'
    with LockService(tmp_path / "service", config) as running:
        running.tokens = tokens
        yield running


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def by_certificate(tmp_path, authority):
    server = authority.issue("server")
    config = (
        f'[tls]\ncert = "{server}"\nkey = "{server}"\n'
        f'client_ca = "{authority.path}"\n'
        '[auth]\nnodes = "certificate"\nadmins = ["alice"]\n'
    )
    with LockService(tmp_path / "service", config) as running:
        yield running


def test_a_node_takes_and_releases_its_own_lock_by_its_token(by_token):
    assert by_token.lock("a", **bearer("token-of-a"))[0] == 200
    assert by_token.unlock("a", **basic("a", "token-of-a"))[0] == 200
    log = json.loads(by_token.request("GET", "/v1/log")[2])["entries"]
    assert [entry["actor"] for entry in log[-2:]] == ["a (token)", "a (token)"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        (bearer("wrong"), 401),
        (bearer(""), 401),
        (bearer("token-of-a" * 90), 401),
        ({"Authorization": "Digest x"}, 401),
        ({"Authorization": "Basic !!!"}, 401),
        (basic("b", "token-of-a"), 401),
        (bearer("token-of-b"), 403),
        (bearer("alices"), 403),
        (basic("b", "token-of-b"), 403),
    ],
)
def test_nobody_releases_the_lock_of_another_node(by_token, headers, status):
    assert by_token.lock("a", **bearer("token-of-a"))[0] == 200
    before = by_token.log()
    for ask in (by_token.unlock, by_token.lock):
        found, _, body = ask("a", **headers)
        assert found == status
        assert body["kind"] == ("unauthorized" if status == 401 else "forbidden")
        assert "token-of" not in json.dumps(body)
    assert by_token.log() == before


def test_only_an_administrator_overrides(by_token):
    by_token.lock("a", **bearer("token-of-a"))
    order = {"group": "default", "id": "a", "reason": "disk died"}
    for headers in ({}, bearer("token-of-a"), bearer("token-of-b")):
        assert by_token.admin("release", headers=headers, **order)[0] == 403
    assert by_token.admin("release", headers=bearer("nope"), **order)[0] == 401
    assert by_token.admin("release", headers=bearer("alices"), **order)[0] == 200
    log = json.loads(by_token.request("GET", "/v1/log")[2])["entries"]
    assert log[-1]["actor"] == "alice (token)"


def test_a_new_token_counts_without_a_restart_and_a_broken_file_does_not(by_token):
    token_file(by_token.tokens, TOKENS | {"node c": "token-of-c"})
    wait_for(lambda: by_token.lock("c", **bearer("token-of-c"))[0] == 200)
    by_token.tokens.write_text("node c sha256:nonsense\n")

    def told():
        by_token.unlock("c", **bearer("token-of-c"))
        return any("expected node ID" in line for line in by_token.lines)

    wait_for(told)
    assert by_token.unlock("c", **bearer("token-of-c"))[0] == 200
    assert not any("nonsense" in line for line in by_token.lines)


def wait_for(check):
    deadline = time.monotonic() + 10
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_node_is_known_by_its_certificate(by_certificate, authority):
    a, b = (authority.client(authority.issue(name)) for name in "ab")
    assert by_certificate.lock("a", tls=a)[0] == 200
    assert by_certificate.unlock("a", tls=b)[0] == 403
    assert by_certificate.unlock("a", tls=authority.client())[0] == 401
    assert by_certificate.unlock("a", tls=authority.client(), **bearer("x"))[0] == 401
    assert by_certificate.unlock("a", tls=a)[0] == 200


def test_an_administrator_is_known_by_a_certificate_and_is_no_node(
    by_certificate, authority
):
    alice = authority.client(authority.issue("alice"))
    order = {"group": "default", "slots": 2, "reason": "hurry"}
    assert by_certificate.admin("slots", tls=alice, **order)[0] == 200
    assert by_certificate.lock("alice", tls=alice)[0] == 403
    node = authority.client(authority.issue("a"))
    assert by_certificate.admin("slots", tls=node, **order)[0] == 403


def test_the_page_is_shown_to_who_has_no_certificate(by_certificate, authority):
    found = by_certificate.request("GET", "/", tls=authority.client())
    assert found[0] == 200
    assert b"Reboot lock" in found[2]


@pytest.mark.parametrize("days", [30, -30])
def test_a_certificate_of_another_authority_or_of_the_past_is_no_certificate(
    by_certificate, authority, tmp_path, days
):
    issuer = Authority(tmp_path / "evil", "evil") if days > 0 else authority
    context = authority.client(issuer.issue("a", days))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        by_certificate.lock("a", tls=context)
    assert by_certificate.holders() == []


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ('listen = "0.0.0.0:0"', "does not say who they are"),
        ('listen = "[::]:0"', "does not say who they are"),
        ('listen = "nonsense"', "listen: nonsense is not HOST:PORT"),
        ('[auth]\nnodes = "token"', "needs auth.tokens"),
        ('[auth]\nnodes = "certificate"', "need tls.client_ca"),
        ('[auth]\nadmins = ["x"]', "need tls.client_ca"),
        ('[auth]\nnodes = "token"\ntokens = "/nonexistent"', "/nonexistent: No such"),
        (
            'listen = "0.0.0.0:0"\n[auth]\nnodes = "token"\ntokens = "/x"',
            "plain text",
        ),
        ('[tls]\ncert = "/nonexistent"\nkey = "/x"', "tls.cert: /nonexistent"),
        ("[groups.web]\nslots = -1", "groups.web.slots: expected `int` >= 0"),
        ("[groups.web]\nslot = 1", "groups.web: object contains unknown field `slot`"),
        ('[groups.web]\npoll = "soon"', "groups.web.poll: expected a duration"),
        ('[groups."a b"]\nslots = 1', 'groups: "a b" is no name'),
        ('[groups.web]\noverdue = "maybe"', "groups.web.overdue: invalid enum value"),
        ('store = "mysql://x"', "store: mysql://x is no store"),
        ('store = "sqlite://relative"', "store: sqlite://relative is no store"),
        ('store = "etcd://host"', "store: etcd://host is no store"),
        ("x = ", "not TOML"),
        ("unknown = 1", "unknown field `unknown`"),
    ],
)
def test_a_mistake_in_the_configuration_is_said_and_nothing_is_served(
    tmp_path, config, sentence
):
    path = tmp_path / "lock.toml"
    path.write_text(config)
    store = [] if config.startswith("store") else ["--store", f"sqlite://{tmp_path}/db"]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "updater", "lock", "serve"),
            *("--config", str(path), *store),
        ],
        text=True,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 4


def test_an_open_service_holds_a_node_to_the_name_that_it_gives(tmp_path):
    tokens = token_file(tmp_path / "tokens")
    config = f'[auth]\nnodes = "open"\ntokens = "{tokens}"\n'
    with LockService(tmp_path / "service", config) as service:
        assert service.lock("zincati")[0] == 200
        assert service.unlock("zincati", **bearer("token-of-a"))[0] == 403
        assert service.admin(
            "drain", headers=bearer("alices"), group="default", on=True, reason="x"
        ) == (200, {"note": "1 node may still be down"})
        assert service.request("POST", "/v1/admin/drain", "{}", PROTOCOL)[0] == 400
