"""What the pages of a site are called, as files and as links from its root."""

from urllib.parse import quote

INDEX, PICK = "index.html", "compare/index.html"


def release_file(version: str) -> str:
    """The page of a release."""
    return f"releases/{version}.html"


def pair_file(old: str, new: str) -> str:
    """The page of a comparison. No version has two dots in a row."""
    return f"compare/{old}..{new}.html"


def release(version: str) -> str:
    """The link to a release."""
    return quote(release_file(version))


def pair(old: str, new: str) -> str:
    """The link to a comparison."""
    return quote(pair_file(old, new))
