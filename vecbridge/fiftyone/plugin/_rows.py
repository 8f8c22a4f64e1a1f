"""The rows of the panel's table, and what is to be said below it."""

from __future__ import annotations

from typing import Any

from vecbridge.fiftyone.plugin import _kept as kept
from vecbridge.fiftyone.plugin._health import Health, examine
from vecbridge.fiftyone.plugin._places import Run, similarity_runs

COLUMNS = (
    ("key", "Brain key"),
    ("health", "Health"),
    ("store", "Store"),
    ("records", "Records"),
    ("dimension", "Dim."),
    ("metric", "Metric"),
)
"""What the table shows of an index; it has room for no more."""

STORE_COLUMNS = (
    ("key", "Brain key"),
    ("where", "Where it lives"),
    ("collection", "Collection"),
    ("lag", "Read lag"),
    ("conformance", "Conformance"),
)
"""What a second table shows, of where it lives."""

LONG = {"key", "where", "collection"}
"""Columns whose values are broken anywhere rather than make a table wider than the panel."""

_UNKNOWN = "–"
_NOT_EXAMINED = "–"
_MARKS = {
    "healthy": "✓ healthy",
    "incomplete": "! incomplete",
    "missing": "✗ missing",
    "misconfigured": "✗ misconfigured",
    "unreachable": "✗ unreachable",
    "unknown": "? unknown",
    "FiftyOne's": "FiftyOne's own",
}
_SEVERITIES = {"incomplete": "warning", "unknown": "warning", "FiftyOne's": "info"}


def rows(ctx: Any) -> list[dict[str, str]]:
    """One row a similarity run; everything as it is shown, ``state`` and ``advice`` beside it."""
    runs = similarity_runs(ctx.dataset)
    return [
        _row(run, health, kept.examined(ctx, run.store, run.where))
        for run, health in zip(runs, examine(ctx.dataset, runs), strict=True)
    ]


def notes(found: list[dict[str, str]]) -> list[dict[str, str]]:
    """What is wrong and what to do about it, once for all the rows of which it is true."""
    alike: dict[tuple[str, str, str], list[str]] = {}
    for row in found:
        if row["advice"]:
            alike.setdefault((row["store"], row["state"], row["advice"]), []).append(row["key"])
    return [
        {
            "severity": _SEVERITIES.get(state, "error"),
            "title": f"{', '.join(keys)} ({store}): {state}",
            "text": advice,
        }
        for (store, state, advice), keys in alike.items()
    ]


def _row(run: Run, health: Health, found: dict[str, str]) -> dict[str, str]:
    return {
        "key": run.key,
        "store": run.store,
        "where": run.where or _UNKNOWN,
        "collection": run.collection or _UNKNOWN,
        "records": _UNKNOWN if health.records is None else f"{health.records:,}",
        "dimension": _UNKNOWN if health.dimension is None else str(health.dimension),
        "metric": str(getattr(run.config, "metric", None) or _UNKNOWN),
        "health": _MARKS[health.state],
        "lag": _short_lag(found.get("lag")),
        "conformance": _short_verdict(found.get("conformance")),
        "state": health.state,
        "advice": health.advice,
    }


def _short_lag(told: str | None) -> str:
    return _UNKNOWN if told is None else told.rpartition(": ")[2].partition(",")[0]


def _short_verdict(told: str | None) -> str:
    if told is None:
        return _UNKNOWN
    if told.startswith("conforms"):
        return "✓ smoke layer"
    return "✗ fails" if told.startswith("does NOT") else "not checked"
