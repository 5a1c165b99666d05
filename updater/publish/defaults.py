"""What is left out of a release by default; alone, so that help loads no more."""

# Each with its reason, as `publish --help` and docs/publishing.md print them.
DEFAULT_EXCLUDES = (
    ("/proc/*", "the kernel's, mounted at boot"),
    ("/sys/*", "the kernel's, mounted at boot"),
    ("/dev/*", "made by the kernel and udev at boot"),
    ("/run/*", "of one boot"),
    ("/tmp/*", "temporary"),  # noqa: S108 - a pattern
    ("/var/tmp/*", "temporary"),  # noqa: S108 - a pattern
    ("/var/log/**", "logs of the machine that built the image; directories stay"),
    ("/var/cache/apt/**", "package lists and archives; directories stay"),
    ("/var/lib/apt/lists/**", "package lists; directories stay"),
    ("/var/cache/dnf/*", "package lists and archives"),
    ("/var/cache/libdnf5/*", "package lists and archives"),
    ("/var/cache/yum/*", "package lists and archives"),
    ("/var/cache/pacman/pkg/*", "package archives"),
    ("/var/cache/apk/*", "package archives"),
    ("/var/cache/man/**", "made again by man-db; directories stay"),
    ("/var/cache/fontconfig/*", "made again by fontconfig"),
    ("/var/cache/ldconfig/*", "inode numbers of the machine that built the image"),
    ("/var/lib/osupdate/*", "state of one machine"),
    ("/var/cache/osupdate/*", "state of the publisher"),
    ("/.osupdate-etc", "the updater's own, of one machine"),
    ("/.dockerenv", "left by a container runtime"),
    ("/lost+found", "the filesystem's"),
)
