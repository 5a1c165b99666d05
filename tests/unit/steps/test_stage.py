"""How the work of staging is cut up."""

import stat

from updater.core.plan import Attributes, Keep, Write
from updater.steps.stage import LARGE, make_jobs

LOOK = Attributes(stat.S_IFREG | 0o644, 0, 0, 0, ())


def write(name, size):
    return Write(name, f"{size:040x}", size, LOOK)


def test_every_file_is_in_one_job_and_the_large_ones_come_first():
    writes = [write(b"%d" % n, n * 1000) for n in range(500)]
    writes += [write(b"l", LARGE + 1), write(b"m", LARGE + 2)]
    keeps = [Keep(b"k%d" % n, LOOK) for n in range(2500)]
    jobs = make_jobs(keeps, writes, lambda _: True)
    assert sorted(w for job in jobs for w in job.writes) == sorted(writes)
    assert [k for job in jobs for k in job.keeps] == keeps
    assert [[w.path for w in job.writes] for job in jobs[:2]] == [[b"m"], [b"l"]]
    assert not [job for job in jobs if job.keeps and job.writes]
    assert max(len(job.keeps) for job in jobs) < 2500


def test_large_files_that_must_be_in_memory_are_so_one_at_a_time():
    held, whole = write(b"held", LARGE + 2), write(b"whole", LARGE + 3)
    also = write(b"also", LARGE + 1)
    jobs = make_jobs([], [also, whole, held], lambda oid: oid == whole.oid)
    assert [list(job.writes) for job in jobs] == [[held, also], [whole]]
