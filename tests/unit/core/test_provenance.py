import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.core import provenance
from updater.core.provenance import Recipe
from updater.errors import RefusedError

TOLD = {b"etc/motd": "overlay/etc/motd", b"opt/app": "app/", b"opt/app/x": "y"}


def test_paths_lose_their_slash_and_files_stay():
    data = b'{"/etc/motd": "overlay/etc/motd", "/opt/app/": "app/", "/opt/app/x": "y"}'
    assert provenance.parse(data) == TOLD


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "expected an object"),
        (b'{"etc/motd": "x"}', "not a path from the root"),
        (b'{"/": "x"}', "not a path from the root"),
        (b'{"/etc/../x": "y"}', "not a path from the root"),
        (b'{"/a\\u001b": "y"}', "not a path from the root"),
        (b'{"/a": 1}', "a path in the recipe"),
        (b'{"/a": "../../etc"}', "a path in the recipe"),
        (b'{"/a": "/etc"}', "a path in the recipe"),
        (b'{"/a": ""}', "a path in the recipe"),
        (b'{"/a": "x\\u202ey"}', "a path in the recipe"),
    ],
)
def test_what_cannot_be_is_refused_in_one_printable_sentence(data, reason):
    with pytest.raises(RefusedError, match=reason) as caught:
        provenance.parse(data)
    assert str(caught.value).isprintable()


def test_too_much_is_not_read(monkeypatch):
    monkeypatch.setattr(provenance, "MAX_SIZE", 3)
    with pytest.raises(RefusedError, match="4 bytes; at most 3"):
        provenance.parse(b"{}  ")


def test_paths_that_are_not_in_the_release_are_all_named():
    with pytest.raises(RefusedError, match="2 paths of it are not") as caught:
        provenance.check(TOLD, [b"etc/motd", b"etc"])
    assert "\n  /opt/app\n  /opt/app/x" in str(caught.value)
    provenance.check(TOLD, TOLD)


def test_one_path_a_line_sorted():
    lines = provenance.write(TOLD).decode().split("\n")
    assert lines[1] == '"/etc/motd": "overlay/etc/motd",'
    assert len(lines) == len(TOLD) + 3


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1)


@given(st.dictionaries(st.lists(NAMES, min_size=1).map("/".join), NAMES))
def test_what_is_written_reads_back(table):
    told = {}
    for path, file in table.items():
        try:
            told |= provenance.parse(json.dumps({f"/{path}": file}).encode())
        except RefusedError:
            continue
    assert provenance.parse(provenance.write(told)) == told


@pytest.mark.parametrize(
    ("path", "file"),
    [
        (b"etc/motd", "overlay/etc/motd"),
        (b"opt/app", "app/"),
        (b"opt/app/bin/run", "app/bin/run"),
        (b"opt/app/x", "y"),
        (b"opt/apple", None),
        (b"etc", None),
    ],
)
def test_the_nearest_directory_counts(path, file):
    assert provenance.find(TOLD, path) == file


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("https://git.example.org/os/recipe#3f2c9a1", "3f2c9a1"),
        ("https://git.example.org/os/recipe@3f2c9a1", "3f2c9a1"),
        ("https://git.example.org/os/recipe 3f2c9a1", "3f2c9a1"),
        ("https://git.example.org/os/recipe", ""),
    ],
)
def test_a_source_is_a_url_and_perhaps_a_commit(source, found):
    url = "https://git.example.org/os/recipe"
    assert provenance.recipe(source) == Recipe(url, found)
    assert provenance.recipe("") is None
