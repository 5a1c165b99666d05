"""FAKES of other FleetLock servers: their answers, as read from their sources.

Not the servers themselves, which need etcd v2, Kubernetes, Lambda. Each holds one slot
of one group in memory, and answers in the dialect of the server that it is named after.
"""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FakeServer:
    """One slot, one group. A dialect says how each answer looks: (status, kind)."""

    full = (500, "failed_lock")
    bad = (400, "invalid_client_identity")
    no_group = (400, "unknown_group")
    not_holder = (200, "")
    group = "web"
    content_type = "text/plain; charset=utf-8"
    success = b""

    def __init__(self):
        self.holder = None
        self.requests = []
        self._mutex = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            server_version = f"{type(fake).__name__} of the osupdate tests"

            def do_POST(self):
                size = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(size)
                fake.requests.append((self.path, dict(self.headers), body))
                with fake._mutex:
                    status, kind = fake.answer(self.path, self.headers, body)
                data = fake.success
                if status != 200:
                    value = f"{kind}: as {type(fake).__name__} says it"
                    data = json.dumps({"kind": kind, "value": value}).encode()
                self.send_response(status)
                self.send_header("Content-Type", fake.content_type)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, path, headers, body):
        if headers.get("fleet-lock-protocol") != "true":
            return self.bad
        params = json.loads(body)["client_params"]
        if params["group"] != self.group:
            return self.no_group
        if path == "/v1/pre-reboot":
            return self.lock(params["id"])
        return self.unlock(params["id"])

    def lock(self, node):
        if self.holder not in (None, node):
            return self.full
        self.holder = node
        return 200, ""

    def unlock(self, node):
        if self.holder not in (None, node):
            return self.not_holder
        self.holder = None
        return 200, ""


class FakeAirlock(FakeServer):
    """coreos/airlock: 500 failed_lock when full; empty success."""


class FakePoseidon(FakeServer):
    """poseidon/fleetlock: 423, also on steady-state while somebody else holds."""

    full = not_holder = (423, "lock_held")
    bad = (400, "missing_header")
    success = b"granted"


class FakeHeathcliff(FakeServer):
    """heathcliff26/fleetlock: 202 while it drains the node, which is no grant."""

    full = (423, "all_slots_full")
    bad = (400, "missing_fleetlock_header")
    no_group = (500, "error")
    content_type = "application/json"
    success = b'{"kind":"success","value":"The operation was succesfull"}'
    drains = 2  # polls until the node is drained

    def lock(self, node):
        found = super().lock(node)
        if found[0] == 200 and self.drains > 0:
            self.drains -= 1
            return 202, "waiting_for_node_drain"
        return found


class FakeKnubbis(FakeServer):
    """SUNET/knubbis-fleetlock: 409 when full, 500 for an unknown group."""

    full = (409, "failed_lock")
    bad = (400, "invalid_fleetlock_body")
    no_group = (500, "failed_lock")


class FakeDynamo(FakeServer):
    """opencounter/terraform-fleet-lock-dynamodb: 400 for everything, exact bodies."""

    full = not_holder = bad = (400, "bad_request")

    def answer(self, path, headers, body):
        found = json.loads(body)
        if set(found) != {"client_params"}:
            return self.bad
        if set(found["client_params"]) != {"id", "group"}:
            return self.bad
        return super().answer(path, headers, body)


FAKES = (FakeAirlock, FakePoseidon, FakeHeathcliff, FakeKnubbis, FakeDynamo)


class RawServer:
    """Sends bytes of a test's choice to whoever asks, at the pace of a generator."""

    def __init__(self, pieces):
        self._pieces = pieces
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self.connections = 0
        self._stopped = threading.Event()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._stopped.set()
        self._socket.close()
        self._thread.join()

    def _serve(self):
        self._socket.settimeout(0.05)
        while not self._stopped.is_set():
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            self.connections += 1
            with connection:
                self._answer(connection)

    def _answer(self, connection):
        connection.settimeout(5)
        try:
            connection.recv(65536)
            for piece in self._pieces():
                if self._stopped.is_set():
                    return
                if isinstance(piece, float):
                    self._stopped.wait(piece)
                else:
                    connection.sendall(piece)
        except OSError:
            return
