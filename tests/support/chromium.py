"""A headless Chromium."""

import re
import shutil
import subprocess

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
chromium_needed = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is missing (Debian: chromium)"
)
_OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking", "--disable-sync"),
    *("--disable-component-update", "--hide-scrollbars", "--enable-logging=stderr"),
)


def browse(url, profile, *options):
    """(stdout, what the page told the console) of one visit."""
    done = subprocess.run(
        [CHROMIUM, *_OPTIONS, f"--user-data-dir={profile}", *options, url],
        capture_output=True,
        timeout=90,
        check=True,
    )
    console = re.findall(rb"CONSOLE.*", done.stderr)
    return done.stdout.decode(), [line.decode() for line in console]


def png_size(path):
    """Width and height in pixels."""
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
