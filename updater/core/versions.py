"""Versions and names of releases (DESIGN section 3.1)."""

import re

_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+-]{0,63}\Z")


def is_version(text: str) -> bool:
    """Whether a publisher may call a release this; it is then a valid ref name."""
    return (
        bool(_VERSION.match(text))
        and ".." not in text
        and not text.endswith((".lock", "."))
    )
