"""The top of the page: what a user waits for, in one table and three plots."""

from __future__ import annotations

from typing import Any

from benchmarks import _plots as plots
from benchmarks._results import Run

_TASKS = ("ingest", "one query, k=10", "100 queries, k=10")
_DEEP = "k=100"
"""Of the stores, the table shows the first page of hits; the rest is in their own section."""


def rows_for_users(run: Run) -> list[tuple[str, dict[str, Any]]]:
    """Return the rows of the first table, each with the script that measured it.

    Every store beside its own client, and the growth of the two local engines at the largest size
    that both reached.
    """
    stores = run["scripts"].get("stores", {}).get("rows", [])
    found = [("stores", row) for row in stores if _DEEP not in row["work"]]
    sweep = [row for row in run["scripts"].get("sweep", {}).get("rows", []) if _is_peer(row)]
    for backend in dict.fromkeys(row["about"]["backend"] for row in sweep):
        own = [row for row in sweep if row["about"]["backend"] == backend]
        size = max((row["about"]["count"], -row["about"]["dimension"]) for row in own)
        found += [
            ("sweep", row)
            for row in own
            if (row["about"]["count"], -row["about"]["dimension"]) == size
            and row["about"]["task"] in _TASKS
        ]
    return found


def measured(run: Run) -> str:
    """Return a sentence per script of the table: what it measured, when and where."""
    names = dict.fromkeys(name for name, _ in rows_for_users(run))
    entries = [run["scripts"][name] for name in names]
    return "\n".join(
        f"- {entry['title']}: {entry['date']} UTC, {entry['machine']['processor']}, "
        f"{entry['machine']['cores']} cores, vecbridge {entry['versions']['vecbridge']}."
        for entry in entries
    )


def is_first(plot: plots.Plot) -> bool:
    """Return whether a plot stands at the top of the page."""
    return plot.name in plots.FIRST


def _is_peer(row: dict[str, Any]) -> bool:
    return row["peer"] in {"FAISS, raw", "scikit-learn"}
