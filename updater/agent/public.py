"""What people without privileges may know: public/ has it, because the rest is closed.

public/booted                       the id of the deployment that runs
public/place                        where deployments are, for when nobody else knows
public/diff/<old>..<new>.json       the report of an update that was taken
"""

import os
from collections.abc import Iterable

import msgspec
from msgspec import Struct

from updater.errors import RefusedError
from updater.model import DeploymentId, ObjectId
from updater.report.diff import Report
from updater.system import fs
from updater.system.layout import Layout


class Place(Struct, frozen=True):
    """`deploy.mode`, `deploy.path` and `boot.loader` as they were last acted upon."""

    mode: str
    path: str
    loader: str


def show_report(layout: Layout, report: Report) -> None:
    """Keep a report for `diff` without privileges."""
    if report.old is None:
        return
    path = _path(layout, report.old.commit, report.new.commit)
    fs.make_directories(os.path.dirname(path), 0o755)
    fs.write_durably(path, msgspec.json.encode(report))


def read_report(layout: Layout, old: ObjectId, new: ObjectId) -> Report:
    """The report that was kept when the update was taken.

    Raises:
        RefusedError: none was.
    """
    try:
        with open(_path(layout, old, new), "rb") as file:
            return msgspec.json.decode(file.read(), type=Report)
    except (OSError, msgspec.DecodeError) as error:
        raise RefusedError(
            "only root can compare these two: no report of them was kept for everybody",
            hint="sudo osupdate diff",
        ) from error


def forget_reports(layout: Layout, commits: Iterable[ObjectId]) -> None:
    """Delete the reports that are about any other release than these."""
    directory = os.path.join(layout.public, "diff")
    known = set(commits)
    for name in os.listdir(directory) if os.path.isdir(directory) else ():
        if not set(name.removesuffix(".json").split("..")) <= known:
            os.unlink(os.path.join(directory, name))


def show_booted(layout: Layout, booted: DeploymentId | None) -> None:
    """Let everybody know what runs; only a change is written."""
    if read_booted(layout) != booted:
        fs.write_durably(_booted(layout), f"{booted or ''}\n".encode())


def read_booted(layout: Layout) -> DeploymentId | None:
    """What runs, as last told."""
    try:
        with open(_booted(layout), encoding="ascii") as file:
            return DeploymentId(file.read().strip()) or None
    except (OSError, UnicodeDecodeError):
        return None


def show_place(layout: Layout, place: Place) -> None:
    """Remember where deployments are; only a change is written."""
    if read_place(layout) != place:
        fs.write_durably(_place(layout), msgspec.json.encode(place) + b"\n")


def read_place(layout: Layout) -> Place | None:
    """Where deployments were last time; None when that is not known."""
    try:
        with open(_place(layout), "rb") as file:
            place = msgspec.json.decode(file.read(), type=Place)
    except (OSError, msgspec.DecodeError):
        return None
    return place if place.path.startswith("/") else None


def _place(layout: Layout) -> str:
    return os.path.join(layout.public, "place")


def _booted(layout: Layout) -> str:
    return os.path.join(layout.public, "booted")


def _path(layout: Layout, old: ObjectId, new: ObjectId) -> str:
    return os.path.join(layout.public, "diff", f"{old}..{new}.json")
