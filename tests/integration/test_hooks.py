"""Hooks and trust files count only when nobody else could have written them."""

import os
import signal
import time

import pytest

from updater.errors import ConfigError, HostError
from updater.system import hooks, process, signature

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def hook(tmp_path):
    directory = tmp_path / "health.d"
    directory.mkdir(mode=0o755)
    path = directory / "check"
    path.write_text(f"#!/bin/sh\necho ran > {tmp_path}/ran\n")
    path.chmod(0o755)
    return path


def run(hook):
    return hooks.run_all([str(hook.parent)], {}, 30)[0].text


def test_a_hook_of_our_own_is_run(hook, tmp_path):
    assert run(hook) == ""
    assert (tmp_path / "ran").exists()


@as_root
@pytest.mark.parametrize("place", ["check", "."])
def test_a_hook_that_others_may_write_has_failed_and_is_not_run(hook, tmp_path, place):
    (hook.parent / place).chmod(0o777)
    assert "has mode 0777" in run(hook)
    assert not (tmp_path / "ran").exists()


@as_root
def test_a_hook_of_another_user_has_failed_and_is_not_run(hook, tmp_path):
    os.chown(hook, 65534, 65534)
    assert "belongs to uid 65534" in run(hook)
    assert not (tmp_path / "ran").exists()


@as_root
def test_a_trust_file_that_others_may_write_is_refused(tmp_path):
    file = tmp_path / signature.PINNED / "release"
    file.parent.mkdir(parents=True)
    file.write_text("")
    file.chmod(0o666)
    with pytest.raises(ConfigError, match="release has mode 0666"):
        signature.load_role(str(tmp_path), "release")


def test_what_a_program_leaves_running_is_not_waited_for():
    began = time.monotonic()
    done = process.run(["sh", "-c", "sleep 60 & echo $!"], timeout=30)
    assert time.monotonic() - began < 20
    os.kill(int(done.stdout), signal.SIGKILL)


def test_a_program_that_takes_too_long_ends_with_all_that_it_started(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(HostError, match="did not end within"):
        process.run(["sh", "-c", f"sleep 60 > {pipe} & wait"], timeout=0.5)
    os.set_blocking(reader, True)
    assert os.read(reader, 1) == b""  # the end: no writer is left
    os.close(reader)
