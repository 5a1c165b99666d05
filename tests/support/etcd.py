"""A real etcd of one member, on this machine only."""

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request

import pytest

etcd_needed = pytest.mark.skipif(
    shutil.which("etcd") is None, reason="etcd is missing (Debian: etcd-server)"
)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class EtcdServer:
    """Starts with `start`; its data outlive `kill`.

    With an authority and a certificate it asks for certificates of that authority.
    """

    def __init__(self, directory, authority=None, certificate=None):
        self.directory = directory
        self.authority = authority
        self.certificate = certificate
        self.address = f"127.0.0.1:{free_port()}"
        self.peer = f"http://127.0.0.1:{free_port()}"
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.kill()

    def start(self):
        scheme = "https" if self.authority else "http"
        url = f"{scheme}://{self.address}"
        secure = [
            f"--cert-file={self.certificate}",
            f"--key-file={self.certificate}",
            f"--trusted-ca-file={self.authority and self.authority.path}",
            "--client-cert-auth",
        ]
        self.process = subprocess.Popen(
            [
                "etcd",
                f"--data-dir={self.directory}",
                f"--listen-client-urls={url}",
                f"--advertise-client-urls={url}",
                f"--listen-peer-urls={self.peer}",
                f"--initial-advertise-peer-urls={self.peer}",
                f"--initial-cluster=default={self.peer}",
                "--logger=zap",
                "--log-level=error",
                *(secure if self.authority else []),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "ETCD_UNSUPPORTED_ARCH": "arm64"},
        )
        deadline = time.monotonic() + 30
        while not self._healthy():
            assert self.process.poll() is None, "etcd ended"
            assert time.monotonic() < deadline, "etcd is not ready"
            time.sleep(0.05)

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def _healthy(self):
        scheme, tls = "http", None
        if self.authority:
            scheme, tls = "https", self.authority.client(self.certificate)
        url = f"{scheme}://{self.address}/health"
        try:
            with urllib.request.urlopen(url, timeout=1, context=tls) as answer:
                return b"true" in answer.read()
        except OSError:
            return False
