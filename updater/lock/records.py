"""The keys and values of the reboot lock in etcd.

The semaphore is airlock's, key and value (coreos/airlock, internal/lock): an airlock
server may use it at the same time. What airlock does not know has keys of its own.
"""

from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import quote_plus, unquote_plus

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from updater.core.fleet import Drain, Entry, Group, GroupSettings, Holder, Node
from updater.core.text import safe
from updater.core.waiting import EMPTY, Place
from updater.lock.etcd import KeyValue
from updater.lock.store import Line, StoreError

AIRLOCK = "com.coreos.airlock/groups/"
SEMAPHORE = "/v1/semaphore"
OURS = "org.osupdate.lock/"
NODES = f"{OURS}nodes/"
LOG = f"{OURS}log/"
FOREIGN = "locked by another server, which gave no reason"

RELEASED_BY_ANOTHER = "released by another server"
SET_BY_ANOTHER = "set by another server"

_Value = TypeVar("_Value")
_PER_KEY = 256  # entries at most in one key of the ledger


class Semaphore(Struct, frozen=True):
    """airlock's value; `holders` are sorted."""

    total_slots: int
    holders: list[str]


class Details(Struct, frozen=True):
    """What airlock does not know of a group."""

    settings: GroupSettings
    configured: GroupSettings | None = None
    drain: Drain | None = None
    holders: tuple[Holder, ...] = ()
    holds: tuple[int, ...] = ()


def semaphore_key(group: str) -> str:
    """Where airlock keeps a group."""
    return f"{AIRLOCK}{quote_plus(group, safe='')}{SEMAPHORE}"


def details_key(group: str) -> str:
    """Where the rest of it is."""
    return f"{OURS}groups/{quote_plus(group, safe='')}/details"


def queue_prefix(group: str) -> str:
    """Below it, a key for each place."""
    return f"{OURS}groups/{quote_plus(group, safe='')}/queue/"


def place_key(group: str, node: str) -> str:
    """The place of a node."""
    return queue_prefix(group) + quote_plus(node, safe="")


def node_key(group: str, node: str) -> str:
    """What is remembered of a node."""
    return f"{NODES}{quote_plus(group, safe='')}/{quote_plus(node, safe='')}"


def log_key(at: int, server: str, count: int) -> str:
    """A new key of the ledger; keys sort by time."""
    return f"{LOG}{at:012d}.{server}.{count:08d}"


def group_of(key: str) -> str:
    """The group that a semaphore's or node's key names."""
    if key.startswith(NODES):
        return unquote_plus(key.removeprefix(NODES).partition("/")[0])
    return unquote_plus(key.removeprefix(AIRLOCK).removesuffix(SEMAPHORE))


def encode(value: object) -> bytes:
    """A value as JSON."""
    return msgspec.json.encode(value)


def group_from(
    name: str, semaphore: KeyValue | None, details: KeyValue | None, now: int
) -> Group:
    """A group of its two keys; airlock's is the truth about slots and holders."""
    known = Details(GroupSettings())
    if details is not None:
        known = decoded(details, Details)
    if semaphore is None:
        settings = known.settings
        return Group(name, settings, known.configured, known.drain, holds=known.holds)
    truth = decoded(semaphore, Semaphore)
    told = {holder.id: holder for holder in known.holders}
    return Group(
        name=name,
        settings=replace(known.settings, slots=truth.total_slots),
        configured=known.configured,
        drain=known.drain,
        holders=tuple(
            told.get(one) or Holder(one, now, now, why=FOREIGN)
            for one in sorted(set(truth.holders))
        ),
        queue=EMPTY,
        holds=known.holds,
    )


def news(
    name: str, semaphore: KeyValue | None, details: KeyValue | None, now: int
) -> tuple[Entry, ...]:
    """What another server did to airlock's key since ours was written."""
    if semaphore is None or details is None:
        return ()
    truth, known = decoded(semaphore, Semaphore), decoded(details, Details)
    told = {holder.id: holder for holder in known.holders}
    entries = [
        Entry(now, "granted", name, one, reason=FOREIGN)
        for one in sorted(set(truth.holders) - set(told))
    ]
    entries += [
        Entry(now, "released", name, one, told[one].name, RELEASED_BY_ANOTHER)
        for one in sorted(set(told) - set(truth.holders))
    ]
    if truth.total_slots != known.settings.slots:
        text = f"{known.settings.slots} -> {truth.total_slots} slots: {SET_BY_ANOTHER}"
        entries.append(Entry(now, "slots", name, reason=text))
    return tuple(entries)


def semaphore_of(group: Group) -> Semaphore:
    """What airlock is told of a group."""
    return Semaphore(group.settings.slots, [holder.id for holder in group.holders])


def details_of(group: Group) -> Details:
    """What only we know of it."""
    return Details(
        group.settings, group.configured, group.drain, group.holders, group.holds
    )


def places_from(found: tuple[KeyValue, ...]) -> list[tuple[Place, int]]:
    """Places and their leases, in the order in which etcd made their keys."""
    decoded_places = [(one, decoded(one, Place)) for one in found]
    decoded_places.sort(key=lambda pair: (pair[0].created, pair[1].ticket, pair[1].id))
    return [
        (replace(place, ticket=number), one.lease)
        for number, (one, place) in enumerate(decoded_places, 1)
    ]


def nodes_from(found: tuple[KeyValue, ...]) -> Mapping[str, Mapping[str, Node]]:
    """Nodes by group and id."""
    nodes: dict[str, dict[str, Node]] = {}
    for one in found:
        node = decoded(one, Node)
        nodes.setdefault(group_of(one.key), {})[node.id] = node
    return nodes


def lines_from(found: tuple[KeyValue, ...]) -> list[Line]:
    """Entries of the ledger, in the order in which they came to be."""
    lines = [
        Line(one.created * _PER_KEY + number, entry)
        for one in found
        for number, entry in enumerate(decoded(one, list[Entry]))
    ]
    return sorted(lines, key=lambda line: line.seq)


def revision_of(seq: int) -> int:
    """The revision that made a line of the ledger."""
    return seq // _PER_KEY


def decoded(one: KeyValue, kind: type[_Value]) -> _Value:
    """A value, or what is wrong with it.

    Raises:
        StoreError.
    """
    try:
        return msgspec.json.decode(one.value, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoreError(
            f"etcd's key {safe(one.key, 200)} holds no value of this kind: "
            f"{safe(str(error), 200)}",
            unchanged="It was not changed.",
        ) from error
