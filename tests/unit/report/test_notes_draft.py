"""The draft of notes.md: short enough to be read, and text stays text."""

from msgspec.structs import replace
from support.releases import HOSTILE, assert_tame
from support.snapshots import dpkg, stanza, take

from updater.report import notes_draft
from updater.report.compare import compare
from updater.report.sections import Advisory, Fix, Urgency


def report(old, new):
    before = None if old is None else take(old, version="1", commit="1" * 40)
    return compare(before, take(new, version="2", commit="2" * 40))


BASE = report(
    dpkg(stanza("curl", "7"), stanza("linux-image-amd64", "6.1.90-1", source="linux")),
    dpkg(stanza("curl", "8"), stanza("linux-image-amd64", "6.1.94-1", source="linux")),
)
FIXES = tuple(Fix(f"CVE-2026-{number}", "t" * 500) for number in range(1000, 4000))
SSH = Advisory("openssh", "1:9.2-2", "1:9.2-3", Urgency.HIGH, FIXES[:1], ("ssh",))
LINUX = Advisory("linux", "6.1.90-1", "6.1.94-1", Urgency.MEDIUM, FIXES, ("image",))


def test_the_headline_names_security_before_the_kernel_and_packages():
    found = replace(BASE, security=(SSH,))
    told = notes_draft.headline(found, "acme")
    assert told == ("openssh fix (CVE-2026-1000), kernel 6.1.94-1, 1 other package")
    assert notes_draft.headline(BASE, "acme") == "kernel 6.1.94-1, 1 other package"
    assert notes_draft.headline(report(None, {"a": "b"}), "acme") == (
        "First release of acme"
    )
    files = report({"etc/motd": "a"}, {"etc/motd": "b"})
    assert notes_draft.headline(files, "acme") == "configuration: /etc/motd"
    files = report({"usr/x": "a"}, {"usr/x": "b"})
    assert notes_draft.headline(files, "acme") == "1 file changed"


def test_thousands_of_fixes_take_a_line():
    text = notes_draft.markdown(replace(BASE, security=(LINUX, SSH)), "acme")
    [line] = [line for line in text.split("\n") if line.startswith("- linux 6.1.90")]
    assert line.endswith("; and 2,997 more")
    assert len(line) < 500


def test_what_packages_say_stays_text():
    evil = Advisory(
        f"a{HOSTILE}<script>`x`[y](z)", HOSTILE, HOSTILE, None,
        (Fix("CVE-2026-1", f"<img src=x>{HOSTILE}*b*"),), (),
    )  # fmt: skip
    text = notes_draft.markdown(replace(BASE, security=(evil,)), "acme")
    assert_tame(text)
    rest = text.replace("<!-- fill in", "").replace("\\<", "")
    assert "<" not in rest
    assert "`x`" not in text
    assert "](" not in text.replace("\\](", "")
