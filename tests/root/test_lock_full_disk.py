"""The lock service on a disk that is full."""

import subprocess

import pytest
from support.lock_service import LockService, wait_until_seen

pytestmark = pytest.mark.root


def test_a_full_disk_grants_nothing_and_says_so_until_there_is_room(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(small)], check=True
    )
    try:
        store = f"sqlite://{small}/lock.db"
        with LockService(tmp_path / "service", store=store) as service:
            told = [service.lock(f"n{number}")[0] for number in range(60)]
            assert told[0] == 200
            status, _, body = service.lock("late")
            assert (status, body["kind"]) == (503, "backend_unavailable")
            assert "full" in body["value"]
            assert service.request("GET", "/healthz")[0] == 503
            assert service.status()["trouble"]["reason"].endswith("full")
            assert b"PROBLEM: nothing can be granted" in service.request("GET", "/")[2]
            before = service.holders()
            subprocess.run(["mount", "-o", "remount,size=4m", str(small)], check=True)
            assert service.unlock("n0")[0] == 200
            assert before == ["n0"]
            wait_until_seen(service, lambda: service.status()["trouble"] is None)
            events = service.log()
            assert events[0] == ("granted", "n0")
            assert ("released", "n0") in events
    finally:
        subprocess.run(["umount", str(small)], check=True)
