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
    loaded = config.load(root, strict=False)
    assert loaded.warnings == (f"{path}:2: {key}: {message}",)
    assert loaded.doubts == {key: loaded.warnings[0]}
    assert loaded.settings == config.load("/nonexistent").settings
    assert loaded.origins == {}


def test_a_slip_of_the_pen_leaves_the_other_keys_as_they_are(root):
    main_file(root, '[remote]\nchannel = 3\nhistory = "full"\n[deploy]\nkeep = 7\n')
    loaded = config.load(root, strict=False)
    assert loaded.settings.remote.channel == "stable"
    assert (loaded.settings.remote.history, loaded.settings.deploy.keep) == ("full", 7)


def test_a_wrong_value_is_not_replaced_by_that_of_an_earlier_place(root):
    """Somebody wanted to change it: what the vendor says is not what counts."""
    write(root, "usr/lib/osupdate/config.d/a.toml", '[trust]\nmode = "unsigned"\n')
    main_file(root, '[trust]\nmode = "tga"\n')
    loaded = config.load(root, strict=False)
    assert loaded.settings.trust.mode is TrustMode.SIGNED
    assert list(loaded.doubts) == ["trust.mode"]


def test_a_wrong_value_that_a_later_place_corrects_is_no_mistake(root):
    write(root, "usr/lib/osupdate/config.d/a.toml", "[deploy]\nkeep = 0\n")
    main_file(root, "[deploy]\nkeep = 4\n")
    loaded = config.load(root)
    assert (loaded.settings.deploy.keep, loaded.doubts) == (4, {})


def test_a_file_that_cannot_be_read_leaves_open_what_no_later_file_says(root):
    broken = write(root, "etc/osupdate/config.d/a.toml", "[deploy\n")
    write(root, "usr/lib/osupdate/config.d/a0.toml", '[trust]\nmode = "unsigned"\n')
    main_file(root, '[deploy]\npath = "/here"\n')
    loaded = config.load(root, strict=False)
    assert loaded.settings.deploy.path == "/here"
    assert loaded.settings.trust.mode is TrustMode.SIGNED
    assert "deploy.path" not in loaded.doubts
    assert {"trust.mode", "trust.product", "deploy.keep"} <= loaded.doubts.keys()
    [warning] = loaded.warnings
    assert warning.startswith(f"{broken}:1: not TOML")


@pytest.mark.parametrize(
    ("text", "doubts"),
    [
        ('[deploy]\npaht = "/x"\n', ["deploy.path"]),
        ('[deploy]\npaht = "/x"\npath = "/y"\n', []),
        ('[trsut]\nmode = "tag"\n', ["trust.mode", "trust.product"]),
        ("[deploy]\nnovelty = 1\n", []),
        ("trust = 1\n", ["trust.mode", "trust.product"]),
    ],
)
def test_a_key_that_was_misspelled_leaves_the_right_one_open(root, text, doubts):
    main_file(root, text)
    assert list(config.load(root, strict=False).doubts) == doubts


def test_a_directory_that_cannot_be_listed_leaves_everything_open(root):
    write(root, "etc/osupdate/config.d", "not a directory")
    with pytest.raises(ConfigError, match="Not a directory"):
        config.load(root)
    assert "deploy.path" in config.load(root, strict=False).doubts


def test_a_named_file_that_is_missing_is_an_error_for_every_command(root):
    assert "No such file" in refusal(root, only=f"{root}/no.toml", strict=False)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            '[remote]\nurl = "https://me:s3cret@h/a"\n',
            "remote.url: holds a user name or password; expected none, because URLs "
            "end up in logs. Put the token into a file and name it in "
            "remote.token_file.",
        ),
        ('[remote]\nurl = "ssh://git:s3cret@h/a"\n', "remote.url: holds a user name"),
        ('[remote]\nurl = "s3cret@h:a"\n', "remote.url: it is not a URL"),
        ('[remote]\nurl = ["https://me:s3cret@h/a"]\n', "expected a string, got "),
        (
            '[remote]\nproxy = "http://me:s3cret@h:1"\n',
            "remote.proxy: expected http://host:port, without a password",
        ),
        (
            '[lock]\nurl = "https://me:s3cret@h/"\n',
            "lock.url: expected no user name or password in a URL",
        ),
        ('[lock]\nproxy = "http://me:s3cret@h:1"\n', "lock.proxy: expected no user"),
    ],
)
def test_a_password_in_a_url_is_refused_and_not_repeated(root, text, reason):
    path = main_file(root, text)
    message = refusal(root)
    assert message.startswith(f"{path}:2: ")
    assert reason in message
    loaded = config.load(root, strict=False)
    assert "s3cret" not in message + repr(loaded)


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
    [("remote.url", True), ("deploy.keep", True), ("lock.url", True),
     ("lock.deadline", True), ("reboot.window", True),
     ("update.interval", True), ("boot.loader", True), ("boot.tries", False)],
)  # fmt: skip
def test_keys_that_wait_for_a_later_version_are_known(key, used):
    assert is_used(key) is used


def test_settings_cannot_be_changed():
    with pytest.raises(AttributeError):
        config.load("/nonexistent").settings.deploy.keep = 1
    assert Settings.__struct_config__.frozen
