"""Numbers for Prometheus, in its text format; airlock's names beside our own.

The names and meanings of airlock are in its docs/metrics.md: what watches an airlock
can watch this.
"""

from collections.abc import Iterable, Iterator, Mapping

from updater.core.fleet import Moment
from updater.lock.store import View

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Rows = list[tuple[dict[str, str], float]]


def metrics(
    view: View | None, counts: Mapping[tuple[str, str], int], moment: Moment
) -> str:
    """Everything; without a view, what needs the store is left out."""
    lines: list[str] = []
    for name, kind, text, rows in (*_of_requests(counts), *_of_groups(view, moment)):
        lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{_labels(labels)} {value:g}" for labels, value in rows]
    return "\n".join(lines) + "\n"


def _of_requests(
    counts: Mapping[tuple[str, str], int],
) -> Iterator[tuple[str, str, str, Rows]]:
    totals = {"pre_reboot": 0, "steady_state": 0}
    rows: Rows = []
    for (what, kind), count in sorted(counts.items()):
        if what in totals:
            totals[what] += count
            rows.append(({"api": what, "kind": kind}, count))
    yield "osupdate_lock_answers_total", "counter", "Answers to nodes.", rows
    refused: Rows = [
        ({"kind": kind}, count)
        for (what, kind), count in sorted(counts.items())
        if what == "refused"
    ]
    name = "osupdate_lock_refused_requests_total"
    yield name, "counter", "Requests that were not FleetLock, or not allowed.", refused
    errors: Rows = [({}, counts.get(("store", "errors"), 0))]
    yield (
        "osupdate_lock_store_errors_total",
        "counter",
        "Failures of the store.",
        errors,
    )
    for what, count in totals.items():
        name = f"airlock_v1_{what}_incoming_requests_total"
        yield (
            name,
            "counter",
            f"Requests to /v1/{what.replace('_', '-')}.",
            [({}, count)],
        )


def _of_groups(
    view: View | None, moment: Moment
) -> Iterator[tuple[str, str, str, Rows]]:
    up = view is not None
    yield "osupdate_lock_store_up", "gauge", "Whether the store answers.", [({}, up)]
    if view is None:
        return
    groups = view.groups.values()
    configured = [group for group in groups if group.configured is not None]
    yield (
        "airlock_config_groups",
        "gauge",
        "Groups in the configuration.",
        [({}, len(configured))],
    )
    tables: tuple[tuple[str, str, Iterable[tuple[str, float]]], ...] = (
        (
            "airlock_config_semaphore_slots",
            "Slots in the configuration.",
            [(g.name, g.configured.slots) for g in configured if g.configured],
        ),
        (
            "airlock_database_semaphore_slots",
            "Slots that count.",
            [(g.name, g.settings.slots) for g in groups],
        ),
        (
            "airlock_database_semaphore_lock_holders",
            "Nodes that hold the lock.",
            [(g.name, len(g.holders)) for g in groups],
        ),
        (
            "osupdate_lock_waiting",
            "Nodes that wait for the lock.",
            [(g.name, len(g.queue)) for g in groups],
        ),
        (
            "osupdate_lock_overdue",
            "Holders that are late.",
            [(g.name, sum(h.overdue for h in g.holders)) for g in groups],
        ),
        (
            "osupdate_lock_drained",
            "Whether a person stopped the group.",
            [(g.name, g.drain is not None) for g in groups],
        ),
        (
            "osupdate_lock_oldest_hold_seconds",
            "Age of the longest hold.",
            [
                (g.name, max((moment.now - h.since for h in g.holders), default=0))
                for g in groups
            ],
        ),
    )
    for name, text, values in tables:
        yield name, "gauge", text, [({"group": g}, value) for g, value in values]


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{pairs}}}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
