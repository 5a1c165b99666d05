"""The units that are installed, as systemd reads them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = sorted((Path(__file__).parents[2] / "systemd").glob("*.service"))
SERVICES = [unit for unit in UNITS if unit.name == "osupdate-lock.service"]
analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing"
)


@pytest.fixture
def unit(request, tmp_path):
    """A copy whose program exists, wherever this runs."""
    text = request.param.read_text()
    path = tmp_path / request.param.name
    path.write_text(text.replace("/usr/bin/osupdate", "/bin/true"))
    return path


@analyze
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name, indirect=True)
def test_systemd_finds_no_mistake(unit):
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@analyze
@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name, indirect=True)
def test_the_lock_service_is_confined(unit):
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=15", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", UNITS, ids=lambda unit: unit.name)
def test_every_ordering_has_its_reason(path):
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines):
        if re.match(r"(After|Before|Wants|Requires)=", line):
            before = [above for above in lines[:number] if above][-1]
            assert re.match(r"#|(After|Before|Wants|Requires)=", before), line


@analyze
def test_systemd_finds_no_mistake_in_the_timer(tmp_path):
    directory = UNITS[0].parent
    for name in ("osupdate-auto.service", "osupdate-auto.timer"):
        text = (directory / name).read_text()
        (tmp_path / name).write_text(text.replace("/usr/bin/osupdate", "/bin/true"))
    done = subprocess.run(
        [
            "systemd-analyze",
            "verify",
            "--man=no",
            str(tmp_path / "osupdate-auto.timer"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
