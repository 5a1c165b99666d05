"""The site of a real repository: what it says, what it refuses, how it looks."""

import http.server
import json
import os
import re
import shutil
import subprocess
import threading
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
from support import browser
from support.factory import CREATED, make_key, make_rootfs, publish_release
from support.remote import HttpServer
from support.snapshots import dpkg, stanza

from updater.cli import main
from updater.errors import ConfigError, RefusedError, UntrustedError, UsageError
from updater.publish.copy import local_path
from updater.site import build, links

DOCS = Path(__file__).parents[2] / "docs"
NOW = CREATED + 400 * 86400
URL = "https://os.example.org/acme"
EVIL = "fix </script><script>document.title='owned'</script> \u202ebidi"


def files(number):
    """Release `number`: sudo gets setuid in the third, the package always changes."""
    return {
        **dpkg(
            stanza("bash", "5.2-1"),
            stanza("openssh-server", f"1:9.2-{number}", source="openssh"),
        ),
        "etc/ssh/sshd_config": f"Port {number}\n",
        "usr/bin/sudo": ("#!", 0o4755 if number > 2 else 0o755),
        f"opt/{number}/<b>&": "x",
    }


class Place:
    """A repository with releases 1, 2, ...; the second one is not signed."""

    def __init__(self, path):
        self.path, self.count = path, 0
        self.repo, self.out = str(path / "acme.git"), str(path / "www")
        self.key, line = make_key(path)
        self.signers = path / "signers"
        self.signers.write_text(line)

    def publish(self, *, key="own", notes=None):
        self.count += 1
        root = make_rootfs(self.path / f"rootfs{self.count}", files(self.count))
        return publish_release(
            self.repo,
            root,
            f"1.{self.count}",
            self.key if key == "own" else key,
            created=CREATED + 86400 * self.count,
            notes=notes or f"Headline {self.count}\n\nWhy *{self.count}*.\n",
        )

    def build(self, **kw):
        return build.build(self.repo, self.out, NOW, **kw)

    def page(self, path):
        return Path(self.out, path).read_text()


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Three releases; tests take copies."""
    place = Place(tmp_path_factory.mktemp("published"))
    place.publish()
    place.publish(key=None)
    place.publish(notes=f"{EVIL}\n\n{EVIL}\n")
    return place


@pytest.fixture
def place(published, tmp_path):
    copy = tmp_path / "place"
    shutil.copytree(published.path, copy)
    made = object.__new__(Place)
    made.__dict__.update(published.__dict__)
    made.path, made.signers = copy, copy / "signers"
    made.repo, made.out = str(copy / "acme.git"), str(copy / "www")
    made.key = str(copy / Path(published.key).name)
    return made


def snapshot(directory):
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(Path(directory).rglob("*"))
        if path.is_file()
    }


def local_links(directory):
    """(page, link) of every link that does not lead to the web."""
    for name, data in snapshot(directory).items():
        if name.endswith(".html"):
            for link in re.findall(r'href="([^"]*)"', data.decode()):
                if not link.startswith(("http", "data:", "mailto:")):
                    yield name, unescape(link)


def test_every_page_is_there_and_every_link_leads_to_one(place):
    built = place.build(url=URL)
    assert (built.releases, built.newest, built.made) == (3, "1.3", 3 + 3 + 1 + 2 + 1)
    assert set(snapshot(place.out)) == {
        ".osupdate-site",
        "index.html",
        "feed.atom",
        "feed.json",
        "compare/index.html",
        *(f"releases/1.{number}.html" for number in (1, 2, 3)),
        *(f"compare/{pair}.html" for pair in ("1.1..1.2", "1.1..1.3", "1.2..1.3")),
    }
    found = list(local_links(place.out))
    assert len(found) > 40
    for page, link in found:
        path, _, anchor = link.partition("#")
        target = Path(place.out, page).parent / path if path else Path(place.out, page)
        assert target.is_file(), (page, link)
        assert not anchor or f'id="{anchor}"' in target.read_text(), (page, link)


def test_a_release_tells_its_notes_and_what_changed(place):
    place.build()
    page = place.page("releases/1.3.html")
    assert '<section id="attention"' in page
    assert "/usr/bin/sudo" in page
    assert "1:9.2-2" in page
    assert 'href="../compare/1.2..1.3.html#files"' in page
    assert '<section id="files"' not in page
    assert "<p>Why <em>1</em>.</p>" in place.page("releases/1.1.html")
    assert '<section id="files"' in place.page("compare/1.2..1.3.html")


def test_signed_is_said_only_of_what_was_verified(place):
    place.build()
    assert "was not checked" in place.page("releases/1.3.html")
    assert "Signed by" not in "".join(map(str, snapshot(place.out).values()))
    built = place.build(trust=str(place.signers))
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", f"{place.key}.pub"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()[1]
    assert f"Signed by <code>{shown}</code>" in place.page("releases/1.3.html")
    assert "<strong>UNSIGNED:</strong>" in place.page("releases/1.2.html")
    assert built.unverified == 1


def test_a_signature_of_another_key_is_shown_in_red_and_said(place, tmp_path):
    _, line = make_key(tmp_path / "other")
    other = tmp_path / "other/signers"
    other.write_text(line)
    built = place.build(trust=str(other))
    assert "The signature does not hold." in place.page("releases/1.3.html")
    assert "BAD SIGNATURE" in place.page("index.html")
    assert built.unverified == 3
    assert any(notice.startswith("1.3: ") for notice in built.notices)


def test_a_revoked_key_beside_the_trusted_ones_counts(place):
    public = Path(f"{place.key}.pub").read_text().split()
    (place.path / "revoked").write_text(" ".join(public[:2]) + "\n")
    place.build(trust=str(place.signers))
    assert "The signature does not hold." in place.page("releases/1.3.html")


def test_a_tag_that_was_moved_to_another_release_is_no_signature(place):
    git = ["git", "-C", place.repo]
    stolen = subprocess.run(
        [*git, "rev-parse", "refs/tags/release/1.3"], check=True, capture_output=True
    ).stdout.decode()
    subprocess.run(
        [*git, "update-ref", "refs/tags/release/1.1", stolen.strip()], check=True
    )
    place.build(trust=str(place.signers))
    page = place.page("releases/1.1.html")
    assert "The signature does not hold." in page
    assert "Signed by" not in page


def test_the_commands_of_the_page_check_the_release(place, tmp_path):
    """What a reader copies runs, and says what the page says."""
    place.build(trust=str(place.signers))
    page = place.page("releases/1.3.html")
    commands = unescape(
        re.search(r'<pre id="commands">(.*?)</pre>', page, re.DOTALL)[1]
    )
    env = {**os.environ, "REPO": f"file://{place.repo}", "HOME": str(tmp_path)}
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", commands],
        cwd=tmp_path,
        env=env,
        check=True,
        capture_output=True,
        text=True,
    )
    lines = done.stdout.splitlines()
    commit = re.search(r"<dt>Commit</dt><dd><code>(\w+)", page)[1]
    sha256 = re.search(r"<dt>Tree-SHA256</dt><dd><code>(\w+)", page)[1]
    assert "signed" in lines
    assert f"object {commit}" in lines
    assert f"Tree-SHA256: {sha256}" in lines
    assert commit in lines


def test_pages_that_did_not_change_are_not_made_again(place):
    place.build(url=URL, trust=str(place.signers))
    before = snapshot(place.out)
    times = {name: os.stat(Path(place.out, name)).st_mtime_ns for name in before}
    assert place.build(url=URL, trust=str(place.signers)).made == 0
    place.publish()
    built = place.build(url=URL, trust=str(place.signers))
    # Three comparisons, the new release and its neighbour, four pages about all.
    assert (built.made, built.kept) == (3 + 2 + 4, 3 + 2)
    for name in ("releases/1.1.html", "releases/1.2.html", "compare/1.1..1.3.html"):
        assert os.stat(Path(place.out, name)).st_mtime_ns == times[name]
    assert 'href="1.4.html"' in place.page("releases/1.3.html")


def test_the_same_repository_gives_the_same_bytes(place, tmp_path):
    place.build(url=URL, trust=str(place.signers))
    first = snapshot(place.out)
    moved = str(tmp_path / "elsewhere.git")
    shutil.move(place.repo, moved)
    place.repo, place.out = moved, str(tmp_path / "other")
    place.build(url=URL, trust=str(place.signers))
    assert snapshot(place.out) == first


def test_the_feeds_are_what_their_formats_ask_for(place):
    place.build(url=URL)
    atom = "{http://www.w3.org/2005/Atom}"
    feed = ElementTree.fromstring(place.page("feed.atom"))
    assert feed.tag == f"{atom}feed"
    for name in ("title", "id", "updated", "author"):
        assert feed.find(atom + name) is not None
    entries = feed.findall(f"{atom}entry")
    assert [entry.find(f"{atom}id").text for entry in entries] == [
        f"{URL}/releases/1.{number}.html" for number in (3, 2, 1)
    ]
    assert "\\u202ebidi" in entries[0].find(f"{atom}title").text
    assert "<script" not in entries[0].find(f"{atom}content").text
    for entry in entries:
        for name in ("title", "updated", "link", "content"):
            assert entry.find(atom + name) is not None
    told = json.loads(place.page("feed.json"))
    assert told["version"] == "https://jsonfeed.org/version/1.1"
    assert told["feed_url"] == f"{URL}/feed.json"
    assert [item["url"] for item in told["items"]] == [
        e.find(f"{atom}id").text for e in entries
    ]
    assert all(item["content_html"] is not None for item in told["items"])
    assert 'type="application/atom+xml"' in place.page("index.html")


def test_without_an_address_there_are_no_feeds_and_old_ones_go(place):
    place.build(url=URL)
    built = place.build()
    assert built.removed == 2
    assert not Path(place.out, "feed.atom").exists()
    assert "feed" not in place.page("index.html")


def test_channels_are_told_as_their_logs_tell_them(place, capsys):
    key, _ = make_key(place.path, "channel", "channel")

    def promote(*argv):
        code = main(["promote", *argv, "--repo", place.repo, "--key", key])
        assert code == 0, capsys.readouterr()

    place.build()
    assert 'id="channels"' not in place.page("index.html")
    promote("1.1", "--to", "stable")
    promote("1.3", "--to", "edge")
    promote("--to", "stable", "--refresh")
    promote("1.3", "--to", "stable", "--rollout", "24")
    place.build()
    index = place.page("index.html")
    told = index.partition('<section id="channels"')[2].partition("</section>")[0]
    assert re.findall(r"<strong>(.*?)</strong>", told) == ["edge", "stable"]
    assert told.count('href="releases/1.3.html"') == 2
    assert "over 24 hours" in told
    lanes = re.findall(r'<g class="lane">.*?</g>', index, re.DOTALL)
    assert [lane.count("<circle") for lane in lanes] == [1, 2, 3]
    assert "<b>stable</b> since" in place.page("releases/1.1.html")
    assert "Withdrawn" not in place.page("releases/1.3.html")

    promote("--to", "edge", "--withdraw", "3", "--reason", "eats <disks>")
    built = place.build()
    page = place.page("releases/1.3.html")
    assert "<strong>Withdrawn from edge:</strong> eats &lt;disks&gt;" in page
    assert '<span class="tag refused">withdrawn</span>' in place.page("index.html")
    assert built.made == 2  # that release, and the index


def test_a_channel_that_says_nonsense_is_refused(place):
    commit_file(place.repo, "channel.toml", "format = 1\n", "refs/heads/channel/evil")
    with pytest.raises(UntrustedError, match="C5"):
        place.build()
    assert not os.path.exists(place.out)


def test_one_release_is_a_site_too(tmp_path):
    place = Place(tmp_path)
    place.publish()
    assert place.build().made == 3
    assert "nothing before it" in place.page("releases/1.1.html")
    assert "There is one release" in place.page("compare/index.html")


@pytest.mark.parametrize(
    "url", ["os.example.org", "ftp://x/", "https://x/\n", "https://x/?a", ""]
)
def test_an_address_that_is_none_is_refused(place, url):
    with pytest.raises(UsageError, match="--url"):
        place.build(url=url)
    assert not os.path.exists(place.out)


def test_a_repository_without_releases_is_refused(tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path / "worktree"], check=True)
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "empty"], check=True)
    for repo in (tmp_path / "missing", tmp_path / "empty", tmp_path / "worktree"):
        with pytest.raises(RefusedError):
            build.build(str(repo), str(tmp_path / "out"), NOW)
    assert not (tmp_path / "out").exists()


def test_trusted_keys_that_cannot_be_read_are_refused(place):
    with pytest.raises(ConfigError):
        place.build(trust=str(place.path / "missing"))
    assert not os.path.exists(place.out)


@pytest.mark.parametrize(
    "version", ["../../../evil", "a/b", "..", "", "x" * 65, "a\nb"]
)
def test_a_version_cannot_lead_out_of_the_directory(place, version):
    """A branch that somebody else wrote: release.toml says what it likes."""
    toml = (
        f'format = 1\nproduct = "p"\narch = "a"\nversion = {json.dumps(version)}\n'
        'number = 9\nsecurity_floor = 0\ncreated = "2026-05-16T14:02:11Z"\n'
    )
    commit_file(place.repo, "usr/lib/osupdate/release.toml", toml)
    before = snapshot(place.path)
    with pytest.raises(RefusedError, match="is not a version"):
        place.build()
    assert snapshot(place.path) == before


def test_a_version_that_is_twice_on_the_branch_is_refused(place):
    git = ["git", "-C", place.repo]
    toml = subprocess.run(
        [*git, "show", "releases:usr/lib/osupdate/release.toml"],
        check=True,
        capture_output=True,
    ).stdout.decode()
    commit_file(place.repo, "usr/lib/osupdate/release.toml", toml)
    with pytest.raises(RefusedError, match=r"version 1\.3 is twice"):
        place.build()


def commit_file(repo, path, text, ref="refs/heads/releases"):
    """One commit upon the releases, whose tree holds only this file."""
    git = ["git", "-C", repo, "-c", "user.name=x", "-c", "user.email=x@x.invalid"]

    def run(*argv, stdin=b""):
        done = subprocess.run(
            [*git, *argv], input=stdin, check=True, capture_output=True
        )
        return done.stdout.decode().strip()

    oid = run("hash-object", "-w", "--stdin", stdin=text.encode())
    mode, kind = "100644", "blob"
    for name in reversed(path.split("/")):
        oid = run("mktree", stdin=f"{mode} {kind} {oid}\t{name}\n".encode())
        mode, kind = "040000", "tree"
    commit = run("commit-tree", oid, "-p", "refs/heads/releases", "-m", "evil")
    run("update-ref", ref, commit)


def test_the_command_says_what_it_did(place, capsys, monkeypatch):
    monkeypatch.chdir(place.path)
    code = main(["site", "acme.git", place.out, "--trust", place.signers.name])
    told = capsys.readouterr()
    assert code == 3
    assert told.out == (
        "NOT VERIFIED: 1 of 3 releases\n"
        f"{place.out}: 3 releases, the newest is 1.3\n"
        "8 pages made, 0 as before, 0 removed\n"
    )
    assert "[1/2] read      3 releases" in told.err
    assert "[2/2] write     8 pages" in told.err
    assert "! 1 release without a signed tag\n" in told.err
    assert main(["site", place.repo, place.out, "--json"]) == 0
    schema = json.loads((DOCS / "json/site-1.json").read_text())
    jsonschema.validate(json.loads(capsys.readouterr().out), schema)


def test_a_url_is_the_copy_that_publish_keeps(place, tmp_path):
    served = tmp_path / "served"
    subprocess.run(["git", "init", "-q", "--bare", served / "acme.git"], check=True)
    subprocess.run(
        ["git", "-C", served / "acme.git", "config", "http.receivepack", "true"],
        check=True,
    )
    cache = str(tmp_path / "cache")
    with HttpServer(served) as server:
        url = f"{server.base}/acme.git"
        publish_release(url, place.path / "rootfs1", "9.1", place.key, cache=cache)
    place.repo = local_path(cache, url)
    assert place.build(trust=str(place.signers)).newest == "9.1"
    assert "Signed by" in place.page("releases/9.1.html")


def test_a_url_that_nothing_was_published_to_is_refused(
    place, capsys, monkeypatch, tmp_path
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("updater.cli.publisher._CACHE", str(tmp_path))
    code = main(["site", "https://os.example.org/acme.git", place.out])
    assert code == 3
    assert "no copy of https://os.example.org/acme.git" in capsys.readouterr().err
    assert not os.path.exists(place.out)


@pytest.fixture(scope="module")
def site(published):
    """A whole site to look at."""
    published.build(url=URL, trust=str(published.signers))
    return published.out


PAGES = [
    "index.html",
    "releases/1.3.html",
    "compare/index.html",
    "compare/1.2..1.3.html",
]


@browser.needed
@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(("width", "dark"), [(360, False), (1100, True)])
def test_pages_fit_can_be_read_and_ask_for_nothing(site, path, width, dark):
    url = Path(site, path).as_uri()
    with browser.open_page(url, width=width, dark=dark) as page:
        assert page.overflow()[0] == 0
        assert page.hard_to_read() == []
        assert page.messages == []
        assert page.requests == [url]
        assert page.evaluate("document.title") != "owned"


@browser.needed
def test_two_releases_are_chosen_in_a_form(site):
    with browser.open_page(Path(site, links.PICK).as_uri()) as page:
        choose = (
            "from.value = '{}'; to.value = '{}';"
            "document.querySelector('.pick button').click()"
        )
        page.evaluate("var from = document.getElementById('from')")
        page.evaluate("var to = document.getElementById('to')")
        said = "document.getElementById('said').innerText"
        page.evaluate(choose.format("1.3", "1.1"))
        assert page.evaluate(said) == "The first is the newer one: turn them round."
        page.evaluate(choose.format("1.1", "1.1"))
        assert page.evaluate(said) == "These are the same release."
        page.go(choose.format("1.1", "1.3"))
        assert page.evaluate("document.querySelector('h1').innerText") == "1.1 → 1.3"
        assert page.messages == []


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        """Nothing: a test that fails says enough."""


@browser.needed
def test_the_site_works_below_a_path_of_a_server(site, tmp_path):
    (tmp_path / "some").mkdir()
    (tmp_path / "some/where").symlink_to(site)

    def handler(*args):
        return Quiet(*args, directory=str(tmp_path))

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            base = f"http://127.0.0.1:{server.server_port}/some/where/"
            with browser.open_page(base) as page:
                page.go("document.querySelector('.list a').click()")
                assert page.evaluate("location.href") == f"{base}releases/1.3.html"
                page.go("document.querySelector('a[href*=\"#files\"]').click()")
                assert page.evaluate("location.href").startswith(
                    f"{base}compare/1.2..1.3"
                )
                page.go("document.querySelector('.bar a').click()")
                assert page.messages == []
                assert all(url.startswith(base) for url in page.requests)
                assert not [url for url in page.requests if "favicon" in url]
        finally:
            server.shutdown()
