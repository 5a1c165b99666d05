"""The lock service as a process: sockets, TLS, signals, and the end."""

import asyncio
import contextlib
import os
import resource
import signal
import socket
import ssl
from collections.abc import Callable

from aiohttp import web

from updater.core.text import safe
from updater.errors import ConfigError, HostError
from updater.lock.app import Service
from updater.lock.auth import Tokens
from updater.lock.clock import Clock
from updater.lock.config import (
    EtcdSettings,
    ServiceConfig,
    TlsSettings,
    address,
    default_store,
    group_settings,
    store_target,
)
from updater.lock.connections import MOST_CONNECTIONS, factory
from updater.lock.keeper import Keeper
from updater.lock.store import Store

_BACKLOG = 4096
_OTHER_FILES = 200  # descriptors for everything that is no connection
_GRACE = 10.0  # seconds for requests that are under way at the end


def serve(config: ServiceConfig, ready: Callable[[str, str], None]) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        config: what to serve, and to whom.
        ready: hears the address and the store once requests are answered.

    Raises:
        ConfigError: a certificate or token file cannot be used.
        BusyError, HostError: the store or the address is taken, or broken.
    """
    asyncio.run(_serve(config, ready))


async def _serve(config: ServiceConfig, ready: Callable[[str, str], None]) -> None:
    most = _raise_limit()
    clock = Clock()
    where = config.store or default_store()
    store = _make_store(where, config.etcd, clock)
    tokens = Tokens(config.auth.tokens)
    tls = None if config.tls is None else _server_tls(config.tls)
    keeper = Keeper(store, group_settings(config), clock)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    try:
        await keeper.start()
        runner = web.AppRunner(
            Service(config, keeper, tokens).application(),
            handler_cancellation=True,
            shutdown_timeout=_GRACE,
        )
        await runner.setup()
        try:
            server = await _listen(config.listen, runner, tls, most)
            host, port = server.sockets[0].getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            ready(f"{'https' if tls else 'http'}://{shown}:{port}/", where)
            _notify("READY=1")
            await stopped.wait()
            _notify("STOPPING=1")
            server.close()
        finally:
            await runner.cleanup()
    finally:
        await keeper.stop()


async def _listen(
    listen: str, runner: web.AppRunner, tls: ssl.SSLContext | None, most: int
) -> asyncio.Server:
    assert runner.server is not None, "setup made it"
    host, port = address(listen)
    try:
        return await asyncio.get_running_loop().create_server(
            factory(runner.server, most),
            host,
            port,
            ssl=tls,
            backlog=_BACKLOG,
            ssl_handshake_timeout=10.0 if tls else None,
        )
    except OSError as error:
        raise HostError(f"cannot listen on {listen}: {error.strerror}") from error


def _make_store(where: str, settings: EtcdSettings, clock: Clock) -> Store:
    kind, target = store_target(where)
    if kind == "etcd":
        from updater.lock.etcd import Etcd  # noqa: PLC0415 - only who uses it pays
        from updater.lock.etcd_store import EtcdStore  # noqa: PLC0415

        tls = _etcd_tls(settings)
        scheme = "https" if tls else "http"
        etcd = Etcd([f"{scheme}://{one}" for one in target], tls)
        return EtcdStore(etcd, clock.now)
    from updater.lock.sqlite import SqliteStore  # noqa: PLC0415

    [path] = target
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    except OSError as error:
        raise HostError(
            f"cannot make {safe(os.path.dirname(path), 200)}: {error.strerror}"
        ) from error
    return SqliteStore(path, clock.now())


def _server_tls(settings: TlsSettings) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load("tls", context, settings.cert, settings.key)
    if settings.client_ca is not None:
        # Optional, because people look at the page without one.
        context.verify_mode = ssl.CERT_OPTIONAL
        try:
            context.load_verify_locations(settings.client_ca)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"tls.client_ca: {settings.client_ca}: {error}"
            ) from error
    return context


def _etcd_tls(settings: EtcdSettings) -> ssl.SSLContext | None:
    if settings.ca is None:
        return None
    try:
        context = ssl.create_default_context(cafile=settings.ca)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"etcd.ca: {settings.ca}: {error}") from error
    if settings.cert is not None:
        _load("etcd", context, settings.cert, settings.key)
    return context


def _load(table: str, context: ssl.SSLContext, cert: str, key: str | None) -> None:
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{table}.cert: {cert}: {error}") from error


def _raise_limit() -> int:
    """Let every waiting node have a connection: how many there may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return max(1, min(MOST_CONNECTIONS, soft - _OTHER_FILES))


def _notify(state: str) -> None:
    """Tell systemd (sd_notify(3)); nobody listens elsewhere."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel,
        contextlib.suppress(OSError),
    ):
        channel.sendto(state.encode(), path.replace("@", "\0", 1))
