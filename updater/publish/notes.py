"""What release notes must be at least: something that a person can act on."""

import re
import unicodedata

from updater.core.text import safe
from updater.errors import RefusedError, UsageError
from updater.publish import commit

FILL_IN = "<!-- fill in"  # how a draft marks what only a person knows
_EXPECTED = (
    "expected what changes for those who run it, such as "
    '"OpenSSH fix (CVE-2024-6387), kernel 6.1.94"'
)
_HINT = "Begin with what changed: osupdate publish ... --draft-notes > notes.md"
_ARTICLES = (
    "a",
    "an",
    "and",
    "for",
    "in",
    "my",
    "of",
    "on",
    "some",
    "the",
    "this",
    "to",
)
_BUMPS = ("bump", "change", "changes", "new", "up", "update", "updated", "updates")
_FIXES = ("bug", "bugfix", "bugfixes", "fix", "fixes", "fixup", "fixups", "tweaks")
_ITSELF = ("notes", "os", "release", "releases", "upgrade", "upgrades", "version")
_VAGUE = ("minor", "misc", "stuff", "tweak", "various", "wip")
_EMPTY_WORDS = frozenset((*_ARTICLES, *_BUMPS, *_FIXES, *_ITSELF, *_VAGUE))
_WORD = re.compile(r"[^\W\d_]{2,}")


def check(notes: str | None, product: str, version: str) -> None:
    """Refuse notes that say nothing.

    Raises:
        UsageError: there are none.
        RefusedError: the headline is a word or says only that this is a release, or
            a draft was not filled in.
    """
    if notes is None:
        raise UsageError(
            f"a release needs notes: --notes FILE, the headline first; {_EXPECTED}",
            hint=_HINT,
        )
    headline, _ = commit.headline_and_text(notes)
    if not says_something(headline, product, version):
        raise RefusedError(
            f'the headline of the release notes is "{safe(headline, 80)}"; {_EXPECTED}',
            hint=_HINT,
        )
    left = [line for line in notes.split("\n") if FILL_IN in line]
    if left:
        where = safe(left[0].strip(), 80)
        raise RefusedError(f'the release notes are not filled in yet: "{where}"')


def says_something(headline: str, product: str, version: str) -> bool:
    """Whether a headline has more than one word, and one that is not empty."""
    names = f"{re.escape(version)}|{re.escape(product)}"
    rest = re.sub(rf"(?<!\w)(?:{names})(?!\w)", " ", headline)
    words = _WORD.findall(rest)
    telling = [word for word in words if word.lower() not in _EMPTY_WORDS]
    if not telling:
        return False
    # Scripts without spaces between words: a word there is a sentence.
    if any(unicodedata.category(char) == "Lo" for char in headline):
        return sum(map(len, telling)) >= 4
    return len(headline.split()) > 1
