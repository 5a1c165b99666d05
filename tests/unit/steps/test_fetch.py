"""What the fetching process leaves behind is looked at before anybody uses it."""

import os

import pytest

from updater.errors import HostError, OsupdateError, UntrustedError
from updater.model import Offer, RemoteSettings
from updater.steps.fetch import fetch
from updater.system.git import child
from updater.system.git.child import FetchLimits, ObjectSources

OFFER = Offer("/srv/os.git", "stable", "refs/heads/stable", "a" * 40)
PACK = f"pack-{'0' * 40}"


def fetched(tmp_path, monkeypatch, leave):
    """Run the step with a child that does nothing but `leave(directory)`."""

    def play(offer, remote, sources, incoming, *_, **__):
        os.mkdir(f"{incoming}/pack")
        for suffix in ("pack", "idx"):
            with open(f"{incoming}/pack/{PACK}.{suffix}", "w") as file:
                file.write("x")
        leave(incoming)
        return 7

    monkeypatch.setattr(child, "fetch", play)
    return fetch(
        OFFER,
        RemoteSettings(url=OFFER.url),
        ObjectSources(),
        str(tmp_path / "incoming"),
        FetchLimits(),
        lambda progress: None,
        announce=lambda text: None,
        sleep=lambda seconds: None,
    )


def test_packs_and_nothing_else_become_a_candidate(tmp_path, monkeypatch):
    candidate = fetched(tmp_path, monkeypatch, lambda directory: None)
    assert candidate.received == 7
    assert sorted(os.listdir(f"{candidate.objects}/pack")) == [
        f"{PACK}.idx",
        f"{PACK}.pack",
    ]


@pytest.mark.parametrize(
    "leave",
    [
        lambda d: os.mkdir(f"{d}/info"),
        lambda d: os.mkdir(f"{d}/ab"),
        lambda d: os.symlink("/etc", f"{d}/info"),
        lambda d: os.symlink("/etc/passwd", f"{d}/pack/pack-{'1' * 40}.pack"),
        lambda d: os.mkdir(f"{d}/pack/pack-{'1' * 40}.pack"),
        lambda d: os.mkfifo(f"{d}/pack/pack-{'1' * 40}.idx"),
        lambda d: os.link(f"{d}/pack/{PACK}.pack", f"{d}/../{PACK}.pack"),
        lambda d: open(f"{d}/pack/multi-pack-index", "w").close(),
        lambda d: open(f"{d}/pack/\x1b[31m", "w").close(),
    ],
)
def test_anything_else_is_refused_and_removed(tmp_path, monkeypatch, leave):
    with pytest.raises(UntrustedError) as caught:
        fetched(tmp_path, monkeypatch, leave)
    assert caught.value.check == "F1"
    assert str(caught.value).isprintable()
    assert os.listdir(tmp_path / "incoming") == []


def test_a_success_without_objects_is_an_error(tmp_path, monkeypatch):
    def empty(directory):
        for name in os.listdir(f"{directory}/pack"):
            os.unlink(f"{directory}/pack/{name}")

    with pytest.raises(HostError):
        fetched(tmp_path, monkeypatch, empty)
    assert os.listdir(tmp_path / "incoming") == []


def test_an_earlier_download_survives_a_failed_one(tmp_path, monkeypatch):
    candidate = fetched(tmp_path, monkeypatch, lambda directory: None)
    with pytest.raises(OsupdateError):
        fetched(tmp_path, monkeypatch, lambda directory: os.mkdir(f"{directory}/x"))
    assert len(os.listdir(f"{candidate.objects}/pack")) == 2
