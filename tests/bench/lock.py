"""`python -m bench.lock`: 10,000 nodes ask for the reboot lock at once.

One service on SQLite, then three on one etcd; loopback only. The clients share the
machine with what they measure. Ends with 1 when more are granted than there are slots.
"""

import argparse
import asyncio
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import aiohttp
from support.etcd import EtcdServer
from support.lock_service import PROTOCOL, LockService
from support.locks import T, asks, slots

from updater.lock.sqlite import SqliteStore
from updater.lock.wire import PRE_REBOOT, STEADY_STATE, request_body

TRIES = 5  # of a node that was not answered


class Load:
    """What a fleet is told, and how long it takes."""

    def __init__(self, urls):
        self.urls = urls
        self.granted = set()
        self.codes = []
        self.seconds = []
        self.again = 0

    async def run(self, path, names):
        """Every name asks at once, on a connection of its own, as nodes do."""
        self.codes, self.seconds, self.again = [], [], 0
        gate = asyncio.Event()
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            timeout=aiohttp.ClientTimeout(total=300),
        ) as session:
            work = [
                asyncio.create_task(self._one(session, gate, number, path, name))
                for number, name in enumerate(names)
            ]
            await asyncio.sleep(0)
            began = time.monotonic()
            gate.set()
            await asyncio.gather(*work)
        return time.monotonic() - began

    async def _one(self, session, gate, number, path, name):
        await gate.wait()
        url = self.urls[number % len(self.urls)].rstrip("/")
        body = request_body(name, "default")
        began = time.monotonic()
        for _ in range(TRIES):
            try:
                async with session.post(url + path, data=body, headers=PROTOCOL) as got:
                    await got.read()
            except aiohttp.ClientError:
                self.again += 1
                await asyncio.sleep(1)
                continue
            break
        self.seconds.append(time.monotonic() - began)
        self.codes.append(got.status)
        if got.status == 200 and path == PRE_REBOOT:
            self.granted.add(name)
        elif got.status == 200:
            self.granted.discard(name)


def row(what, count, seconds, load, memory):
    times = sorted(load.seconds)
    p99 = times[int(len(times) * 0.99)]
    print(
        f"{what:<34} {count / seconds:>8,.0f}/s   p50 {statistics.median(times):6.2f} s"
        f"   p99 {p99:6.2f} s   {memory / 1e6:5.0f} MB"
        + (f"   {load.again:,} asked again" if load.again else "")
    )


def measure(title, services, nodes, few, many):
    """Four loads on running services; whether nobody was granted too much."""
    names = [f"node-{number:06}" for number in range(nodes)]
    load = Load([service.url for service in services])
    wrong = []

    def one(what, path, held):
        seconds = asyncio.run(load.run(path, names))
        memory = max(service.peak_memory() for service in services)
        row(f"  {what}", nodes, seconds, load, memory)
        others = Counter(load.codes) - Counter({200: nodes, 423: nodes})
        if len(load.granted) != held or others:
            wrong.append(
                f"{what}: {len(load.granted)} hold, answers {others or 'fine'}"
            )

    print(title)
    one(f"ask at once, {few} slots", PRE_REBOOT, few)
    one("the same again, polls", PRE_REBOOT, few)
    one("all give it back or up", STEADY_STATE, 0)
    order = {"group": "default", "slots": many, "reason": "bench"}
    assert services[0].admin("slots", **order)[0] == 200
    one(f"ask at once, {many:,} slots", PRE_REBOOT, many)
    print(f"  over-granted: {'; '.join(wrong) or 'none'}")
    return not wrong


def journals(directory, count):
    """One grant a commit, each synced: what WAL saves."""
    for journal in ("WAL", "DELETE"):
        path = directory / f"{journal}.db"

        async def story(path=path, journal=journal):
            store = SqliteStore(str(path), T, journal)
            await store.open()
            await store.run("web", slots(count), create=True)
            began = time.monotonic()
            for number in range(count):
                await store.run("web", asks(f"n{number}"))
            seconds = time.monotonic() - began
            await store.close()
            return seconds

        seconds = asyncio.run(story())
        print(
            f"  journal {journal:<7} {count / seconds:8,.0f} commits/s, one at a time"
        )


def main():
    parser = argparse.ArgumentParser(prog="bench.lock", description=__doc__)
    parser.add_argument("--nodes", type=int, default=10_000)
    parser.add_argument("--slots", type=int, default=20)
    args = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    config = f"[groups.default]\nslots = {args.slots}\n"
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        directory = Path(name)
        print(f"{args.nodes:,} nodes")
        journals(directory, 300)
        with LockService(directory / "sqlite", config) as service:
            good = measure(
                "one service, SQLite", [service], args.nodes, args.slots, args.nodes
            )
        if shutil.which("etcd") is None:
            print("three services, etcd: not measured, etcd is missing")
            return 0 if good else 1
        etcd = stack.enter_context(EtcdServer(directory / "etcd"))
        services = [
            stack.enter_context(
                LockService(directory / f"s{i}", config, f"etcd://{etcd.address}")
            )
            for i in range(3)
        ]
        # A value of etcd holds the holders of a group: 1.5 MB at most.
        good &= measure(
            "three services, etcd", services, args.nodes, args.slots, args.nodes // 10
        )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
