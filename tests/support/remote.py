"""The other side: real git servers on this machine, and one that lies.

`Repository` is a bare repository made by stock git. `HttpServer` runs `git
http-backend` behind Python's http.server, over TLS when it has a certificate; a `hook`
may answer in its place. `SshServer` is asyncssh running `git upload-pack`, `GitDaemon`
is `git daemon`, `RawServer` hands each connection to a function.
"""

import asyncio
import contextlib
import datetime
import ipaddress
import os
import shlex
import socket
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import asyncssh
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

GIT_ENV = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "LC_ALL": "C",
    "TZ": "UTC",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_AUTHOR_DATE": "1770000000 +0000",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_COMMITTER_DATE": "1770000000 +0000",
}


def git(*arguments, cwd=None, stdin=b""):
    """Run stock git without anybody's configuration; returns its stdout, stripped."""
    done = subprocess.run(
        ["git", *map(str, arguments)],
        cwd=cwd,
        env=GIT_ENV,
        input=stdin,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


class Repository:
    """A bare repository `<directory>/os.git` and a work tree that feeds it."""

    def __init__(self, directory, name="os.git"):
        self.root = Path(directory)
        self.path = self.root / name
        self.work = self.root / f"{name}.work"
        git("init", "-q", "--bare", "-b", "stable", self.path)
        git("init", "-q", "-b", "stable", self.work)
        self.git = lambda *arguments: git(*arguments, cwd=self.path)

    def commit(self, files, tag=None, annotated=True, branch="stable"):
        """Commit these files (name -> text or bytes) and push; returns its id."""
        for name, content in files.items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            data = content.encode() if isinstance(content, str) else content
            path.write_bytes(data)
        git("add", "-A", cwd=self.work)
        git("commit", "-q", "--allow-empty", "-m", f"change {tag}", cwd=self.work)
        git("push", "-q", "-f", self.path, f"HEAD:refs/heads/{branch}", cwd=self.work)
        if tag:
            self.tag(tag, annotated=annotated)
        return git("rev-parse", "HEAD", cwd=self.work)

    def tag(self, name, target="stable", annotated=True):
        options = ["-a", "-m", f"release {name}"] if annotated else []
        self.git("tag", "-f", *options, name, target)
        return self.git("rev-parse", f"refs/tags/{name}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _serve(self):
        self.server.log.append((self.command, self.path, dict(self.headers)))
        body = self._body()
        with contextlib.suppress(BrokenPipeError, ConnectionError, ssl.SSLError):
            if not (self.server.hook and self.server.hook(self, body)):
                self.backend(body)

    do_GET = do_POST = _serve  # noqa: N815 - the names that http.server calls

    def _body(self):
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = []
        while length := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(length))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def run_backend(self, body):
        """What `git http-backend` answers: (status, headers, content)."""
        path, _, query = self.path.partition("?")
        done = subprocess.run(
            ["git", "-c", "safe.directory=*", "http-backend"],
            input=body,
            capture_output=True,
            check=True,
            env=GIT_ENV
            | {
                "GIT_PROJECT_ROOT": str(self.server.root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("content-type", ""),
                "CONTENT_LENGTH": str(len(body)),
            },
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        status = int(headers.pop("Status", "200")[:3])
        return status, headers, content

    def backend(self, body):
        self.answer(*self.run_backend(body))

    def answer(self, status, headers, content=b""):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


class HttpServer:
    """Serves the repositories below `root`; `log` is every request that came.

    `hook(handler, body) -> bool` may answer by itself, and then returns True.
    """

    def __init__(self, root, hook=None, certificate=None, name="127.0.0.1"):
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.root, self._server.hook = root, hook
        self.log = self._server.log = []
        self._server.handle_error = lambda *_: None
        self._server.daemon_threads = True
        self._server.block_on_close = False
        scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
            scheme = "https"
        self.port = self._server.server_address[1]
        self.base = f"{scheme}://{name}:{self.port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class RawServer:
    """Hands each TCP connection to `talk(socket)`; counts them in `connections`."""

    def __init__(self, talk):
        self._talk = talk
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.base = f"http://127.0.0.1:{self.port}"
        self.connections = 0
        self._open = []
        self._thread = threading.Thread(target=self._accept)

    def _accept(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(
                target=self._serve, args=(connection,), daemon=True
            ).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError), connection:
            self._talk(connection)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()


class GitDaemon:
    """`git daemon` for the repositories below `root`."""

    def __init__(self, root):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.base = f"git://127.0.0.1:{self.port}"
        self._root = root

    def __enter__(self):
        self._process = subprocess.Popen(
            [
                "git", "-c", "safe.directory=*", "daemon", "--export-all",
                "--listen=127.0.0.1", f"--port={self.port}", "--reuseaddr",
                "--verbose", f"--base-path={self._root}", str(self._root),
            ],
            env=GIT_ENV,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        assert b"Ready to rumble" in self._process.stderr.readline()
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait()
        self._process.stderr.close()


class SshServer:
    """asyncssh that runs `git upload-pack` below `root` for one user's key.

    `host_key` and `client_key` are paths of private keys.
    """

    def __init__(self, root, host_key, client_key):
        self._root, self._host_key = root, host_key
        self._client_key = Path(f"{client_key}.pub")
        self.users = []
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()))

    @property
    def base(self):
        return f"ssh://git@127.0.0.1:{self.port}"

    def known_hosts(self, key=None):
        """The line that a client needs to know this server by `key`'s public half."""
        kind, blob = Path(f"{key or self._host_key}.pub").read_text().split()[:2]
        return f"[127.0.0.1]:{self.port} {kind} {blob}\n"

    async def _main(self):
        owner = self

        class Server(asyncssh.SSHServer):
            def begin_auth(self, username):
                owner.users.append(username)
                return True

        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await asyncssh.create_server(
            Server,
            "127.0.0.1",
            0,
            server_host_keys=[str(self._host_key)],
            authorized_client_keys=str(self._client_key),
            process_factory=self._run,
            encoding=None,
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        await server.wait_closed()

    async def _run(self, process):
        program, path = shlex.split(process.command)
        assert program == "git-upload-pack"
        child = await asyncio.create_subprocess_exec(
            "git", "-c", "safe.directory=*", "upload-pack", f"{self._root}{path}",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=GIT_ENV,
        )  # fmt: skip
        feeding = asyncio.create_task(_pump(process.stdin, child.stdin))
        await _pump(child.stdout, process.stdout)
        code = await child.wait()
        feeding.cancel()
        process.exit(code)

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()


async def _pump(source, target):
    while data := await source.read(1 << 16):
        target.write(data)
        await target.drain()


class Authority:
    """A private certificate authority; `pem` is its certificate's path."""

    def __init__(self, directory, name="ca"):

        self._directory = Path(directory)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.certificate = self._make(self._name, self._key, authority=True)
        self.pem = self._directory / f"{name}.pem"
        self.pem.write_bytes(_pem(self.certificate))

    def issue(self, *names, expired=False):
        """A server's key and certificate in one file, valid for these names or IPs."""

        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
        alternatives = x509.SubjectAlternativeName([_general_name(n) for n in names])
        made = self._make(subject, key, alternatives=alternatives, expired=expired)
        path = self._directory / f"server-{made.serial_number:x}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + _pem(made)
        )
        return path

    def _make(self, subject, key, *, alternatives=None, authority=False, expired=False):

        now = datetime.datetime.now(datetime.UTC)
        day = datetime.timedelta(days=1)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 3 * day)
            .not_valid_after(now - day if expired else now + day)
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
        )
        if alternatives:
            builder = builder.add_extension(alternatives, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _general_name(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


def snapshot(directory):
    """Every path below a directory with its type, mode and content, to compare."""
    found = {}
    for path in sorted(Path(directory).rglob("*")):
        content = path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(directory))] = (path.lstat().st_mode, content)
    return found


def pkt(text):
    """One pkt-line of git's protocol."""
    data = text if isinstance(text, bytes) else text.encode()
    return b"%04x" % (len(data) + 4) + data
