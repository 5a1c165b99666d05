"""First contact: a machine whose state.json is absent, but not its deployments.

Records are made again from what lies there: the names of deployments, the refs of
objects.git, and each deployment's own release.toml. Floors come from the running one.
"""

import os
import re

from msgspec.structs import replace

from updater.core import release_toml
from updater.errors import OsupdateError
from updater.model import (
    RELEASE_TOML_PATH,
    DeploymentId,
    ObjectId,
    Record,
    State,
)
from updater.system.layout import Layout

_NAME = re.compile(r"([0-9]+)-([0-9a-f]{7})\.[0-9]+\Z")
_OID = re.compile(r"[0-9a-f]{40}\Z")


def adopt(layout: Layout, booted: DeploymentId | None) -> State:
    """The state of a machine that has forgotten it; empty when nothing is there."""
    names = _list(layout.deployments)
    commits = _list(os.path.join(layout.repository, "refs/osupdate"))
    records = []
    for name in sorted(names, key=lambda n: int(n.partition("-")[0]) if _is(n) else 0):
        match = _NAME.match(name)
        known = [c for c in commits if match and c.startswith(match[2])]
        if match and len(known) == 1 and _OID.match(known[0]):
            records.append(_record(layout, name, int(match[1]), ObjectId(known[0])))
    running = [record for record in records if record.id == booted]
    return replace(
        State(),
        deployments=tuple(records),
        security_floor=max((r.security_floor for r in running), default=0),
        version_floor=max((r.number for r in running), default=0),
    )


def _record(layout: Layout, name: str, number: int, commit: ObjectId) -> Record:
    path = layout.deployment(DeploymentId(name))
    told = _release_toml(os.path.join(path, os.fsdecode(RELEASE_TOML_PATH)))
    version = told.version if told else commit[:7]
    found = os.lstat(path)
    tag = _ref(os.path.join(layout.repository, "refs/tags/release", version))
    return Record(
        id=DeploymentId(name),
        commit=commit,
        version=version,
        number=number,
        tag=tag,
        created=told.created if told else 0,
        staged_at=int(found.st_ctime),
        size=0,
        headline="",
        signed=tag is not None,
        security_floor=told.security_floor if told else 0,
        owners=found.st_uid == 0,
    )


def _release_toml(path: str) -> release_toml.ReleaseToml | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            return release_toml.parse(file.read(release_toml.MAX_SIZE))
    except (OSError, OsupdateError):
        return None


def _ref(path: str) -> ObjectId | None:
    try:
        with open(path, encoding="ascii") as file:
            text = file.read(64).strip()
    except (OSError, UnicodeDecodeError):
        return None
    return ObjectId(text) if _OID.match(text) else None


def _is(name: str) -> bool:
    return bool(_NAME.match(name))


def _list(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []
