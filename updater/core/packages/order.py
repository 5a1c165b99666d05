"""Which of two versions is the newer one, as each package system itself decides.

A version that a system would refuse has a place as well: releases hold such versions,
and a comparison that raises would hide a change. `key` reads the first `MAX_VERSION`
characters.
"""

import functools
import re
from collections.abc import Callable
from typing import Any

MAX_VERSION = 512  # characters

_DIGITS = frozenset("0123456789")
_DPKG_PARTS = re.compile(r"([^0-9]*)([0-9]*)")
_RPM_PARTS = re.compile(r"[0-9]+|[A-Za-z]+|~|\^")
_RPM_TILDE, _RPM_END, _RPM_CARET, _RPM_ALPHA, _RPM_NUMBER = range(5)
_PACMAN_GAP = re.compile(r"[^0-9A-Za-z]*")
_PACMAN_PART = re.compile(r"[0-9]+|[A-Za-z]+")
_APK_SUFFIXES = ("alpha", "beta", "pre", "rc", "cvs", "svn", "git", "hg", "p")
_APK_BEFORE = 4  # of these are older than the version without a suffix
_APK_SUFFIX = re.compile(rf"_({'|'.join(_APK_SUFFIXES)})(?![a-z])([0-9]*)")
_APK = re.compile(
    rf"([0-9]+)((?:\.[0-9]+)*)([a-z]?)((?:{_APK_SUFFIX.pattern})*)"
    r"(?:~([0-9a-f]+))?(?:-r([0-9]+))?(.*)",
    re.DOTALL,
)
# Where one version has a part and the other has another one or none, the part decides.
_APK_OLDER, _APK_BAD, _APK_END, _APK_REVISION, _APK_HASH, _APK_COUNT = range(6)
_APK_NEWER, _APK_LETTER, _APK_NUMBER = range(6, 9)


def compare(family: str, a: str, b: str) -> int:
    """-1 when `a` is older than `b`, 1 when it is newer, 0 when they are the same.

    Args:
        family: dpkg, rpm, pacman or apk; dpkg's order stands in for an unknown one.
        a: a version, with its epoch and revision.
        b: another one.
    """
    left, right = key(family, a), key(family, b)
    return int(left > right) - int(left < right)


def compare_told(family: str, told: str, version: str) -> int:
    """As `compare`, for a version from a changelog: those of rpm leave epochs out."""
    if family == "rpm" and told == without_epoch(told):
        version = without_epoch(version)
    return compare(family, told, version)


def key(family: str, version: str) -> Any:  # noqa: ANN401 - only its order is meant
    """A sort key; keys of one family can be compared with each other."""
    return _KEYS.get(family, _dpkg)(version[:MAX_VERSION])


def without_epoch(version: str) -> str:
    """A version without the number and colon in front of it."""
    epoch, colon, rest = version.partition(":")
    return rest if colon and _DIGITS.issuperset(epoch) else version


def _epoch(version: str) -> tuple[int, str]:
    rest = without_epoch(version)
    return int(version[: len(version) - len(rest)].rstrip(":") or 0), rest


def _dpkg(version: str) -> tuple[int, list[int], list[int]]:
    """Source of the rules: deb-version(7)."""
    epoch, rest = _epoch(version.strip())
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
    return epoch, _dpkg_part(upstream), _dpkg_part(revision)


def _dpkg_part(text: str) -> list[int]:
    found: list[int] = []
    for letters, digits in _DPKG_PARTS.findall(text or "0"):
        found += map(_dpkg_letter, letters)
        if letters or digits:
            found += (0, int(digits or 0))
    return [*found, 0]


def _dpkg_letter(char: str) -> int:
    if char == "~":
        return -1
    return ord(char) if char.isascii() and char.isalpha() else ord(char) + 256


def _rpm(version: str) -> tuple[int, Any, Any]:
    """Source of the rules: rpm-version(7)."""
    epoch, rest = _epoch(version)
    upstream, _, release = rest.partition("-")
    return epoch, _rpm_part(upstream), _rpm_part(release)


def _rpm_part(text: str) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    for part in _RPM_PARTS.findall(text):
        if part == "~":
            found.append((_RPM_TILDE,))
        elif part == "^":
            found.append((_RPM_CARET,))
        elif part[0] in _DIGITS:
            found.append((_RPM_NUMBER, int(part)))
        else:
            found.append((_RPM_ALPHA, part))
    return [*found, (_RPM_END,)]


def _pacman(a: str, b: str) -> int:
    """Source of the rules: vercmp(8), and pacman's own tests where it is silent.

    A version without a release equals every release of it.
    """
    (epoch_a, rest_a), (epoch_b, rest_b) = _epoch(a), _epoch(b)
    if epoch_a != epoch_b:
        return -1 if epoch_a < epoch_b else 1
    version_a, release_a = _pacman_split(rest_a)
    version_b, release_b = _pacman_split(rest_b)
    found = _pacman_parts(version_a, version_b)
    if found == 0 and release_a is not None and release_b is not None:
        return _pacman_parts(release_a, release_b)
    return found


def _pacman_split(text: str) -> tuple[str, str | None]:
    version, dash, release = text.rpartition("-")
    return (version, release) if dash else (text, None)


def _pacman_parts(a: str, b: str) -> int:
    if a == b:
        return 0
    while a and b:
        gap_a, gap_b = _pacman_gap(a), _pacman_gap(b)
        a, b = a[gap_a:], b[gap_b:]
        part_a, part_b = _PACMAN_PART.match(a), _PACMAN_PART.match(b)
        if part_a is None or part_b is None:
            break
        if gap_a != gap_b:
            return -1 if gap_a < gap_b else 1
        key_a, key_b = _pacman_value(part_a[0]), _pacman_value(part_b[0])
        if key_a != key_b:
            return -1 if key_a < key_b else 1
        a, b = a[part_a.end() :], b[part_b.end() :]
    return _pacman_rest(a, b)


def _pacman_gap(text: str) -> int:
    gap = _PACMAN_GAP.match(text)
    return gap.end() if gap else 0


def _pacman_value(part: str) -> tuple[int, str]:
    """A number is newer than letters."""
    digits = part.lstrip("0")
    return (1 + len(digits), digits) if part[0] in _DIGITS else (0, part)


def _pacman_rest(a: str, b: str) -> int:
    """At least one has nothing left; letters that are left make a version older."""
    if not a and not b:
        return 0
    if a:
        return -1 if a[0].isalpha() else 1
    return 1 if b[0].isalpha() else -1


def _apk(version: str) -> list[tuple[Any, ...]]:
    """Source of the rules: apk's own tests; a part that it would refuse ends it."""
    match = _APK.fullmatch(version)
    if match is None:
        return [(_APK_BAD,)]
    first, numbers, letter, suffixes, _, _, commit, revision, rest = match.groups()
    found: list[tuple[Any, ...]] = [(_APK_NUMBER, int(first))]
    found += [(_APK_NUMBER, *_apk_number(n)) for n in numbers.split(".")[1:]]
    if letter:
        found.append((_APK_LETTER, letter))
    for name, count in _APK_SUFFIX.findall(suffixes):
        place = _APK_SUFFIXES.index(name)
        found.append((_APK_OLDER if place < _APK_BEFORE else _APK_NEWER, place))
        if count:
            found.append((_APK_COUNT, int(count)))
    if commit:
        found.append((_APK_HASH, commit))
    if revision:
        found.append((_APK_REVISION, int(revision)))
    return [*found, (_APK_BAD if rest else _APK_END,)]


def _apk_number(digits: str) -> tuple[int, str | int]:
    """Numbers with zeros in front are decimal places: 1.05 is older than 1.1."""
    return (0, digits) if digits.startswith("0") else (1, int(digits))


_KEYS: dict[str, Callable[[str], Any]] = {
    "dpkg": _dpkg,
    "rpm": _rpm,
    "pacman": functools.cmp_to_key(_pacman),
    "apk": _apk,
}
