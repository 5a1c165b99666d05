"""provenance.json: which file of the recipe a path of a release comes from.

An object, path -> file or directory of the recipe, for what no package owns. A path
that is a directory stands for everything below it.
"""

import json
import re
from collections.abc import Iterable, Mapping

from msgspec import Struct

from updater.core.text import plural, safe, show_path
from updater.errors import RefusedError

MAX_SIZE = 16 << 20  # bytes
_NAMED = 20
_COMMIT = re.compile(r"(.+?)[#@ ]([0-9a-f]{7,64})\Z")


class Recipe(Struct, frozen=True):
    """Where the recipe of a release lies; `commit` is "" when it was not told."""

    url: str
    commit: str


def parse(data: bytes) -> dict[bytes, str]:
    """Read provenance.json: path without its leading slash -> file of the recipe.

    Raises:
        RefusedError: not JSON, not an object of strings, or a path that cannot be.
    """
    if len(data) > MAX_SIZE:
        raise _bad(f"it has {len(data):,} bytes; at most {MAX_SIZE:,} are read")
    try:
        table = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _bad(f"it is not JSON: {safe(str(error), 200)}") from error
    if not isinstance(table, dict):
        raise _bad('expected an object, such as {"/etc/motd": "overlay/etc/motd"}')
    found = {}
    for path, file in table.items():
        if not path.startswith("/") or not _is_plain(path.strip("/")):
            raise _bad(f'"{safe(path, 200)}" is not a path from the root')
        if not isinstance(file, str) or not _is_plain(file.rstrip("/")):
            raise _bad(f"{safe(path, 200)}: expected a path in the recipe")
        found[path.strip("/").encode("utf-8", "surrogatepass")] = file
    return found


def _is_plain(path: str) -> bool:
    parts = path.split("/")
    return path.isprintable() and not any(part in ("", ".", "..") for part in parts)


def check(told: Mapping[bytes, str], paths: Iterable[bytes]) -> None:
    """Hold provenance to the release that it describes.

    Args:
        told: from `parse`.
        paths: every path of the release, directories too.

    Raises:
        RefusedError: some of its paths are not there.
    """
    missing = sorted(told.keys() - set(paths))
    if missing:
        named = "".join(f"\n  {show_path(path)}" for path in missing[:_NAMED])
        rest = len(missing) - _NAMED
        more = f"\n  ... and {rest:,} more" if rest > 0 else ""
        count = plural(len(missing), "path")
        raise _bad(f"{count} of it are not in the release:{named}{more}")


def write(told: Mapping[bytes, str]) -> bytes:
    """provenance.json, one path a line, sorted, so that a diff is a review."""
    rows = (
        f"{json.dumps(path.decode(), ensure_ascii=False)}: "
        f"{json.dumps(told[path], ensure_ascii=False)}"
        for path in sorted(told)
    )
    lines = ",\n".join(f'"/{row[1:]}' for row in rows)
    return f"{{\n{lines}\n}}\n".encode() if told else b"{}\n"


def find(told: Mapping[bytes, str], path: bytes) -> str | None:
    """The file of the recipe that a path comes from; the nearest directory counts."""
    if path in told:
        return told[path]
    parent, _, _ = path.rpartition(b"/")
    while parent:
        if parent in told:
            rest = path[len(parent) + 1 :].decode("utf-8", "replace")
            return f"{told[parent].rstrip('/')}/{rest}"
        parent = parent.rpartition(b"/")[0]
    return None


def recipe(source: str) -> Recipe | None:
    """`source` of release.toml: a URL, perhaps with #, @ or a space and its commit."""
    match = _COMMIT.match(source.strip())
    if match:
        return Recipe(match[1].strip(), match[2])
    return Recipe(source.strip(), "") if source.strip() else None


def _bad(reason: str) -> RefusedError:
    return RefusedError(f"provenance.json is refused: {reason}")
