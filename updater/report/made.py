"""What maintainer scripts and triggers make anew, and of what: the one table.

Such a file belongs to no package, and changes when one does. It is explained only when
something that it is made of is explained itself: an `ld.so.cache` that changes without
a library is not. Each rule says why it may be believed.
"""

import re
from collections.abc import Callable

from msgspec import Struct


class Rule(Struct, frozen=True):
    """Paths that are made, and what of.

    Attributes:
        made: the paths.
        of: what must be among the explained changes; `{name}` is what the group `name`
            of `made` found. None: the link's target must be.
        why: the reason, for people.
    """

    made: re.Pattern[bytes]
    of: bytes | None
    why: str


def _rule(made: bytes, of: bytes | None, why: str) -> Rule:
    return Rule(re.compile(made), of, why)


_ARCH = rb"usr/lib(?:64|/[^/]+)"
_CA = (
    rb"usr/share/ca-certificates/.*|usr/share/pki/ca-trust-source/.*"
    rb"|usr/share/ca-certificates/trust-source/.*"
)

RULES = (
    _rule(
        rb"etc/ld\.so\.cache",
        rb".*/lib[^/]*\.so(?:\.[^/]*)?",
        "ldconfig: an index of the libraries",
    ),
    _rule(
        rb"boot/(?:initrd\.img|initramfs)-.*",
        rb"(?:usr/)?(?:s?bin|lib|lib64)/.*|usr/share/initramfs-tools/.*|etc/.*",
        "update-initramfs, dracut, mkinitcpio: an archive of programs and modules",
    ),
    _rule(
        rb"etc/ssl/certs/.*|etc/pki/ca-trust/extracted/.*"
        rb"|etc/ca-certificates/extracted/.*|etc/ca-certificates\.conf",
        _CA,
        "update-ca-certificates, update-ca-trust: links and bundles of the packaged "
        "certificates; what they newly trust is told under attention",
    ),
    _rule(
        rb"etc/alternatives/.*",
        None,
        "update-alternatives: a link to a program of a package",
    ),
    _rule(
        rb"usr/(?:s?bin|games|share/man/.*|lib/.*)/[^/]+|(?:s?bin|lib)/[^/]+",
        None,
        "update-alternatives, busybox: a link to what a package brings",
    ),
    _rule(
        rb"vmlinuz(?:\.old)?|initrd\.img(?:\.old)?|boot/(?:vmlinuz|initrd\.img)",
        None,
        "linux-base: a link to the kernel",
    ),
    _rule(
        rb"usr/lib/modules/(?P<kernel>[^/]+)/modules\.[^/]+",
        rb"usr/lib/modules/{kernel}/.*\.ko(?:\.[^/]*)?",
        "depmod: an index of the kernel's modules",
    ),
    _rule(
        rb"etc/(?:passwd|group|shadow|gshadow|subuid|subgid)-?",
        rb".*",
        "adduser, systemd-sysusers: told line by line under users",
    ),
    _rule(
        rb"etc/(?:rc[0-6S]\.d)/[SK][0-9][0-9](?P<script>.*)",
        rb"etc/init\.d/{script}|usr/lib/systemd/system/{script}\.service",
        "update-rc.d: start links of an init script; told under units",
    ),
    _rule(
        rb"etc/systemd/(?:system|user)/.*",
        None,
        "deb-systemd-helper, systemctl preset: links to units; told under units",
    ),
    _rule(
        rb"etc/shells",
        rb"usr/share/debianutils/shells\.d/.*|usr/bin/[^/]*sh",
        "update-shells: a list of the shells",
    ),
    _rule(
        rb"(?:usr/lib|etc)/udev/hwdb\.bin",
        rb"usr/lib/udev/hwdb\.d/.*",
        "systemd-hwdb: an index of its sources",
    ),
    _rule(
        rb"(?:usr|var)/lib/systemd/catalog/database",
        rb"usr/lib/systemd/catalog/.*",
        "journalctl --update-catalog: an index of its sources",
    ),
    _rule(
        rb"usr/lib/locale/.*",
        rb"usr/share/i18n/.*|usr/share/locales/.*",
        "locale-gen: locales made of the packaged definitions",
    ),
    _rule(
        rb"usr/share/mime/.*",
        rb"usr/share/mime/packages/.*",
        "update-mime-database: an index of its sources",
    ),
    _rule(
        rb"usr/share/applications/mimeinfo\.cache",
        rb"usr/share/applications/.*\.desktop",
        "update-desktop-database: an index of the applications",
    ),
    _rule(
        rb"usr/share/glib-2\.0/schemas/gschemas\.compiled",
        rb"usr/share/glib-2\.0/schemas/.*\.xml",
        "glib-compile-schemas: its sources in one file",
    ),
    _rule(
        rb"usr/share/icons/(?P<theme>[^/]+)/(?:icon-theme\.cache|\.icon-theme\.cache)",
        rb"usr/share/icons/{theme}/.*",
        "gtk-update-icon-cache: an index of the icons",
    ),
    _rule(
        _ARCH + rb"/(?:gio/modules/giomodule|gdk-pixbuf-2\.0/[^/]+/loaders"
        rb"|gtk-[0-9.]+/[^/]+/immodules)\.cache",
        _ARCH + rb"/(?:gio|gdk-pixbuf-2\.0|gtk-[0-9.]+)/.*\.so",
        "glib, gdk-pixbuf, gtk: an index of their plugins",
    ),
    _rule(
        rb"usr/share/info/dir(?:\.old)?",
        rb"usr/share/info/.*",
        "install-info: an index of the manuals",
    ),
    _rule(
        rb"(?P<doc>usr/share/vim/[^/]+/doc)/tags",
        rb"{doc}/.*",
        "vim-runtime: an index of its help",
    ),
    _rule(
        rb"etc/(?P<kind>xml|sgml)/.*",
        rb"usr/share/{kind}/.*",
        "update-catalog: an index of the packaged catalogs",
    ),
)


def rule_for(
    path: bytes,
    changed: Callable[[bytes], bool],
    target: Callable[[bytes], bool],
) -> Rule | None:
    """The rule that explains a path which belongs to no changed package.

    Args:
        path: that changed.
        changed: whether some explained change matches a pattern.
        target: whether a path is a link to something that is explained.
    """
    for rule in RULES:
        match = rule.made.fullmatch(path)
        if match is None:
            continue
        if target(path) if rule.of is None else changed(_made_of(rule.of, match)):
            return rule
    return None


def _made_of(pattern: bytes, match: re.Match[bytes]) -> bytes:
    for name, value in match.groupdict().items():
        pattern = pattern.replace(b"{%s}" % name.encode(), re.escape(value))
    return pattern
