"""The page of the lock service in a browser."""

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from support.chromium import browse, chromium_needed, png_size
from support.lock_service import LockService

pytestmark = chromium_needed

CONFIG = """
[groups.web]
slots = 2
[groups.db]
overdue_after = "1s"
poll = "1s"
"""
EVIL = "%3Cimg%20src=x%20onerror=document.title='owned'%3E"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """Two nodes hold, three wait, and one is overdue and evil."""
    directory = tmp_path_factory.mktemp("lock") / "service"
    with LockService(directory, CONFIG) as running:
        for number in range(5):
            running.lock(
                f"{number}" * 32,
                group="web",
                Osupdate_Name=f"web{number}",
                Osupdate_Why="update",
                Osupdate_From="1.0",
                Osupdate_Target="2.0",
            )
        running.lock("evil", group="db", Osupdate_Name=EVIL, Osupdate_Why=EVIL)
        running.unlock("z", group="web", Osupdate_Booted="2.0", Osupdate_Verdict="good")
        while not any(event == "overdue" for event, _ in running.log()):
            threading.Event().wait(0.2)
        yield running


def text_of(document):
    body = re.sub(r"<(style|script).*?</\1>", "", document, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def test_a_browser_shows_it_and_runs_nothing_of_a_nodes(service, tmp_path):
    document, console = browse(service.url, tmp_path / "profile", "--dump-dom")
    shown = text_of(document)
    assert console == []
    assert "<title>! Reboot lock: PROBLEM: 1 node overdue</title>" in document
    assert "2 slots, 2 held, 3 waiting" in shown
    assert "OVERDUE: &lt;img src=x" in shown
    assert "1.0 -&gt; 2.0" in shown
    assert re.search(r"web2 2{12} \d\d:\d\d:\d\d \(\d+s\)", shown)
    assert "Fleet by release" in shown
    assert document.count('<section class="bad">') == 1
    assert document.index("db") < document.index("web0"), "the problem comes first"


@pytest.mark.parametrize("size", ["390,844", "1280,900"])
def test_it_is_drawn_on_a_phone_and_on_a_screen(service, tmp_path, size):
    picture = tmp_path / "page.png"
    browse(
        service.url,
        tmp_path / "profile",
        f"--screenshot={picture}",
        f"--window-size={size}",
    )
    assert png_size(picture) == tuple(map(int, size.split(",")))
    assert picture.stat().st_size > 20_000, "an empty page is smaller"


class Between:
    """Passes the page on; from the second visit on, a node was granted before."""

    def __init__(self, service):
        self.visits = 0
        between = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path == "/":
                    between.visits += 1
                    if between.visits == 2:
                        service.unlock("0" * 32, group="web", **PROOF)
                        service.lock("2" * 32, group="web")
                        while "2" * 32 not in service.holders("web"):
                            threading.Event().wait(0.05)
                status, headers, body = service.request("GET", self.path)
                self.send_response(status)
                for name in ("Content-Type", "Content-Security-Policy"):
                    if headers.get(name):
                        self.send_header(name, headers[name])
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.02,)).start()
        return self

    def __exit__(self, *exc):
        self._server.shutdown()
        self._server.server_close()


PROOF = {"Osupdate_Booted": "2.0", "Osupdate_Verdict": "good"}


def test_without_a_script_it_loads_itself_again(service):
    page = service.request("GET", "/")[2].decode()
    assert '<noscript><meta http-equiv="refresh" content="15"></noscript>' in page


def test_it_changes_without_being_loaded_again(service, tmp_path):
    with Between(service) as between:
        document, console = browse(
            between.url,
            tmp_path / "profile",
            "--dump-dom",
            "--virtual-time-budget=6000",
        )
        assert between.visits == 2
    assert console == []
    released = r"released</span>\s*</td>\s*<td[^>]*>web</td>\s*<td[^>]*><span>web0"
    assert re.search(released, document)
    assert "2 slots, 2 held, 2 waiting" in text_of(document)
