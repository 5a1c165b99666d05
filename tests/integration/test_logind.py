"""logind, played by python-dbusmock's on a bus of its own."""

import gc
import os
import shutil
import subprocess

import pytest

from updater.core.gates import Inhibitor
from updater.system.logind import logins

PYTHON = "/usr/bin/python3"  # that of Debian's python3-dbusmock
LOGIN1 = ("org.freedesktop.login1", "/org/freedesktop/login1")


def has_mock():
    if not os.path.exists(PYTHON) or not shutil.which("dbus-daemon"):
        return False
    done = subprocess.run([PYTHON, "-c", "import dbusmock"], check=False)
    return done.returncode == 0


pytestmark = pytest.mark.skipif(
    not has_mock(), reason="python3-dbusmock or dbus is missing"
)


@pytest.fixture
def bus(tmp_path):
    """The address of a bus on which nobody is logind."""
    address = f"unix:path={tmp_path}/bus"
    command = ["dbus-daemon", "--session", "--nofork", "--print-address", "--nopidfile"]
    with subprocess.Popen(
        [*command, f"--address={address}"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline()
        yield address
        process.terminate()


class Mock:
    """logind on a bus, told by its own mock methods what is so."""

    def __init__(self, address):
        self.environment = os.environ | {
            "DBUS_SYSTEM_BUS_ADDRESS": address,
            "DBUS_SESSION_BUS_ADDRESS": address,
        }
        self.process = subprocess.Popen(
            [PYTHON, "-m", "dbusmock", "--system", "--template", "logind"],
            env=self.environment,
            stdout=subprocess.DEVNULL,
        )
        self.gdbus("wait", "--session", LOGIN1[0], "--timeout", "20")

    def gdbus(self, *argv):
        subprocess.run(
            ["gdbus", *argv],
            env=self.environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def call(self, method, *arguments, path=LOGIN1[1]):
        target = ["--dest", LOGIN1[0], "--object-path", path]
        self.gdbus("call", "--session", *target, "--method", method, *arguments)

    def log_in(self, name, session, **properties):
        mock = "org.freedesktop.DBus.Mock"
        arguments = (f'"{session}"', '"seat0"', "uint32 1000", f'"{name}"', "true")
        self.call(f"{mock}.AddSession", *arguments)
        for key, value in properties.items():
            self.call(
                f"{mock}.UpdateProperties",
                '"org.freedesktop.login1.Session"',
                f'{{"{key}": <"{value}">}}',
                path=f"{LOGIN1[1]}/session/{session}",
            )


@pytest.fixture
def mock(bus):
    made = Mock(bus)
    yield made
    made.process.terminate()
    made.process.wait()


def test_on_a_quiet_machine_nobody_is_there(bus, mock):
    found = logins(bus)
    assert (found.people, found.inhibitors, found.failure) == ((), (), None)
    assert not found.absent


def test_people_are_seen_and_greeters_are_not(bus, mock):
    mock.log_in("anna", "c1", TTY="pts/7")
    mock.log_in("gdm", "c2", Class="greeter")
    mock.log_in("bert", "c3", State="closing")
    found = logins(bus)
    assert [(p.name, p.where) for p in found.people] == [("anna", "pts/7")]
    assert found.failure is None


def test_a_program_that_blocks_shutdown_is_seen(bus, mock):
    code = """
import dbus, sys
bus = dbus.bus.BusConnection(sys.argv[1])
login = dbus.Interface(bus.get_object("org.freedesktop.login1",
    "/org/freedesktop/login1"), "org.freedesktop.login1.Manager")
held = [login.Inhibit("sleep:shutdown", "dnf", "installing", "block"),
        login.Inhibit("shutdown", "nm", "saves", "delay"),
        login.Inhibit("idle", "mpv", "plays", "block")]
print("held", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [PYTHON, "-c", code, bus],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        assert logins(bus).inhibitors == (Inhibitor("dnf", "installing"),)


def test_a_bus_without_logind_is_not_nobody(bus, tmp_path):
    found = logins(bus, seats=str(tmp_path / "seats"))
    assert found.absent
    assert "logind" in found.failure


def test_a_logind_that_died_is_a_failure_and_not_absent(bus, tmp_path):
    (tmp_path / "seats").mkdir()
    found = logins(bus, seats=str(tmp_path / "seats"))
    assert not found.absent
    assert "logind was started here" in found.failure


# dbus-next leaves a socket to the collector when nobody listens.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_bus_that_is_gone_is_a_failure(tmp_path):
    (tmp_path / "bus").write_text("")
    found = logins(f"unix:path={tmp_path}/bus")
    assert not found.absent
    assert "cannot reach the bus" in found.failure
    gc.collect()


def test_a_machine_without_a_bus_has_no_logind(tmp_path):
    found = logins(f"unix:path={tmp_path}/bus", seats=str(tmp_path / "seats"))
    assert found.absent


def test_a_logind_that_hangs_is_a_failure(bus, mock):
    mock.process.send_signal(19)  # SIGSTOP
    try:
        found = logins(bus, deadline=0.3)
    finally:
        mock.process.send_signal(18)  # SIGCONT
    assert "no answer within 0.3 s" in found.failure
    assert not found.absent
