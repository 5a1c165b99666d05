"""A real browser that tells what it did: headless Chromium, over its debugging pipe.

    with browser.open_page(url, width=360, dark=True) as page:
        page.evaluate("document.title"); page.messages; page.requests

The protocol (https://chromedevtools.github.io/devtools-protocol/) goes through two
file descriptors as JSON with a NUL after each message, so that no port is opened.
"""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
PROGRAM = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
CONTRAST = Path(__file__).with_name("contrast.js")
SECONDS = 60  # for one answer

needed = pytest.mark.skipif(PROGRAM is None, reason="no Chromium is installed")


class Page:
    """One page. `messages`: what it logged; `requests`: what it asked for."""

    def __init__(self, write, read):
        self._write, self._read = write, read
        self._number, self._rest, self._session = 0, b"", None
        self.messages, self.requests, self._loaded = [], [], False

    def evaluate(self, script):
        """The value of an expression in the page."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def overflow(self):
        """Pixels that the page is wider than the screen, and what sticks out."""
        return self.evaluate(
            "[document.documentElement.scrollWidth - innerWidth,"
            " [...document.querySelectorAll('body *')].filter(e =>"
            "  e.getBoundingClientRect().right > innerWidth + 1)"
            "  .map(e => e.outerHTML.slice(0, 120)).slice(0, 3)]"
        )

    def hard_to_read(self):
        """Elements with text of too little contrast."""
        return self.evaluate(CONTRAST.read_text())

    def screenshot(self, path):
        """The whole page as a PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "scale": 1, **_size(size)}
        found = self.call(
            "Page.captureScreenshot", clip=clip, captureBeyondViewport=True
        )
        Path(path).write_bytes(base64.b64decode(found["data"]))

    def call(self, method, **params):
        """One command of the protocol, and its answer."""
        self._number += 1
        sent = {"id": self._number, "method": method, "params": params}
        if self._session:
            sent["sessionId"] = self._session
        os.write(self._write, json.dumps(sent).encode() + b"\0")
        while True:
            told = self._next()
            if told.get("id") == self._number:
                assert "error" not in told, told
                return told["result"]

    def load(self, url):
        """Go there, and wait until everything is loaded."""
        self._loaded = False
        self.call("Page.navigate", url=url)
        while not self._loaded:
            self._next()

    def go(self, script):
        """Run a script that leads to another page, and wait for that one."""
        self._loaded = False
        self.evaluate(script)
        while not self._loaded:
            self._next()

    def attach(self, width, height, dark):
        """Make a page of this width."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        found = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = found["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def _next(self):
        deadline = time.monotonic() + SECONDS
        while b"\0" not in self._rest:
            left = deadline - time.monotonic()
            assert left > 0, "the browser does not answer"
            if select.select([self._read], [], [], left)[0]:
                part = os.read(self._read, 1 << 20)
                assert part, "the browser went away"
                self._rest += part
        line, _, self._rest = self._rest.partition(b"\0")
        told = json.loads(line)
        self._note(told.get("method"), told.get("params", {}))
        return told

    def _note(self, method, params):
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Log.entryAdded":
            self.messages.append(params["entry"]["text"])
        elif method == "Runtime.consoleAPICalled":
            self.messages.append(str(params["args"]))
        elif method == "Runtime.exceptionThrown":
            self.messages.append(str(params["exceptionDetails"]))
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])


@contextlib.contextmanager
def open_page(url, *, width=1100, height=900, dark=False):
    """A loaded page, in a browser of its own with an empty profile."""
    with (
        tempfile.TemporaryDirectory(
            prefix="browser-", ignore_cleanup_errors=True
        ) as profile,
        contextlib.ExitStack() as stack,
    ):
        to_read, write = os.pipe()
        read, to_write = os.pipe()
        argv = [PROGRAM, *FLAGS, f"--user-data-dir={profile}"]
        # The program reads 3 and writes 4: the shell puts the pipes there.
        command = f'exec "$@" --remote-debugging-pipe 3<&{to_read} 4>&{to_write}'
        process = subprocess.Popen(
            ["bash", "-c", command, "browser", *argv],
            pass_fds=(to_read, to_write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        stack.callback(process.wait)
        stack.callback(process.kill)
        stack.callback(os.close, read)
        stack.callback(os.close, write)
        page = Page(write, read)
        page.attach(width, height, dark)
        page.load(url)
        yield page


def _size(size):
    return {"width": size["width"], "height": size["height"]}
