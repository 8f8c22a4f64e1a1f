"""The panel: a table of the dataset's similarity indexes, and what can be done with each."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from vecbridge.fiftyone.plugin import _kept as kept
from vecbridge.fiftyone.plugin._folder import NAME
from vecbridge.fiftyone.plugin._rows import COLUMNS, LONG, STORE_COLUMNS, notes, rows

_ACTIONS = (
    ("verify", "Verify against another", "rule"),
    ("copy", "Copy to another store", "content_copy"),
    ("switch", "Switch store", "swap_horiz"),
    ("examine", "Examine the store", "troubleshoot"),
)


class SimilarityIndexesPanel(foo.Panel):  # type: ignore[misc]
    """Which store each brain key lives in, and how it is."""

    @property
    def config(self) -> foo.PanelConfig:
        """How FiftyOne lists it."""
        return foo.PanelConfig(
            name="similarity_indexes",
            label="Similarity indexes",
            icon="hub",
            help_markdown="Which store each similarity index of the dataset lives in, and how it "
            "is. Copy, switch and verify run from here.",
        )

    def on_load(self, ctx: Any) -> None:
        """Looks at every index."""
        self.refresh(ctx)

    def on_change_dataset(self, ctx: Any) -> None:
        """Looks at those of the other dataset."""
        self.refresh(ctx)

    def refresh(self, ctx: Any) -> None:
        """Looks again."""
        if ctx.dataset is None:
            return
        ctx.dataset.reload()
        found = rows(ctx)
        told = kept.last(ctx)
        ctx.panel.state.about = {
            "notes": notes(found),
            "last": None if told is None else told.kept(),
            "keys": [row["key"] for row in found],
        }
        ctx.panel.state.indexes = _shown(found, COLUMNS)
        ctx.panel.state.stores = _shown(found, STORE_COLUMNS)

    def dismiss(self, ctx: Any) -> None:
        """Forgets what was done last."""
        kept.forget_last(ctx)
        self.refresh(ctx)

    def verify(self, ctx: Any) -> None:
        """Asks what to compare with."""
        self._prompt(ctx, "verify_indexes")

    def copy(self, ctx: Any) -> None:
        """Asks where to copy to."""
        self._prompt(ctx, "copy_index")

    def switch(self, ctx: Any) -> None:
        """Asks where to switch to."""
        self._prompt(ctx, "switch_store")

    def examine(self, ctx: Any) -> None:
        """Asks whether the store may be written to."""
        self._prompt(ctx, "examine_store")

    def render(self, ctx: Any) -> types.Property:
        """The panel as it is now."""
        panel = types.Object()
        about = ctx.panel.state.get("about") or {}
        panel.md(_heading(about.get("keys")), name="heading")
        if about.get("keys"):
            panel.list("indexes", types.Object(), view=self._indexes())
        panel.btn("refresh", label="Refresh", icon="refresh", on_click=self.refresh)
        self._tell_last(panel, about.get("last"))
        for number, note in enumerate(about.get("notes") or []):
            panel.view(
                f"note_{number}",
                types.AlertView(
                    severity=note["severity"], label=note["title"], description=note["text"]
                ),
            )
        if about.get("keys"):
            panel.list("stores", types.Object(), view=_table(STORE_COLUMNS))
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
        table = _table(COLUMNS)
        for name, label, icon in _ACTIONS:
            table.add_row_action(name, on_click=getattr(self, name), label=label, icon=icon)
        return table

    def _tell_last(self, panel: types.Object, told: dict[str, str] | None) -> None:
        if told is None:
            return
        panel.view("last", types.AlertView(severity=told["severity"], label=told["title"]))
        panel.md(told["text"], name="last_text")
        panel.btn("dismiss", label="Got it", on_click=self.dismiss)

    def _prompt(self, ctx: Any, operator: str) -> None:
        keys = (ctx.panel.state.get("about") or {}).get("keys") or []
        row = ctx.params.get("row")
        params = {"key": keys[row]} if isinstance(row, int) and row < len(keys) else {}
        ctx.prompt(
            f"{NAME}/{operator}", params=params, on_success=self.refresh, on_error=self.refresh
        )


def _table(columns: tuple[tuple[str, str], ...]) -> types.TableView:
    broken = [number for number, (name, _) in enumerate(columns, 1) if name in LONG]
    cells = ", ".join(f"& tbody td:nth-of-type({number})" for number in broken)
    breaking = {"minWidth": "12rem", "overflowWrap": "anywhere"}
    table = types.TableView(componentsProps={"table": {"sx": {cells: breaking}}})
    for name, label in columns:
        table.add_column(name, label=label)
    return table


def _shown(
    found: list[dict[str, str]], columns: tuple[tuple[str, str], ...]
) -> list[dict[str, str]]:
    return [{name: row[name] for name, _ in columns} for row in found]


def _heading(keys: list[str] | None) -> str:
    if keys is None:
        return "Looking at the stores…"
    if not keys:
        return (
            "This dataset has no similarity index yet. Make one with "
            '`fob.compute_similarity(dataset, metric="cosine", brain_key=...)`, then refresh.'
        )
    counted = "1 similarity index" if len(keys) == 1 else f"{len(keys)} similarity indexes"
    return f"**{counted}** in this dataset, and the stores they live in"
