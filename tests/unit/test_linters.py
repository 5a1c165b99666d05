"""ruff, mypy and shellcheck, so that one command checks everything."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SKIPPED = {".git", ".venv", "build", "dist", "__pycache__", ".mypy_cache"}
SKIPPED |= {".ruff_cache", ".pytest_cache", ".cache", ".hypothesis"}


def shell_files():
    """Every file that starts with a shell's shebang, wherever it is."""
    found = []
    for directory, names, files in os.walk(ROOT):
        names[:] = sorted(set(names) - SKIPPED)
        for name in sorted(files):
            path = Path(directory, name)
            if path.is_symlink() or not path.is_file():
                continue
            with path.open("rb") as file:
                line = file.readline(80)
            if line.startswith(b"#!") and line.rstrip().endswith((b"sh", b"bash")):
                found.append(str(path.relative_to(ROOT)))
    return found


def check(*command):
    done = subprocess.run(
        command,
        cwd=ROOT,
        text=True,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout


def test_ruff_finds_nothing():
    check(sys.executable, "-m", "ruff", "check", "--quiet", ".")


def test_the_code_is_formatted():
    check(sys.executable, "-m", "ruff", "format", "--check", "--quiet", ".")


def test_mypy_finds_nothing():
    check(sys.executable, "-m", "mypy")


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is missing")
def test_shellcheck_finds_nothing():
    files = shell_files()
    assert ".ci/run" in files
    check("shellcheck", "-x", *files)


def test_the_bash_completion_is_bash():
    check("bash", "-n", "docs/completion/osupdate.bash")
