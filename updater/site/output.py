"""The directory of a site: files replaced one by one, and none that is not ours.

`.osupdate-site` lists the pages with a digest of what each was made from. A page whose
digest is the same is not made again. The list is written before the first page, without
the digests of those that are about to change, and after the last: after a cut the next
run knows the directory, and makes again what it is not sure of.
"""

import contextlib
import fcntl
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import msgspec
from msgspec import Struct

from updater.errors import BusyError, HostError, OsupdateError, RefusedError
from updater.system import fs

MARKER = ".osupdate-site"
FORMAT = 1
_DIRECTORIES = ("releases", "compare")
_OURS = re.compile(r"index\.html|feed\.(atom|json)|(releases|compare)/[^/\0]+\.html")


class Page(Struct, frozen=True):
    """A file of the site. `digest` is of everything that `make` makes it from."""

    path: str
    digest: str
    make: Callable[[], bytes]


class Written(Struct, frozen=True):
    """How many pages were made, were as before, and are gone."""

    made: int
    kept: int
    removed: int


class _Marker(Struct, frozen=True, forbid_unknown_fields=True):
    format: int
    pages: dict[str, str]


def write(
    directory: str,
    pages: Sequence[Page],
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> Written:
    """Bring a directory up to date.

    Args:
        directory: missing, empty, or written by an earlier run.
        pages: all of them; what others lead to comes before what leads there.
        progress: called with how many are done, and of how many.

    Raises:
        RefusedError: the directory holds something else.
        BusyError: another run writes it.
        NoSpaceError, HostError: a page could not be written; the others are whole.
    """
    progress(0, len(pages))
    fs.make_directories(os.path.abspath(directory))
    with _alone(directory):
        before = _read(directory)
        for name in _DIRECTORIES:
            _require_own(os.path.join(directory, name))
        stale = {
            page.path for page in pages if not _is_current(page, before, directory)
        }
        if stale:
            _save(directory, before | dict.fromkeys(stale, ""))
        for done, page in enumerate(pages, 1):
            if page.path in stale:
                _replace(os.path.join(directory, page.path), page)
            progress(done, len(pages))
        gone = before.keys() - {page.path for page in pages}
        _remove(directory, gone)
        if stale or gone:
            _save(directory, {page.path: page.digest for page in pages})
    return Written(len(stale), len(pages) - len(stale), len(gone))


def _require_own(place: str) -> None:
    """Refuse a directory of ours that leads elsewhere, to somebody else's files.

    Raises:
        RefusedError.
    """
    if os.path.islink(place):
        raise RefusedError(
            f"{place} is a symlink, and site writes and deletes behind none",
            hint=f"If it is not needed: rm {place}",
        )


def _replace(place: str, page: Page) -> None:
    try:
        fs.make_directories(os.path.dirname(os.path.abspath(place)))
        _require_own(os.path.dirname(place))
        fs.write_durably(place, page.make())
    except OsupdateError as error:
        error.unchanged = "Every page is whole, old or new; the next run goes on."
        raise


def _is_current(page: Page, before: Mapping[str, str], directory: str) -> bool:
    place = os.path.join(directory, page.path)
    return before.get(page.path) == page.digest and os.path.isfile(place)


@contextmanager
def _alone(directory: str) -> Iterator[None]:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise BusyError(f"another osupdate site writes {directory} now") from error
    finally:
        os.close(fd)


def _read(directory: str) -> dict[str, str]:
    """The pages of the last run and their digests."""
    path = os.path.join(directory, MARKER)
    if not os.path.lexists(path):
        if others := os.listdir(directory):
            raise RefusedError(
                f"{directory} holds {others[0]!r}, and was not made by osupdate site",
                hint="Name a directory that is missing or empty.",
            )
        return {}
    try:
        with open(path, "rb") as file:
            marker = msgspec.json.decode(file.read(), type=_Marker)
    except (OSError, msgspec.DecodeError) as error:
        raise HostError(f"cannot read {path}: {error}") from error
    if marker.format != FORMAT:
        raise RefusedError(f"{path} has format {marker.format}; expected {FORMAT}")
    if strange := [name for name in marker.pages if not _OURS.fullmatch(name)]:
        raise RefusedError(f"{path} names {strange[0]!r}, which is no page of a site")
    return marker.pages


def _save(directory: str, pages: dict[str, str]) -> None:
    marker = _Marker(FORMAT, dict(sorted(pages.items())))
    data = msgspec.json.format(msgspec.json.encode(marker), indent=1) + b"\n"
    fs.write_durably(os.path.join(directory, MARKER), data)


def _remove(directory: str, paths: set[str]) -> None:
    root = os.open(directory, fs.DIRECTORY & ~os.O_NOFOLLOW)
    try:
        for path in sorted(paths):
            parent, _, name = os.fsencode(path).rpartition(b"/")
            with contextlib.suppress(FileNotFoundError):
                inside = fs.open_beneath(root, parent)
                try:
                    os.unlink(name, dir_fd=inside)
                finally:
                    os.close(inside)
    except OSError as error:
        raise fs.host_error(error, f"cannot delete old pages in {directory}") from error
    finally:
        os.close(root)
