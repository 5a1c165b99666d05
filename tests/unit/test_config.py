"""Fragments, merge, and every mistake at once."""

import os

import pytest

from updater import config
from updater.errors import ConfigError
from updater.model import TrustMode
from updater.settings import Settings, is_used

DESIGN_EXAMPLE = """
[node]
id = "gw-7"
[remote]
url = "https://os.example.org/acme.git"
channel = "stable"
ca = "/etc/osupdate/ca.pem"
[trust]
mode = "tag"
product = "acme-gw"
[deploy]
mode = "checkout"
path = "/osupdate"
keep = 2
persistent = ["/var", "/home", "/root", "/srv"]
release_owned = ["/var/lib/dpkg", "/var/lib/rpm", "/var/lib/pacman"]
reverify = "changed"
[slots]
a = "PARTUUID=1"
b = "PARTUUID=2"
[boot]
loader = "none"
tries = 3
[etc]
merge = "text"
[update]
enabled = true
interval = "1h"
clock = "synchronised"
[health]
deadline = "5min"
[reboot]
strategy = "window"
time_zone = "UTC"
window = [ { days = ["Sat", "Sun"], start = "03:00", length = "2h" } ]
users = "wait"
users_grace = "10min"
[lock]
url = "https://lock.example.org/"
group = "web"
deadline = "72h"
"""


@pytest.fixture
def root(tmp_path):
    return str(tmp_path)


def write(root, path, text):
    full = os.path.join(root, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "w") as file:
        file.write(text)
    return full


def main_file(root, text):
    return write(root, "etc/osupdate/config.toml", text)


def refusal(root, **kw):
    with pytest.raises(ConfigError) as caught:
        config.load(root, **kw)
    return str(caught.value)


def test_no_configuration_gives_the_defaults(root):
    loaded = config.load(root)
    assert loaded.files == ()
    assert loaded.settings.remote.url == ""
    assert loaded.settings.trust.mode is TrustMode.SIGNED
    assert loaded.settings.deploy.path == "/osupdate"
    assert loaded.settings.deploy.persistent == ("/var", "/home", "/root", "/srv")


def test_every_documented_key_is_accepted(root):
    main_file(root, DESIGN_EXAMPLE)
    settings = config.load(root).settings
    assert settings.remote.url == "https://os.example.org/acme.git"
    assert settings.update.interval == 3600
    assert settings.reboot.window[0].days == ("Sat", "Sun")
    assert settings.lock.deadline == 72 * 3600


def test_later_places_win_key_by_key(root):
    write(root, "usr/lib/osupdate/config.d/90-vendor.toml", "[deploy]\nkeep = 3\n")
    write(root, "run/osupdate/config.d/50-run.toml", '[remote]\nchannel = "run"\n')
    write(root, "etc/osupdate/config.d/10-site.toml", "[deploy]\nkeep = 4\n")
    path = main_file(root, '[remote]\nchannel = "beta"\n')
    loaded = config.load(root)
    assert loaded.settings.deploy.keep == 4
    assert loaded.settings.remote.channel == "beta"
    assert loaded.origins["remote.channel"] == config.Origin(path, 2)
    assert [os.path.basename(name) for name in loaded.files] == [
        "90-vendor.toml",
        "50-run.toml",
        "10-site.toml",
        "config.toml",
    ]


def test_a_file_of_the_same_name_replaces_the_earlier_one_whole(root):
    write(
        root,
        "usr/lib/osupdate/config.d/a.toml",
        '[deploy]\nkeep = 9\n[remote]\nchannel = "vendor"\n',
    )
    write(root, "etc/osupdate/config.d/a.toml", '[remote]\nchannel = "site"\n')
    settings = config.load(root).settings
    assert settings.remote.channel == "site"
    assert settings.deploy.keep == 2


def test_a_link_to_dev_null_masks_a_file(root):
    write(root, "usr/lib/osupdate/config.d/a.toml", "[deploy]\nkeep = 9\n")
    os.makedirs(os.path.join(root, "etc/osupdate/config.d"))
    os.symlink("/dev/null", os.path.join(root, "etc/osupdate/config.d/a.toml"))
    loaded = config.load(root)
    assert loaded.settings.deploy.keep == 2
    assert loaded.files == ()


def test_a_named_file_is_read_in_place_of_all_others(root):
    main_file(root, "[deploy]\nkeep = 9\n")
    other = write(root, "other.toml", '[remote]\nchannel = "x"\n')
    loaded = config.load(root, other)
    assert loaded.settings.deploy.keep == 2
    assert loaded.settings.remote.channel == "x"


def test_a_named_file_that_is_missing_is_an_error(root):
    assert refusal(root, only=f"{root}/no.toml") == (
        f"{root}/no.toml: No such file or directory"
    )


def test_unknown_key_is_named_with_file_and_line(root):
    path = main_file(root, '# first\n[remote]\n\nurll = "x"\n')
    assert refusal(root) == (f"{path}:4: remote.urll: unknown key; did you mean url?")


def test_unknown_key_is_a_warning_where_the_command_must_work(root):
    path = main_file(root, '[remote]\nchannel = "x"\nnew = 1\n')
    loaded = config.load(root, strict=False)
    assert loaded.settings.remote.channel == "x"
    assert loaded.warnings == (f"{path}:3: remote.new: unknown key",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[deploy]\nkeep = true\n", "expected a whole number from 1 to 1000, got true"),
        ("[deploy]\nkeep = 0\n", "expected a whole number from 1 to 1000, got 0"),
        ("[remote]\nurl = 3\n", "expected a string, got 3"),
        ('[update]\nenabled = "no"\n', 'expected true or false, got "no"'),
        (
            '[trust]\nmode = "none"\n',
            'expected one of "signed", "tag", "unsigned", got "none"',
        ),
        (
            '[etc]\nmerge = "git"\n',
            'expected one of "text", "file", got "git"',
        ),
        (
            '[deploy]\npath = "osupdate"\n',
            'expected an absolute path without .., got "osupdate"',
        ),
        (
            "[health]\ndeadline = 5\n",
            'expected a duration such as "90s", "5min", "1h" or "3d", got 5',
        ),
        (
            '[boot]\nloader = "grub"\n',
            '"grub" is not supported by this version; expected "none"',
        ),
        (
            '[deploy]\nmode = "partition"\n',
            '"partition" is not supported by this version; expected "checkout"',
        ),
    ],
)
def test_wrong_value_says_expected_and_got(root, text, message):
    path = main_file(root, text)
    key = text.split("\n")[0].strip("[]") + "." + text.split("\n")[1].split(" ")[0]
    assert refusal(root) == f"{path}:2: {key}: {message}"
    assert refusal(root, strict=False) == f"{path}:2: {key}: {message}"


def test_wrong_day_in_a_window_is_named(root):
    main_file(
        root,
        "[reboot]\nwindow = [\n"
        ' { days = ["Sat", "Sux"], start = "03:00", length = "2h" },\n]\n',
    )
    assert "reboot.window: Invalid enum value 'Sux' - at `$[0].days[1]`" in refusal(
        root
    )


def test_all_mistakes_of_all_files_come_at_once_in_order(root):
    broken = write(root, "usr/lib/osupdate/config.d/a.toml", "[remote]\nurl = \n")
    path = main_file(root, 'colour = 1\n[remote]\nchannel = 3\nurll = "x"\n')
    assert refusal(root).split("\n") == [
        "4 mistakes:",
        f"{broken}:2: not TOML: invalid value",
        f"{path}:1: colour: unknown table",
        f"{path}:3: remote.channel: expected a string, got 3",
        f"{path}:4: remote.urll: unknown key; did you mean url?",
    ]


def test_a_table_written_as_a_value_is_refused(root):
    path = main_file(root, 'remote = "x"\n')
    assert refusal(root) == f"{path}:1: remote: expected a table, [remote]"


def test_a_file_that_is_not_utf8_is_refused(root):
    path = main_file(root, "")
    with open(path, "wb") as file:
        file.write(b"[remote]\nurl = '\xff'\n")
    assert refusal(root) == f"{path}: not UTF-8 at byte 16"


def test_hostile_key_cannot_write_to_the_terminal(root):
    main_file(root, '[remote]\n"a\\u001b[2J" = 1\n')
    assert "\x1b" not in refusal(root)


@pytest.mark.parametrize(
    ("key", "used"),
    [("remote.url", True), ("deploy.keep", True), ("lock.url", False),
     ("boot.loader", True), ("boot.tries", False)],
)  # fmt: skip
def test_keys_that_wait_for_a_later_version_are_known(key, used):
    assert is_used(key) is used


def test_settings_cannot_be_changed():
    with pytest.raises(AttributeError):
        config.load("/nonexistent").settings.deploy.keep = 1
    assert Settings.__struct_config__.frozen
