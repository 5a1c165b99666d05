"""Whether a path is among those that changed, as `public/releases` keeps them."""

import pytest

from updater.agent.knowledge import is_among

TOLD = b"\0etc/motd\0etc/ssh/sshd_config\0etc/sudoers.d/\0usr/bin/\xff\0"


@pytest.mark.parametrize(
    "path", [b"etc/motd", b"etc", b"etc/ssh", b"usr", b"usr/bin/\xff"]
)
def test_a_path_and_what_is_below_it_is_found(path):
    assert is_among(path, TOLD)


@pytest.mark.parametrize("path", [b"etc/mot", b"motd", b"etc/motd/x", b"usr/bin/x"])
def test_another_path_is_not(path):
    assert not is_among(path, TOLD)


@pytest.mark.parametrize(
    "path", [b"etc/sudoers.d", b"etc/sudoers.d/web", b"etc/sudoers.d/a/b"]
)
def test_in_a_closed_directory_anything_may_have_changed(path):
    assert is_among(path, TOLD)
