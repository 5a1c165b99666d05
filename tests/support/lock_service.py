"""The lock service as a process, as a machine runs it."""

import http.client
import json
import re
import signal
import ssl
import subprocess
import sys
import threading
from urllib.parse import urlsplit

PROTOCOL = {"fleet-lock-protocol": "true"}


class LockService:
    """`osupdate lock serve` on a free port; its store outlives `kill`."""

    def __init__(self, directory, config="", store=None, listen="127.0.0.1:0"):
        directory.mkdir(exist_ok=True)
        self.directory = directory
        self.store = store or f"sqlite://{directory}/lock.db"
        self.listen = listen
        self.config = directory / "lock.toml"
        self.config.write_text(config)
        self.lines = []
        self.process = None
        self.url = ""

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.stop()

    def start(self):
        self.process = subprocess.Popen(
            self.command(), stderr=subprocess.PIPE, text=True, errors="replace"
        )
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))
            if found := re.match(r"Serving (\S+)", line):
                self.url = found[1]
                break
        else:
            raise AssertionError("\n".join(self.lines))
        threading.Thread(target=self._read, daemon=True).start()

    def command(self):
        return [
            *(sys.executable, "-m", "updater", "lock", "serve"),
            *("--config", str(self.config), "--store", self.store),
            *("--listen", self.listen),
        ]

    def _read(self):
        with self.process.stderr as stream:
            for line in stream:
                self.lines.append(line.rstrip("\n"))

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def peak_memory(self):
        """Bytes, the most that the process has used."""
        with open(f"/proc/{self.process.pid}/status") as file:
            found = re.search(r"VmHWM:\s+(\d+) kB", file.read())
        return int(found[1]) * 1024

    def request(self, method, path, body=None, headers=None, tls=None):
        """(status, headers, body) of one request."""
        parts = urlsplit(self.url)
        if parts.scheme == "https":
            tls = tls or ssl._create_unverified_context()
            connection = http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=20, context=tls
            )
        else:
            connection = http.client.HTTPConnection(
                parts.hostname, parts.port, timeout=20
            )
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def post(self, path, node, group="default", tls=None, **headers):
        """(status, headers, JSON body) of a FleetLock request."""
        body = json.dumps({"client_params": {"id": node, "group": group}})
        sent = PROTOCOL | {name.replace("_", "-"): v for name, v in headers.items()}
        status, found, data = self.request("POST", path, body, sent, tls)
        return status, found, json.loads(data)

    def lock(self, node, **kw):
        return self.post("/v1/pre-reboot", node, **kw)

    def unlock(self, node, **kw):
        return self.post("/v1/steady-state", node, **kw)

    def admin(self, what, tls=None, headers=None, **order):
        sent = PROTOCOL | (headers or {})
        answer = self.request("POST", f"/v1/admin/{what}", json.dumps(order), sent, tls)
        return answer[0], json.loads(answer[2])

    def status(self):
        return json.loads(self.request("GET", "/v1/status")[2])

    def holders(self, group="default"):
        [found] = [g for g in self.status()["groups"] if g["name"] == group]
        return [holder["id"] for holder in found["holders"]]

    def log(self, limit=1000):
        found = json.loads(self.request("GET", f"/v1/log?limit={limit}")[2])
        return [(entry["event"], entry["id"]) for entry in found["entries"]]


def wait_until_seen(service, check):
    """The page and the status may be a second old."""
    for _ in range(40):
        if check():
            return
        threading.Event().wait(0.1)
    raise AssertionError(service.lines)
