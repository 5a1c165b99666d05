"""Forked workers: every job answered once, in order; errors cross the fork whole."""

import os
import signal

import pytest

from updater.errors import HostError, NoSpaceError, UntrustedError
from updater.system.process import fork_map


def squares(number):
    return b"%d" % (number * number)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 1000])
@pytest.mark.parametrize("workers", [1, 3])
def test_every_job_is_answered_in_order(count, workers):
    done = []
    answers = fork_map(count, lambda: squares, workers, done.append)
    assert answers == [squares(number) for number in range(count)]
    assert done == sorted(done)
    assert done[-1:] == ([count] if count else [])


def test_answers_larger_than_a_pipe():
    answers = fork_map(5, lambda: lambda number: bytes([number]) * (3 << 20), 2)
    assert [(len(a), a[0]) for a in answers] == [(3 << 20, n) for n in range(5)]


def test_start_is_called_once_in_each_worker():
    def start():
        mine = b"%d" % os.getpid()
        return lambda _: mine

    pids = set(fork_map(200, start, 2))
    assert len(pids) in (1, 2)  # one may have taken all jobs before the other began
    assert b"%d" % os.getpid() not in pids


def test_the_last_job_closes_what_a_worker_opened(tmp_path):
    def start():
        def work(number):
            if number == 6:
                (tmp_path / f"{os.getpid()}").write_text("closed")
            return b""

        return work

    assert len(fork_map(6, start, 2, closing=True)) == 6
    assert len(list(tmp_path.iterdir())) == 2


def failing(error):
    def work(number):
        if number == 3:
            raise error
        return b""

    return lambda: work


def test_an_error_arrives_as_it_was_raised():
    error = UntrustedError("S1", "wrong", hint="look", unchanged="all is well")
    with pytest.raises(UntrustedError) as caught:
        fork_map(100, failing(error), 2)
    got = caught.value
    assert (str(got), got.check, got.hint, got.unchanged) == (
        "wrong (check S1)",
        "S1",
        "look",
        "all is well",
    )
    with pytest.raises(NoSpaceError, match="full"):
        fork_map(100, failing(NoSpaceError("full")), 2)


def test_a_mistake_is_an_error_of_the_host():
    with pytest.raises(HostError, match="a worker failed: ZeroDivisionError"):
        fork_map(9, failing(ZeroDivisionError("by zero")), 2)


def test_an_error_before_the_first_job():
    def start():
        raise HostError("cannot open")

    with pytest.raises(HostError, match="cannot open"):
        fork_map(9, start, 2)


def test_a_worker_that_dies_is_noticed():
    def work(number):
        if number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return b""

    with pytest.raises(HostError, match="a worker ended before its work was done"):
        fork_map(100, lambda: work, 2)


def test_nothing_is_left_of_the_workers():
    before = os.listdir("/proc/self/fd")
    for error in (None, HostError("x")):
        if error is None:
            fork_map(10, lambda: squares, 2)
            continue
        with pytest.raises(HostError):
            fork_map(10, failing(error), 2)
    assert len(os.listdir("/proc/self/fd")) == len(before)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_an_interrupt_ends_all_workers(tmp_path):
    def work(number):
        (tmp_path / f"{os.getpid()}").write_text("")
        signal.pause()
        return b""

    def report(_):
        raise AssertionError

    def interrupt(*_):
        raise KeyboardInterrupt

    old = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(KeyboardInterrupt):
            fork_map(4, lambda: work, 2, report)
    finally:
        signal.signal(signal.SIGALRM, old)
    for path in tmp_path.iterdir():
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.name), 0)
