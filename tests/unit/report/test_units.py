"""Units that start by themselves, by what the tree says."""

import pytest
from support.factory import Symlink
from support.snapshots import take

from updater.report.compare import compare
from updater.report.sections import Danger, UnitChange

SYSTEM = "usr/lib/systemd/system"
SERVICE = {f"{SYSTEM}/x.service": "[Service]\nExecStart=/usr/bin/x\n"}
WANTS = {"etc/systemd/system/multi-user.target.wants/x.service": Symlink("/lib/x")}
SOCKET = {
    f"{SYSTEM}/x.socket": "[Socket]\nListenStream=631\nListenDatagram=0.0.0.0:631\n"
    "ListenStream=%t/x.sock\n# ListenStream=1\n"
}
ENABLED = {"etc/systemd/system/sockets.target.wants/x.socket": Symlink("/lib/x")}


def report(old, new):
    found = compare(take({**old, "keep": ""}), take({**new, "keep": ""}))
    assert found.problems == ()
    return found


def dangers(old, new):
    return [(one.kind, one.path, one.text) for one in report(old, new).attention]


def test_a_unit_that_is_wanted_now_starts_by_itself():
    found = report(SERVICE, SERVICE | WANTS)
    assert found.units == (
        UnitChange("x.service", enabled=True, by=("multi-user.target",), package=None),
    )
    [one] = found.attention
    assert (one.kind, one.path) == (Danger.UNIT, f"{SYSTEM}/x.service".encode())
    assert one.text == "x.service enabled by multi-user.target"
    link = "/etc/systemd/system/multi-user.target.wants/x.service"
    assert one.more == ("diff", "--patch", link, f"/{SYSTEM}/x.service")


def test_one_that_is_no_longer_wanted_is_no_danger():
    found = report(SERVICE | WANTS, SERVICE)
    assert [(u.unit, u.enabled) for u in found.units] == [("x.service", False)]
    assert found.attention == ()


def test_one_that_another_target_wants_started_before():
    other = {"etc/systemd/system/graphical.target.wants/x.service": Symlink("/lib/x")}
    assert report(SERVICE | WANTS, SERVICE | other).units == ()


@pytest.mark.parametrize(
    ("path", "by"),
    [
        (f"{SYSTEM}/sysinit.target.wants/x.service", "sysinit.target"),
        ("lib/systemd/system/basic.target.requires/x.service", "basic.target"),
        ("etc/systemd/system/a.service.upholds/x.service", "a.service"),
        ("etc/systemd/user/default.target.wants/x.service", "user/default.target"),
    ],
)
def test_every_place_that_systemd_looks_at_counts(path, by):
    [unit] = report({}, {path: Symlink("../x.service")}).units
    assert (unit.enabled, unit.by) == (True, (by,))


def test_a_mask_that_goes_away_starts_what_was_wanted_all_along():
    mask = {"etc/systemd/system/x.service": Symlink("/dev/null")}
    found = report(SERVICE | WANTS | mask, SERVICE | WANTS)
    assert [(u.unit, u.enabled) for u in found.units] == [("x.service", True)]
    assert report(SERVICE | WANTS, SERVICE | WANTS | mask).units[0].enabled is False


def test_a_mask_that_goes_away_is_told_even_when_nothing_wants_the_unit():
    mask = {"etc/systemd/system/x.service": Symlink("/dev/null")}
    assert dangers(SERVICE | mask, SERVICE) == [
        (Danger.UNIT, None, "x.service no longer masked")
    ]


def test_an_empty_file_masks_too():
    mask = {"etc/systemd/system/x.service": ""}
    assert report(SERVICE | WANTS, SERVICE | WANTS | mask).units[0].enabled is False


def test_an_alias_starts_the_unit_that_it_is_another_name_of():
    alias = {
        "etc/systemd/system/display-manager.service": Symlink(f"/{SYSTEM}/x.service")
    }
    [unit] = report(SERVICE, SERVICE | alias).units
    assert (unit.unit, unit.by) == ("x.service", ("display-manager.service",))


def test_a_socket_is_told_with_its_addresses():
    [unit] = report(SOCKET, SOCKET | ENABLED).units
    assert unit.listens == ("tcp/631", "udp/0.0.0.0:631", "/run/x.sock")
    [(kind, _, text)] = dangers(SOCKET, SOCKET | ENABLED)
    assert kind is Danger.SOCKET
    assert text == (
        "x.socket enabled by sockets.target, tcp/631, udp/0.0.0.0:631, /run/x.sock"
    )


def test_a_drop_in_adds_and_an_empty_line_begins_anew():
    drop = "etc/systemd/system/x.socket.d"
    more = {f"{drop}/a.conf": "[Socket]\nListenStream=\nListenFIFO=/run/f\n"}
    [unit] = report(SOCKET, SOCKET | ENABLED | more).units
    assert unit.listens == ("/run/f",)


def test_a_socket_that_listens_elsewhere_is_told_although_it_was_enabled():
    more = {
        "etc/systemd/system/x.socket.d/a.conf": "[Socket]\nListenStream=0.0.0.0:80\n"
    }
    found = report(SOCKET | ENABLED, SOCKET | ENABLED | more)
    assert found.units == ()
    [one] = found.attention
    assert one.kind is Danger.SOCKET
    assert one.old == "tcp/631, udp/0.0.0.0:631, /run/x.sock"
    assert one.new == one.old + ", tcp/0.0.0.0:80"


def test_a_timer_is_told_with_its_times():
    files = {f"{SYSTEM}/x.timer": "[Timer]\nOnCalendar=daily\nOnBootSec=5min\n"}
    enabled = {"etc/systemd/system/timers.target.wants/x.timer": Symlink("/x")}
    [unit] = report(files, files | enabled).units
    assert unit.listens == ("OnCalendar daily", "OnBootSec 5min")
    assert report(files, files | enabled).attention[0].kind is Danger.TIMER


def test_an_instance_is_described_by_its_template():
    files = {f"{SYSTEM}/x@.socket": "[Socket]\nListenStream=22\n"}
    enabled = {"etc/systemd/system/sockets.target.wants/x@a.socket": Symlink("/x")}
    [unit] = report(files, files | enabled).units
    assert (unit.unit, unit.listens) == ("x@a.socket", ("tcp/22",))


def test_a_start_link_counts_where_no_unit_has_its_name():
    script = {"etc/init.d/x": ("#!", 0o755)}
    link = {"etc/rc2.d/S01x": Symlink("../init.d/x")}
    [unit] = report(script, script | link).units
    assert (unit.unit, unit.by) == ("x", ("rc2.d",))
    assert report(script | SERVICE, script | link | SERVICE).units == ()
    assert report(script, script | {"etc/rc2.d/K01x": Symlink("../x")}).units == ()


def test_services_of_openrc_start_by_their_runlevel():
    new = {"etc/runlevels/default/sshd": Symlink("/etc/init.d/sshd")}
    [unit] = report({}, new).units
    assert (unit.unit, unit.by) == ("sshd", ("runlevel default",))


def test_units_that_cannot_be_read_are_a_sentence_not_a_failure():
    def read(oid):
        raise KeyError(oid)

    new = take(SOCKET | ENABLED | {"keep": ""}, read=read)
    found = compare(take({"keep": ""}), new)
    assert [u.unit for u in found.units] == ["x.socket"]
    assert "x.socket is not on this machine" in " ".join(found.problems)


def test_nothing_is_read_when_no_unit_can_have_changed():
    def read(oid):
        raise AssertionError(oid)

    old = take(SERVICE | WANTS, read=read)
    compare(old, take(SERVICE | WANTS | {"var/log/x": ""}, read=read))
