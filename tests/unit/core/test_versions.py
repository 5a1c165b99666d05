import pytest

from updater.core.versions import is_version


@pytest.mark.parametrize("text", ["1", "2026.05.1", "v1.2-rc1+b_4", "A" * 64])
def test_plain_versions_are_versions(text):
    assert is_version(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".1",
        "-1",
        "+1",
        "1..2",
        "1.lock",
        "1.",
        "1/2",
        "1 2",
        "1\n",
        "1~2",
        "1:2",
        "\uff11",
        "A" * 65,
    ],
)
def test_what_cannot_be_a_ref_name_is_no_version(text):
    assert not is_version(text)
