"""The panel: a table of the dataset's similarity indexes, and what can be done with each."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from vecbridge.fiftyone.plugin import _jobs as jobs
from vecbridge.fiftyone.plugin._runs import Health, Run, examine, similarity_runs

_COLUMNS = (
    ("key", "Brain key"),
    ("health", "Health"),
    ("store", "Store"),
    ("records", "Records"),
    ("dimension", "Dim."),
    ("metric", "Metric"),
)
"""Columns of the first table; it has room for no more."""

_STORE_COLUMNS = (
    ("key", "Brain key"),
    ("where", "Where it lives"),
    ("collection", "Collection"),
    ("lag", "Read lag"),
    ("conformance", "Conformance"),
)
"""Columns of the second table, of where each index lives."""

_LONG = {"key", "where", "collection"}
"""Columns whose values may break anywhere, so that no table is wider than the panel."""

_UNKNOWN = "–"
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
_ACTIONS = (
    ("sync", "Sync with the dataset", "sync"),
    ("verify", "Verify against another", "rule"),
    ("copy", "Copy to another store", "content_copy"),
    ("switch", "Switch store", "swap_horiz"),
    ("examine", "Examine the store", "troubleshoot"),
    ("drop", "Drop the index", "delete"),
)


class SimilarityIndexesPanel(foo.Panel):  # type: ignore[misc]
    """The store and the health of each brain key's index, and actions on it."""

    @property
    def config(self) -> foo.PanelConfig:
        """The description by which FiftyOne lists the panel."""
        return foo.PanelConfig(
            name="similarity_indexes",
            label="Similarity indexes",
            icon="hub",
            help_markdown="The store and the health of each similarity index of the dataset. "
            "Create, sync, copy, switch, verify and drop indexes here.",
        )

    def refresh(self, ctx: Any) -> None:
        """Examine every index again."""
        if ctx.dataset is None:
            return
        ctx.dataset.reload()
        runs = similarity_runs(ctx.dataset)
        found = [
            _row(run, health, jobs.examined(ctx, run))
            for run, health in zip(runs, examine(ctx.dataset, runs), strict=True)
        ]
        ctx.panel.state.about = {
            "notes": _notes(found),
            "last": jobs.last_report(ctx),
            "keys": [row["key"] for row in found],
        }
        ctx.panel.state.indexes = _columns_of(found, _COLUMNS)
        ctx.panel.state.stores = _columns_of(found, _STORE_COLUMNS)

    on_load = on_change_dataset = refresh

    def dismiss(self, ctx: Any) -> None:
        """Forget the report of the last job."""
        jobs.forget_last(ctx)
        self.refresh(ctx)

    def verify(self, ctx: Any) -> None:
        """Ask what to compare with."""
        self._prompt(ctx, "verify_indexes")

    def sync(self, ctx: Any) -> None:
        """Ask whether to sync, or to show the plan."""
        self._prompt(ctx, "sync_index")

    def copy(self, ctx: Any) -> None:
        """Ask where to copy to."""
        self._prompt(ctx, "copy_index")

    def switch(self, ctx: Any) -> None:
        """Ask where to switch to."""
        self._prompt(ctx, "switch_store")

    def examine(self, ctx: Any) -> None:
        """Ask whether the store may be written to."""
        self._prompt(ctx, "examine_store")

    def drop(self, ctx: Any) -> None:
        """Ask what is to stay."""
        self._prompt(ctx, "drop_index")

    def create(self, ctx: Any) -> None:
        """Ask for what a new index is made of."""
        self._prompt(ctx, "create_index")

    def render(self, ctx: Any) -> types.Property:
        """Return the panel as it is now."""
        panel = types.Object()
        about = ctx.panel.state.get("about") or {}
        panel.md(_heading(about.get("keys")), name="heading")
        if about.get("keys"):
            panel.list("indexes", types.Object(), view=self._indexes())
        buttons = panel.h_stack("buttons", gap=1)
        buttons.btn("create", label="New index", icon="add", on_click=self.create)
        buttons.btn("refresh", label="Refresh", icon="refresh", on_click=self.refresh)
        if (last := about.get("last")) is not None:
            panel.view("last", types.AlertView(severity=last["severity"], label=last["title"]))
            panel.md(last["text"], name="last_text")
            panel.btn("dismiss", label="Got it", on_click=self.dismiss)
        for number, note in enumerate(about.get("notes") or []):
            panel.view(
                f"note_{number}",
                types.AlertView(
                    severity=note["severity"], label=note["title"], description=note["text"]
                ),
            )
        if about.get("keys"):
            panel.list("stores", types.Object(), view=_table(_STORE_COLUMNS))
        return types.Property(
            panel,
            view=types.GridView(
                gap=2,
                orientation="vertical",
                # As wide as the panel, and not as the widest table in it.
                componentsProps={
                    "grid": {"sx": {"gridTemplateColumns": "minmax(0, 1fr)"}},
                    "container": {"sx": {"p": 2}},
                },
            ),
        )

    def _indexes(self) -> types.TableView:
        table = _table(_COLUMNS)
        for name, label, icon in _ACTIONS:
            table.add_row_action(name, on_click=getattr(self, name), label=label, icon=icon)
        return table

    def _prompt(self, ctx: Any, operator: str) -> None:
        keys = (ctx.panel.state.get("about") or {}).get("keys") or []
        row = ctx.params.get("row")
        params = {"key": keys[row]} if isinstance(row, int) and row < len(keys) else {}
        name = f"{self.plugin_name}/{operator}"
        ctx.prompt(name, params=params, on_success=self.refresh, on_error=self.refresh)


def _notes(found: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return what is wrong and what to do about it, once for all rows with the same advice."""
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
    """Return the texts of the columns of a run, and ``state`` and ``advice``."""
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


def _short_lag(lag: str | None) -> str:
    return _UNKNOWN if lag is None else lag.rpartition(": ")[2].partition(",")[0]


def _short_verdict(verdict: str | None) -> str:
    if verdict is None:
        return _UNKNOWN
    if verdict.startswith("conforms"):
        return "✓ smoke layer"
    return "✗ fails" if verdict.startswith("does NOT") else "not checked"


def _table(columns: tuple[tuple[str, str], ...]) -> types.TableView:
    broken = [number for number, (name, _) in enumerate(columns, 1) if name in _LONG]
    cells = ", ".join(f"& tbody td:nth-of-type({number})" for number in broken)
    breaking = {"minWidth": "12rem", "overflowWrap": "anywhere"}
    table = types.TableView(componentsProps={"table": {"sx": {cells: breaking}}})
    for name, label in columns:
        table.add_column(name, label=label)
    return table


def _columns_of(
    found: list[dict[str, str]], columns: tuple[tuple[str, str], ...]
) -> list[dict[str, str]]:
    return [{name: row[name] for name, _ in columns} for row in found]


def _heading(keys: list[str] | None) -> str:
    if keys is None:
        return "Looking at the stores…"
    if not keys:
        return (
            "This dataset has no similarity index yet. Create one here, or with "
            '`fob.compute_similarity(dataset, metric="cosine", brain_key=...)`, then refresh.'
        )
    counted = "1 similarity index" if len(keys) == 1 else f"{len(keys)} similarity indexes"
    return f"**{counted}** in this dataset, and the stores they live in"
