"""Users and groups; never a password."""

import pytest
from support.snapshots import take

from updater.report.compare import compare
from updater.report.sections import AccountChange, Danger

PASSWD = (
    "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33::/var/www:/usr/sbin/nologin\n"
)
GROUP = "root:x:0:\nsudo:x:27:\nwww-data:x:33:\n"
SHADOW = "root:*:19000:0:99999:7:::\nwww-data:*:19000::::::\n"
HASH = "$6$salt$secretsecretsecret"


def release(passwd=PASSWD, group=GROUP, shadow=SHADOW):
    return take({"etc/passwd": passwd, "etc/group": group, "etc/shadow": shadow})


def accounts(**kw):
    found = compare(release(), release(**kw))
    assert found.problems == ()
    return found


def test_a_user_that_comes_is_told_with_its_number():
    line = "tcpdump:x:100:101::/nonexistent:/usr/sbin/nologin\n"
    found = accounts(passwd=PASSWD + line)
    assert found.accounts == (
        AccountChange(
            "user", "tcpdump", "added", None, "uid 100, gid 101, /usr/sbin/nologin"
        ),
    )
    [one] = found.attention
    assert (one.kind, one.path) == (Danger.USER, b"etc/passwd")


@pytest.mark.parametrize(
    ("old", "new", "change", "kind"),
    [
        (":33:33:", ":34:33:", ("id", "33:33", "34:33"), Danger.ID),
        (":/var/www:", ":/srv:", ("home", "/var/www", "/srv"), None),
        (
            ":/usr/sbin/nologin",
            ":/bin/sh",
            ("shell", "/usr/sbin/nologin", "/bin/sh"),
            Danger.USER,
        ),
    ],
)
def test_what_differs_of_a_user_is_told(old, new, change, kind):
    found = accounts(passwd=PASSWD.replace(old, new))
    assert found.accounts == (AccountChange("user", "www-data", *change),)
    assert [one.kind for one in found.attention] == ([kind] if kind else [])


@pytest.mark.parametrize(
    ("before", "after", "old", "new"),
    [
        ("*", HASH, "locked", "set"),
        ("*", "", "locked", "none"),
        (HASH, HASH + "x", "set", "another one"),
        (HASH, "!" + HASH, "set", "locked"),
    ],
)
def test_of_a_password_only_whether_there_is_one_is_told(before, after, old, new):
    shadows = [SHADOW.replace("root:*", f"root:{word}") for word in (before, after)]
    found = compare(release(shadow=shadows[0]), release(shadow=shadows[1]))
    assert found.accounts == (AccountChange("user", "root", "password", old, new),)
    assert [one.kind for one in found.attention] == (
        [] if new == "locked" else [Danger.USER]
    )
    assert "secret" not in repr(found).replace("known", "")


def test_groups_come_change_number_and_get_members():
    found = accounts(group="root:x:0:\nsudo:x:28:www-data\nlp:x:7:\n")
    assert found.accounts == (
        AccountChange("group", "lp", "added", None, "gid 7"),
        AccountChange("group", "sudo", "id", "27", "28"),
        AccountChange("group", "sudo", "groups", None, "www-data"),
        AccountChange("group", "www-data", "removed", "gid 33", None),
    )
    assert [one.text for one in found.attention] == [
        "group sudo has new members: www-data",
        "group sudo: files keep the old number",
    ]


def test_a_user_without_a_password_is_told_when_it_comes():
    found = accounts(passwd=PASSWD + "guest::1000:1000::/home/guest:/bin/sh\n")
    assert [(c.change, c.new) for c in found.accounts][1] == ("password", "none")
    assert "user guest needs no password" in [one.text for one in found.attention]


def test_lines_that_are_none_are_passed_over():
    odd = "\n#x:y\n+::::::\nbroken:x\n:x:1:1:::\nroot:x:5:5:::\n"
    assert accounts(passwd=PASSWD + odd).accounts == ()


def test_names_that_are_not_text_are_told_escaped():
    passwd = PASSWD.encode() + b"\xff\x1b:x:9:9::/:/bin/sh\n"
    [change] = accounts(passwd=passwd).accounts
    assert change.name == "\\xff\x1b"  # whoever shows it makes it safe


def test_accounts_that_are_not_here_are_a_sentence():
    def read(oid):
        raise KeyError(oid)

    gone = take({"etc/passwd": PASSWD + "x", "etc/group": GROUP}, read=read)
    found = compare(release(), gone)
    assert found.accounts == ()
    assert "users and groups are not compared: the content of /etc/passwd" in " ".join(
        found.problems
    )
