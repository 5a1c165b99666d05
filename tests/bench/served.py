"""A directory over HTTP on this machine, and how many bytes went out.

Repositories of git through `git http-backend`, everything else as files. Content is
passed on in pieces, so that this process stays small: children begin with its size.
"""

import os
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bench.peers import GIT_ENV

_PIECE = 1 << 16


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = f"{self.server.root}{self.path}"
        if ".git/" in self.path:
            self._backend()
        elif os.path.isfile(path):
            with open(path, "rb") as file:
                length = os.fstat(file.fileno()).st_size
                self._begin(200, {"Content-Length": length})
                shutil.copyfileobj(file, self._counted())
        else:
            self._begin(404, {"Content-Length": 0})

    def do_POST(self):
        self._backend()

    def _backend(self):
        path, _, query = self.path.partition("?")
        asked = {
            "GIT_PROJECT_ROOT": str(self.server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("content-type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("content-encoding", ""),
            "GIT_PROTOCOL": self.headers.get("git-protocol", ""),
        }
        with subprocess.Popen(
            ["git", "http-backend"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **GIT_ENV, **asked},
        ) as process:
            for piece in self._body():
                process.stdin.write(piece)
            process.stdin.close()
            self._pass_on(process.stdout)

    def _body(self):
        if self.headers.get("transfer-encoding") != "chunked":
            yield self.rfile.read(int(self.headers.get("content-length") or 0))
            return
        while length := int(self.rfile.readline(), 16):
            yield self.rfile.read(length)
            self.rfile.readline()
        self.rfile.readline()

    def _pass_on(self, answer):
        headers = {}
        while line := answer.readline().decode().strip():
            name, _, value = line.partition(": ")
            headers[name] = value
        status = int(headers.pop("Status", "200")[:3])
        self._begin(status, {**headers, "Transfer-Encoding": "chunked"})
        out = self._counted()
        while piece := answer.read1(_PIECE):
            self.wfile.write(b"%x\r\n" % len(piece))
            out.write(piece)
            self.wfile.write(b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def _begin(self, status, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()

    def _counted(self):
        return _Counted(self.wfile, self.server)

    def log_message(self, *_):
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A client that hangs up when it has everything is no error."""


class _Counted:
    """Passes bytes on and adds them up."""

    def __init__(self, out, server):
        self._out, self._server = out, server

    def write(self, piece):
        with self._server.lock:
            self._server.sent += len(piece)
        return self._out.write(piece)


class Served:
    """Serves a directory; `taken()` is the bytes of content since it was last asked."""

    def __init__(self, root):
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.root, self._server.sent = root, 0
        self._server.lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def taken(self):
        with self._server.lock:
            sent, self._server.sent = self._server.sent, 0
        return sent

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
