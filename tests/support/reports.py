"""Reports made by hand: one that has everything, a hostile one, a large one."""

from updater.model import Package
from updater.report.diff import (
    Counts,
    Directory,
    FileChange,
    Group,
    Kernel,
    Node,
    PackageChange,
    Packages,
    Report,
    Side,
)
from updater.report.sections import (
    AccountChange,
    Advisory,
    Attention,
    Changelog,
    ConfigChange,
    Danger,
    Entry,
    Fix,
    Unexplained,
    UnitChange,
    Unowned,
    Urgency,
)

OLD = Side("running", "2026.04.2", "91c0f3d" + "0" * 33, 1_776_988_800)
NEW = Side("staged", "2026.05.1", "4be1a90" + "0" * 33, 1_778_889_600)
BIDI = "\u202e"
HOSTILE = (
    "</script><script>document.title='owned'</script>",
    '"><img src=x onerror=document.title="owned">',
    "`code` ``` | pipe | \\| \\",
    "<b>bold</b> &amp; [link](javascript:alert(1)) ![i](http://evil.example/x.png)",
    "@everyone #1 https://evil.example/ www.evil.example a@evil.example",
    "\x1b[31mred\x1b[0m\x1b]0;title\x07\x9b31m",
    f"bidi {BIDI}txt.exe\u2066\u200b",
    "nul\0cr\rlf\nend\u2028",
    "{{ 7 * 7 }}{% raw %}",
    "x" * 10_000,
)
"""Names that a release may bring; each would do harm on some surface."""


def file(oid="1", size=10, mode=0o644, **kw):
    values = {"type": "file", "uid": 0, "gid": 0}
    return Node(oid=oid * 40, size=size, mode=mode, **values | kw)


def change(path, old, new, *, bookkeeping=False, package=None):
    raw = path if isinstance(path, bytes) else path.encode("utf-8", "surrogatepass")
    return FileChange(raw, old, new, bookkeeping, package)


def modified(path, grows=2, **kw):
    return change(path, file(), file("2", 10 + grows), **kw)


def group(source, old, new, *names, grows=None):
    changes = tuple(
        PackageChange(
            None if old is None else Package(name, old, source, "amd64", 1000),
            None if new is None else Package(name, new, source, "amd64", 2000),
        )
        for name in names or (source,)
    )
    return Group(source, old, new, changes, grows)


def counts(files):
    kinds = [one.kind.value for one in files]
    return Counts(
        added=kinds.count("added"),
        removed=kinds.count("removed"),
        modified=kinds.count("modified") + kinds.count("type"),
        metadata=sum(one.metadata for one in files),
        bookkeeping=sum(one.bookkeeping for one in files),
    )


def report(**kw):
    """A report of these parts; what is not given is empty, counts are counted."""
    files = kw.get("files", ())
    values = {
        "old": OLD,
        "new": NEW,
        "paths": (),
        "packages": Packages(),
        "kernel": None,
        "files": files,
        "counts": counts(files),
        "directories": (),
        "download": None,
        "grows": sum(one.grows or 0 for one in files),
    }
    return Report(**values | kw)


def full():
    """Every section has something; the story of DESIGN section 7."""
    files = (
        modified("etc/ssh/sshd_config", package="openssh-server"),
        change("etc/cups/cups-browsed.conf", None, file(), package="cups-browsed"),
        modified("lib/udev/rules.d/60-block.rules", package="udev"),
        change("opt/acme/agent", None, file(size=2_000_000, mode=0o755)),
        change(
            "usr/bin/crontab",
            file(mode=0o755),
            file(mode=0o2755, gid=101),
            package="cron",
        ),
        change("usr/bin/telnet", file(size=200_000), None, package="telnet"),
        change(
            "usr/libexec/polkit-agent-helper-1",
            file(mode=0o755),
            file("2", mode=0o4755),
            package="policykit-1",
        ),
        modified("usr/sbin/sshd", package="openssh-server"),
        modified("var/lib/dpkg/status", bookkeeping=True),
    )
    return report(
        files=files,
        packages=_packages(),
        kernel=Kernel(("6.1.90-1",), ("6.1.94-1",)),
        directories=(
            Directory(b"usr/sbin", 1, 2),
            Directory(b"opt/acme", 1, 2_000_000),
        ),
        download=18_400_000,
        grows=2_100_000,
        attention=_attention(),
        security=_security(),
        changelogs=_changelogs(),
        configs=(
            ConfigChange(
                b"etc/ssh/sshd_config", "modified", "openssh-server", True, True
            ),
            ConfigChange(
                b"etc/cups/cups-browsed.conf", "added", "cups-browsed", True, None
            ),
        ),
        units=(
            UnitChange(
                "cups-browsed.service",
                True,
                ("multi-user.target",),
                "cups-browsed",
            ),
            UnitChange(
                "cups.socket", True, ("sockets.target",), "cups", ("tcp/631", "udp/631")
            ),
            UnitChange("telnetd.service", False, (), "telnet"),
        ),
        accounts=(
            AccountChange("user", "cups-pk", "added", None, "uid 112"),
            AccountChange("group", "lpadmin", "id", "116", "117"),
        ),
        unexplained=Unexplained(
            ((b"lib/udev/rules.d/60-block.rules", "udev"),),
            (Unowned(b"opt/acme", 1, 0, 0, 2_000_000),),
            known=True,
        ),
        unknown=("the sizes of files",),
        problems=("the changelog of libfoo cannot be read: not UTF-8",),
    )


def _packages():
    old_ssh, new_ssh = "1:9.2p1-2+deb12u2", "1:9.2p1-2+deb12u3"
    ssh = ("openssh-client", "openssh-server", "openssh-sftp-server")
    return Packages(
        changed=(
            group("bind9", "1:9.18.24-1", "1:9.18.28-1", "bind9", "bind9-libs"),
            group("libfoo", "1.4-2", "1.4-2+deb12u1", "libfoo1"),
            group("linux", "6.1.90-1", "6.1.94-1", "linux-image-amd64"),
            group("openssh", old_ssh, new_ssh, *ssh),
        ),
        downgraded=(group("tzdata", "2026b-1", "2026a-1"),),
        added=(group("cups-browsed", None, "1.28.17-3", grows=1_200_000),),
        removed=(group("telnet", "0.17-44", None, grows=-200_000),),
    )


def _attention():
    return (
        Attention(
            Danger.SETUID,
            b"usr/libexec/polkit-agent-helper-1",
            "policykit-1",
            "0755",
            "4755",
            "runs as its owner, whoever starts it",
            ("diff", "--files", "/usr/libexec/polkit-agent-helper-1"),
        ),
        Attention(
            Danger.UNIT,
            b"etc/systemd/system/multi-user.target.wants/cups-browsed.service",
            "cups-browsed",
            None,
            "enabled",
            "cups-browsed.service starts at boot",
            (),
        ),
        Attention(
            Danger.CONFFILE,
            b"etc/ssh/sshd_config",
            "openssh-server",
            None,
            None,
            "changed upstream and here: yours is kept",
            ("diff", "--patch", "/etc/ssh/sshd_config"),
        ),
        Attention(
            Danger.UNEXPLAINED,
            None,
            "udev",
            None,
            None,
            "1 file changed, the version did not",
            ("diff", "--unexplained"),
        ),
    )


def _security():
    return (
        Advisory(
            "openssh",
            "1:9.2p1-2+deb12u2",
            "1:9.2p1-2+deb12u3",
            Urgency.HIGH,
            (Fix("CVE-2024-6387", "sshd signal handler race"),),
            ("openssh-client", "openssh-server", "openssh-sftp-server"),
        ),
        Advisory(
            "libfoo",
            "1.4-2",
            "1.4-2+deb12u1",
            Urgency.MEDIUM,
            (Fix("CVE-2026-0001", "one"), Fix("CVE-2026-0002", "two")),
            ("libfoo1",),
        ),
    )


def _changelogs():
    entry = Entry(
        "1:9.2p1-2+deb12u3",
        Urgency.HIGH,
        "bookworm-security",
        1_778_000_000,
        ("CVE-2024-6387",),
        ("  * Disable async-signal-unsafe code from the sshsigdie() function.",),
    )
    news = Entry(
        "1:9.2p1-2+deb12u3",
        None,
        None,
        None,
        (),
        ("Root logins by password are off.",),
        news=True,
    )
    return (
        Changelog(
            "openssh",
            "1:9.2p1-2+deb12u2",
            "1:9.2p1-2+deb12u3",
            Urgency.HIGH,
            (news, entry),
        ),
        Changelog("libfoo", "1.4-2", "1.4-2+deb12u1", None, (), "not UTF-8"),
    )


def hostile():
    """Every place for text from a release holds each of `HOSTILE`."""
    raw = [b"bytes \xff\xfe \xc3(", b"\xf0\x9f", *(name.encode() for name in HOSTILE)]
    files = tuple(
        change(b"etc/" + path, file(), file("2"), package=name)
        for path, name in zip(raw, [None, None, *HOSTILE], strict=True)
    )
    names = list(HOSTILE)
    return report(
        old=Side(names[0], names[1], names[0], 0),
        new=Side(names[1], names[0], names[2], 0),
        files=(
            *files,
            *(
                change(
                    b"usr/" + path,
                    file(),
                    file(xattrs=((name, b"\x1b"),), hardlink=path),
                )
                for path, name in zip(raw, ["x", "y", *HOSTILE], strict=True)
            ),
        ),
        kernel=Kernel(tuple(names), tuple(names)),
        packages=Packages(
            changed=tuple(group(n, n, n + "2", n, n + "-libs") for n in names),
            downgraded=tuple(group(n, n, n) for n in names),
            added=tuple(group(n, None, n) for n in names),
            removed=tuple(group(n, n, None) for n in names),
        ),
        directories=tuple(Directory(path, 1, 1) for path in raw),
        attention=tuple(
            Attention(Danger.KEY, path, n, n, n, n, ("diff", n, "/bytes\udcff"))
            for path, n in zip(raw, names, strict=False)
        ),
        security=tuple(
            Advisory(n, n, n, Urgency.HIGH, (Fix(n, n),), (n,)) for n in names
        ),
        changelogs=tuple(
            Changelog(n, n, n, None, (Entry(n, None, n, None, (n,), tuple(names)),), n)
            for n in names
        ),
        configs=tuple(ConfigChange(path, "modified", "p", True, None) for path in raw),
        units=tuple(UnitChange(n, True, (n,), n, (n,)) for n in names),
        accounts=tuple(AccountChange("user", n, "home", n, n) for n in names),
        unexplained=Unexplained(
            tuple((path, "p") for path in raw),
            tuple(Unowned(path, 1, 1, 1, 1) for path in raw),
            known=True,
        ),
        unknown=tuple(names),
        problems=tuple(names),
    )


def large(count=5000):
    """As many files as a point release of Debian changes."""
    files = tuple(
        modified(
            f"usr/share/{'doc' if n % 2 else 'locale'}/package-{n % 300}/file-{n}.gz",
            package=f"package-{n % 300}",
        )
        for n in range(count)
    )
    return report(
        files=tuple(sorted(files, key=lambda one: one.path)),
        packages=Packages(
            changed=tuple(group(f"source-{n}", "1.0-1", "1.0-2") for n in range(300))
        ),
        directories=(Directory(b"usr/share/doc", count // 2, count),),
    )
