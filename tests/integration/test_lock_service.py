"""The lock service from outside: FleetLock exactly, and whatever else may arrive."""

import gzip
import json
import random
import shutil
import socket
import sqlite3
import subprocess
import threading
from pathlib import Path
from urllib.parse import urlsplit

import jsonschema
import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.etcd import EtcdServer, etcd_needed
from support.lock_service import PROTOCOL, LockService, wait_until_seen

SCHEMAS = Path(__file__).parents[2] / "docs/json"
BODY = '{"client_params":{"id":"a","group":"default"}}'
TWO = "[groups.default]\nslots = 2\n"


@pytest.fixture
def service(tmp_path):
    with LockService(tmp_path / "service") as running:
        yield running


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """For what changes nothing."""
    with LockService(tmp_path_factory.mktemp("lock") / "service") as running:
        yield running


def test_without_a_configuration_it_serves_one_slot_on_this_machine(service):
    assert service.url.startswith("http://127.0.0.1:")
    assert service.lock("a")[::2] == (200, {})
    assert service.lock("a")[::2] == (200, {}), "asking again is fine"
    status, headers, body = service.lock("b")
    assert (status, body["kind"]) == (423, "lock_held")
    assert body["value"] == "1 slot held by a"
    assert int(headers["Retry-After"]) > 0
    assert headers["Osupdate-Position"] == headers["Osupdate-Waiting"] == "1"
    assert service.unlock("b")[::2] == (200, {}), "releasing what is not held is fine"
    assert service.unlock("a")[::2] == (200, {})
    assert service.unlock("a")[::2] == (200, {})
    assert service.lock("b")[0] == 200


def test_what_is_announced_must_be_proved(service):
    assert service.lock("a", Osupdate_Target="2.0", Osupdate_From="1.0")[0] == 200
    status, _, body = service.unlock("a")
    assert (status, body["kind"]) == (409, "not_proved")
    status, _, _ = service.unlock("a", Osupdate_Booted="2.0", Osupdate_Verdict="good")
    assert status == 200
    assert service.log()[-2:] == [("refused", "a"), ("released", "a")]


def test_the_same_refusal_is_one_entry_a_minute(service):
    service.lock("a", Osupdate_Target="2.0")
    for _ in range(20):
        assert service.unlock("a")[0] == 409
    assert [event for event, _ in service.log()].count("refused") == 1


def test_a_replayed_release_frees_nothing(service):
    proof = {"Osupdate_Booted": "2.0", "Osupdate_Verdict": "good"}
    service.lock("a", Osupdate_Target="2.0", Osupdate_Request="7")
    assert service.unlock("a", Osupdate_Request="7", **proof)[0] == 200
    service.lock("a", Osupdate_Target="2.0", Osupdate_Request="8")
    status, _, body = service.unlock("a", Osupdate_Request="7", **proof)
    assert (status, body["kind"]) == (409, "stale_request")
    status, _, body = service.lock("a", Osupdate_Request="7")
    assert (status, body["kind"]) == (409, "stale_request")
    wait_until_seen(service, lambda: service.holders() == ["a"])


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, BODY),
        ({"fleet-lock-protocol": "false"}, BODY),
        (PROTOCOL, ""),
        (PROTOCOL, "{"),
        (PROTOCOL, b"\xff\xfe"),
        (PROTOCOL, "[]"),
        (PROTOCOL, "null"),
        (PROTOCOL, "{}"),
        (PROTOCOL, "[" * 15_000),
        (PROTOCOL, '{"client_params":{}}'),
        (PROTOCOL, '{"client_params":{"id":"","group":"default"}}'),
        (PROTOCOL, '{"client_params":{"id":1,"group":"default"}}'),
        (PROTOCOL, '{"client_params":{"id":"a\\u0000","group":"default"}}'),
        (PROTOCOL, '{"client_params":{"id":"a\\u202e","group":"default"}}'),
        (PROTOCOL, '{"client_params":{"id":"%s","group":"default"}}' % ("x" * 10_240)),
        (PROTOCOL, '{"client_params":{"id":"a"}}'),
        (PROTOCOL, '{"client_params":{"id":"a","group":""}}'),
        (PROTOCOL, '{"client_params":{"id":"a","group":"../x"}}'),
        (PROTOCOL, '{"client_params":{"id":"a","group":"default\\n"}}'),
        (PROTOCOL, '{"client_params":{"id":"a","group":"%s"}}' % ("x" * 10_240)),
        (PROTOCOL | {"Content-Encoding": "gzip"}, gzip.compress(BODY.encode())),
        (PROTOCOL | {"Osupdate-Phase": "asleep"}, BODY),
        (PROTOCOL | {"Osupdate-Request": "-1"}, BODY),
        (PROTOCOL | {"Osupdate-Request": "9" * 40}, BODY),
        (PROTOCOL | {"Osupdate-Request": "1e3"}, BODY),
    ],
)
def test_what_is_no_fleetlock_is_refused_in_its_form_and_grants_nothing(
    shared, headers, body
):
    before = len(shared.log())
    status, found, data = shared.request("POST", "/v1/pre-reboot", body, headers)
    assert status == 400
    answer = json.loads(data)
    assert set(answer) == {"kind", "value"}
    assert all(answer.values())
    assert found["Content-Type"].startswith("application/json")
    assert len(shared.log()) == before


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/v1/pre-reboot", 405, "method_not_allowed"),
        ("PUT", "/v1/steady-state", 405, "method_not_allowed"),
        ("POST", "/v1/status", 405, "method_not_allowed"),
        ("GET", "/v2/keys", 404, "not_found"),
        ("GET", "/../../etc/passwd", 404, "not_found"),
        ("GET", "/v1/log?limit=x", 400, "bad_request"),
        ("GET", "/v1/log?after=-1", 400, "bad_request"),
    ],
)
def test_other_paths_and_methods_are_refused_in_the_same_form(
    shared, method, path, status, kind
):
    found = shared.request(method, path)
    assert (found[0], json.loads(found[2])["kind"]) == (status, kind)


def test_an_unknown_group_is_said_to_be_unknown(shared):
    status, _, body = shared.lock("a", group="nope")
    assert (status, body["kind"]) == (404, "unknown_group")
    assert shared.unlock("a", group="nope")[0] == 404


def test_a_body_as_zincati_sends_it_is_understood(service):
    """Pretty-printed, and without a Content-Type."""
    body = json.dumps(json.loads(BODY), indent=2)
    parts = urlsplit(service.url)
    with socket.create_connection((parts.hostname, parts.port)) as raw:
        raw.sendall(
            b"POST /v1/pre-reboot HTTP/1.1\r\nHost: x\r\nfleet-lock-protocol: true\r\n"
            b"Connection: close\r\nContent-Length: %d\r\n\r\n%s"
            % (len(body), body.encode())
        )
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    extra = BODY.replace('"default"}', '"default","more":1},"also":2')
    assert service.request("POST", "/v1/pre-reboot", extra, PROTOCOL)[0] == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_100_megabytes_is_refused_without_being_held(service, chunked):
    parts = urlsplit(service.url)
    block = b"x" * 65536
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as raw:
        length = (
            "Transfer-Encoding: chunked" if chunked else "Content-Length: 104857600"
        )
        raw.sendall(
            "POST /v1/pre-reboot HTTP/1.1\r\nHost: x\r\nfleet-lock-protocol: true\r\n"
            f"{length}\r\n\r\n".encode()
        )
        try:
            for _ in range(1600):
                raw.sendall(b"10000\r\n" + block + b"\r\n" if chunked else block)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it need not read what it does not want
        else:
            raw.shutdown(socket.SHUT_WR)
    assert service.peak_memory() < 150e6
    assert service.lock("a")[0] == 200
    small = {"Content-Length": "104857600", **PROTOCOL}
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as raw:
        head = "".join(f"{name}: {value}\r\n" for name, value in small.items())
        raw.sendall(f"POST /v1/pre-reboot HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode())
        raw.sendall(b"x" * 20_000)
        answer = raw.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b'"kind":"body_too_large"' in answer


def test_headers_without_end_are_refused(shared):
    parts = urlsplit(shared.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as raw:
        raw.sendall(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n")
        raw.sendall(b"X-Long: " + b"y" * 100_000 + b"\r\n\r\n")
        try:
            answer = raw.recv(65536)
        except ConnectionResetError:
            answer = b""
    assert not answer or answer.startswith(b"HTTP/1.0 400") or b" 400 " in answer
    assert shared.request("GET", "/healthz")[0] == 200


@pytest.mark.parametrize(
    "noise",
    [b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02", b"\r\n\x00\xff" * 9],
)
def test_bytes_that_are_no_http_do_not_end_the_service(shared, noise):
    parts = urlsplit(shared.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=5) as raw:
        raw.sendall(noise)
        raw.shutdown(socket.SHUT_WR)
        try:
            while raw.recv(65536):
                pass
        except ConnectionResetError:
            pass
    assert shared.request("GET", "/healthz")[0] == 200


def test_every_grant_survives_being_killed_at_any_moment(tmp_path):
    """Whoever was told 200 holds the lock after the service came back."""
    service = LockService(tmp_path / "service", "[groups.default]\nslots = 5\n")
    told = set()
    serial = iter(range(100_000))

    def hammer(stop):
        chance = random.Random(next(serial))
        while not stop.is_set():
            if told and chance.random() < 0.5:
                name = chance.choice(sorted(told))
                told.discard(name)  # from here on nobody knows, until the answer
                try:
                    service.unlock(name)
                except OSError:
                    return
                continue
            name = f"n{next(serial)}"
            try:
                if service.lock(name)[0] == 200:
                    told.add(name)
                else:
                    service.unlock(name)
            except OSError:
                return

    for round_ in range(6):
        service.start()
        held = set(service.holders())
        assert told <= held, "a grant was lost"
        assert len(held) <= 5
        told = set(held)
        stop = threading.Event()
        threads = [threading.Thread(target=hammer, args=(stop,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        stop.wait(0.2 + random.Random(round_).random() * 0.5)
        service.kill()
        stop.set()
        for thread in threads:
            thread.join()
    with sqlite3.connect(tmp_path / "service/lock.db") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        entries = [json.loads(e) for [e] in db.execute("SELECT entry FROM ledger")]
        holders = {name for [name] in db.execute("SELECT id FROM holders")}
    granted = [e["id"] for e in entries if e["event"] == "granted"]
    released = [e["id"] for e in entries if e["event"] == "released"]
    assert len(granted) > 20
    assert set(granted) - set(released) == holders


def test_slots_drain_and_force_work_at_the_machine_and_are_written_down(service):
    assert service.admin("slots", group="web", slots=1, reason="new") == (200, {})
    assert service.lock("a", group="web")[0] == 200
    assert service.admin("drain", group="web", on=True, reason="freeze")[0] == 200
    assert service.lock("b", group="web")[2]["kind"] == "group_draining"
    assert service.admin("release", group="web", id="a", reason="disk died")[0] == 200
    assert service.admin("release", group="web", id="a", reason="x")[0] == 404
    assert service.admin("drain", group="web", on=False, reason="over")[0] == 200
    assert service.lock("b", group="web")[0] == 200
    events = [event for event, _ in service.log()]
    assert events == [
        *("slots", "granted", "drained", "waiting", "forced", "resumed", "granted")
    ]


@pytest.mark.parametrize(
    ("what", "order"),
    [
        ("slots", {"group": "web", "slots": -1, "reason": "x"}),
        ("slots", {"group": "web", "slots": 10**6, "reason": "x"}),
        ("slots", {"group": "web", "slots": 1, "reason": ""}),
        ("slots", {"group": "web", "slots": 1}),
        ("slots", {"group": "a/b", "slots": 1, "reason": "x"}),
        ("slots", {"group": "web", "slots": 1, "reason": "x", "more": 1}),
        ("drain", {"group": "default", "on": "yes", "reason": "x"}),
        ("release", {"group": "default", "reason": "x"}),
    ],
)
def test_an_override_with_a_mistake_changes_nothing(shared, what, order):
    before = shared.log()
    status, body = shared.admin(what, **order)
    assert (status, body["kind"]) == (400, "invalid_body")
    assert shared.log() == before


def test_a_web_page_cannot_use_a_service_of_this_machine(shared):
    """Neither across origins, without our header, nor with a name that points here."""
    order = json.dumps({"group": "default", "slots": 9, "reason": "x"})
    path = "/v1/admin/slots"
    assert shared.request("POST", path, order, {"Origin": "http://evil"})[0] == 400
    rebound = PROTOCOL | {"Host": "evil.example:9090"}
    assert shared.request("POST", path, order, rebound)[0] == 403
    assert shared.request("OPTIONS", path)[1].get("Access-Control-Allow-Origin") is None


def test_the_status_is_what_its_schema_says(service):
    service.lock("a", Osupdate_Target="2.0", Osupdate_Name="web1", Osupdate_Why="u")
    service.lock("b", Osupdate_Name="caf%C3%A9")
    service.admin("drain", group="default", on=True, reason="freeze")
    schema = json.loads((SCHEMAS / "lock-1.json").read_text())
    wait_until_seen(service, lambda: service.status()["groups"][0]["drain"])
    value = service.status()
    jsonschema.validate(value, schema)
    [group] = value["groups"]
    assert group["holders"][0]["to"] == "2.0"
    assert group["queue"][0]["name"] == "café"
    log = json.loads(service.request("GET", "/v1/log?limit=2")[2])
    jsonschema.validate(log, json.loads((SCHEMAS / "lock-log-1.json").read_text()))
    assert [entry["seq"] for entry in log["entries"]] == [2, 3]
    rest = json.loads(service.request("GET", "/v1/log?after=1&limit=1")[2])
    assert [entry["seq"] for entry in rest["entries"]] == [2]


def test_the_metrics_are_prometheus_with_the_names_of_airlock(service):
    service.lock("a")
    service.lock("b")
    service.unlock("c")
    service.request("POST", "/v1/pre-reboot", "{", PROTOCOL)
    status, headers, data = service.request("GET", "/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(data.decode())
        for sample in family.samples
    }
    assert found["airlock_config_groups",] == 1
    assert found["airlock_config_semaphore_slots", "default"] == 1
    assert found["airlock_database_semaphore_slots", "default"] == 1
    assert found["airlock_database_semaphore_lock_holders", "default"] == 1
    assert found["airlock_v1_pre_reboot_incoming_requests_total",] == 2
    assert found["airlock_v1_steady_state_incoming_requests_total",] == 1
    assert found["osupdate_lock_waiting", "default"] == 1
    assert found["osupdate_lock_answers_total", "pre_reboot", "lock_held"] == 1
    assert found["osupdate_lock_store_up",] == 1
    assert found["osupdate_lock_refused_requests_total", "invalid_body"] == 1


def test_the_page_escapes_what_a_node_calls_itself(service):
    evil = "%3Cscript%3Ealert(1)%3C/script%3E%1B%5B31m%22%27%E2%80%AE"
    service.lock("<img src=x onerror=alert(2)>", Osupdate_Name=evil, Osupdate_Why=evil)
    service.lock("<b>", Osupdate_Name=evil, Osupdate_Target=evil)
    status, headers, data = service.request("GET", "/")
    page = data.decode()
    assert status == 200
    assert page.count("<script>") == 1
    assert "<img" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "'unsafe-inline'" not in headers["Content-Security-Policy"]


def test_it_ends_well_when_it_is_told_to(service):
    service.lock("a")
    assert service.stop() == 0


def test_a_second_service_on_the_same_store_is_refused(service):
    done = subprocess.run(
        service.command(), text=True, capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 5
    assert "lock serve" in done.stderr


def test_a_taken_address_is_said_in_a_sentence(service, tmp_path):
    other = LockService(tmp_path / "other", listen=urlsplit(service.url).netloc)
    done = subprocess.run(
        other.command(), text=True, capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert f"cannot listen on {urlsplit(service.url).netloc}" in done.stderr


def test_a_broken_store_is_said_in_a_sentence_and_left_alone(tmp_path):
    service = LockService(tmp_path / "service")
    (tmp_path / "service/lock.db").write_bytes(b"not a database" * 500)
    done = subprocess.run(
        service.command(), text=True, capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert "lock.db: file is not a database" in done.stderr
    assert "Move it away" in done.stderr
    assert (tmp_path / "service/lock.db").read_bytes() == b"not a database" * 500


def test_the_configuration_counts_when_it_changes(tmp_path):
    service = LockService(tmp_path / "service", TWO)
    with service:
        assert [service.lock(name)[0] for name in "abc"] == [200, 200, 423]
        service.admin("slots", group="default", slots=3, reason="hurry")
        assert service.lock("c")[0] == 200
    with service:
        assert len(service.holders()) == 3, "an override outlives a restart"
        assert service.status()["groups"][0]["slots"] == 3
        assert service.status()["groups"][0]["configured_slots"] == 2
    service.config.write_text("[groups.default]\nslots = 1\n")
    with service:
        assert service.status()["groups"][0]["slots"] == 1
        assert len(service.holders()) == 3


@etcd_needed
def test_an_etcd_that_dies_is_an_error_until_it_is_back(tmp_path):
    with EtcdServer(tmp_path / "etcd") as etcd:
        store = f"etcd://{etcd.address}"
        with LockService(tmp_path / "service", TWO, store=store) as service:
            assert service.lock("a")[0] == 200
            etcd.kill()
            status, headers, body = service.lock("b")
            assert (status, body["kind"]) == (503, "backend_unavailable")
            assert int(headers["Retry-After"]) > 0
            assert service.request("GET", "/healthz")[0] == 503
            assert b"PROBLEM" in service.request("GET", "/")[2]
            assert b"osupdate_lock_store_up 0" in service.request("GET", "/metrics")[2]
            etcd.start()
            assert service.lock("b")[0] == 200
            assert service.lock("c")[0] == 423
            assert service.stop() == 0


@etcd_needed
def test_three_services_on_one_etcd_are_one_lock(tmp_path):
    with EtcdServer(tmp_path / "etcd") as etcd:
        store = f"etcd://{etcd.address}"
        services = [LockService(tmp_path / f"s{i}", TWO, store=store) for i in range(3)]
        try:
            for service in services:
                service.start()
            codes = [services[i % 3].lock(f"n{i}")[0] for i in range(9)]
            assert codes.count(200) == 2
            assert codes.count(423) == 7
            services[0].kill()
            assert services[1].unlock("n0")[0] == 200
            assert len(services[2].holders()) == 1
        finally:
            for service in services:
                service.stop()


def test_curl_can_speak_to_it_as_the_document_says(service):
    if shutil.which("curl") is None:
        pytest.skip("curl is missing")
    done = subprocess.run(
        [
            *("curl", "-sf", "-H", "fleet-lock-protocol: true", "-d", BODY),
            f"{service.url}v1/pre-reboot",
        ],
        capture_output=True,
        check=True,
    )
    assert done.stdout == b"{}"
