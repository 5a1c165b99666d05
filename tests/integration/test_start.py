"""How the command begins and ends: before it is loaded, and where something lacks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SENTENCE = "osupdate: interrupted; what runs is as it was\n"

INTERRUPT = """
import os, signal, sys

class AtImport:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, AtImport())
signal.signal(signal.SIGINT, signal.{handler})
"""
RUN = """
from updater.__main__ import run
sys.argv = ["osupdate", *{argv!r}]
sys.exit(run())
"""


def command(before, argv, **env):
    return subprocess.run(
        [sys.executable, "-c", before + RUN.format(argv=argv)],
        cwd=ROOT,
        env=os.environ | env,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "module",
    [
        "updater.cli",
        "msgspec",
        "updater.config",
        "updater.cli.publish",
        "updater.agent",
        "updater.agent.standing",
    ],
)
def test_an_interruption_while_it_loads_is_one_sentence(tmp_path, module):
    before = INTERRUPT.format(module=module, handler="default_int_handler")
    done = command(before, ["--root", str(tmp_path), "status"])
    assert (done.returncode, done.stdout, done.stderr) == (130, "", SENTENCE)
    assert list(tmp_path.iterdir()) == []


def test_where_interruptions_are_ignored_they_stay_so(tmp_path):
    """As of a command that a script started in the background."""
    before = INTERRUPT.format(module="updater.config", handler="SIG_IGN")
    done = command(before, ["--root", str(tmp_path), "status", "--short"])
    assert (done.returncode, done.stderr) == (0, "")


def test_an_interruption_at_the_end_does_not_undo_the_answer(tmp_path):
    before = INTERRUPT.format(module="-", handler="default_int_handler")
    late = "import atexit\natexit.register(os.kill, os.getpid(), signal.SIGINT)\n"
    done = command(before + late, ["--root", str(tmp_path), "status", "--short"])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "osupdate: nothing deployed, empty\n"


@pytest.mark.parametrize("module", ["uuid", "msgspec", "ssl"])
def test_a_missing_module_of_python_is_one_sentence(tmp_path, module):
    """A minimal Python, as of python3-minimal, has no uuid and no ssl."""
    before = f"import sys\nsys.modules[{module!r}] = None\n"
    verb = "status" if module != "ssl" else "gc"  # which needs libgit2
    done = command(before, ["--root", str(tmp_path), verb])
    assert (done.returncode, done.stdout) == (1, "")
    first, *more = done.stderr.splitlines()
    assert first.startswith(f"osupdate: failed: the Python module {module} cannot be")
    assert "python3-minimal" in "".join(more)
    assert len(more) <= 2


def test_missing_certificates_are_one_sentence(tmp_path):
    none = str(tmp_path / "none")
    done = command(
        "import sys\n",
        ["--root", str(tmp_path), "gc"],
        SSL_CERT_FILE=none,
        SSL_CERT_DIR=none,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        "osupdate: failed: no certificates of authorities are on this system"
    )
    assert "Install ca-certificates" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_interruption_is_no_traceback_either(tmp_path):
    """An impatient person presses it twice."""
    before = INTERRUPT.format(module="updater.agent", handler="default_int_handler")
    twice = (
        "import updater.cli.console as console\n"
        "said = console.Console.interrupted\n"
        "def again(self):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    said(self)\n"
        "console.Console.interrupted = again\n"
    )
    done = command(before + twice, ["--root", str(tmp_path), "status"])
    assert done.returncode == 130
    assert done.stderr == SENTENCE
