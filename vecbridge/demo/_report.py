"""What the demo shows on the terminal, and the picture it leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from vecbridge.demo._picture import Tile, contact_sheet
from vecbridge.demo._stores import Outcome

_SHOWN = 5
_STYLE: dict[str, Any] = {"title_justify": "left", "box": box.SIMPLE_HEAD}


def show_neighbours(console: Console, outcome: Outcome, labels: Mapping[str, str]) -> None:
    """Print the nearest neighbours of each query, wrong labels in red."""
    table = Table(title="The nearest digits: label, cosine distance", **_STYLE)
    table.add_column("query", style="bold blue", justify="center")
    for place in range(1, _SHOWN + 1):
        table.add_column(str(place), justify="right", no_wrap=True)
    for query, *found in outcome.neighbours:
        wanted = labels[query[0]]
        cells = [_cell(labels[name], distance, wanted) for name, distance in found[:_SHOWN]]
        table.add_row(wanted, *cells)
    console.print(table)


def show_comparison(
    console: Console, outcomes: Sequence[Outcome], precision: Mapping[str, float]
) -> bool:
    """Print stores side by side; return whether their rankings are identical."""
    reference = outcomes[0]
    table = Table(
        title=f"One ranking on {len(outcomes)} stores: ids, order and distances to the last bit",
        **_STYLE,
    )
    table.add_column("store", no_wrap=True)
    for head in ("build", "1 query", "all 1797", "1-NN"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("ranking", no_wrap=True)
    same = [outcome.same_ranking(reference) for outcome in outcomes]
    for outcome, identical in zip(outcomes, same, strict=True):
        seconds = outcome.seconds
        verdict = "[green]identical[/]" if identical else "[bold red]DIFFERENT[/]"
        table.add_row(
            outcome.choice.title,
            f"{seconds['build']:.2f} s",
            f"{1000 * seconds['query']:.0f} ms",
            f"{seconds['batch']:.2f} s",
            f"{100 * precision[outcome.choice.brain_key]:.2f} %",
            "the first" if outcome is reference else verdict,
        )
    console.print(table)
    return all(same)


def draw(
    outcome: Outcome, labels: Mapping[str, str], paths: Mapping[str, str], target: Path
) -> Path:
    """Draw the contact sheet of one store's answers."""
    rows = []
    for (query, _), *found in outcome.neighbours:
        tiles = [
            Tile(Path(paths[name]), labels[name], f"{distance:.4f}", labels[name] != labels[query])
            for name, distance in found
        ]
        rows.append((Tile(Path(paths[query]), f"query: {labels[query]}", ""), tiles))
    return contact_sheet(
        "The nearest of 1797 handwritten digits",
        "Cosine distance under each; a red frame marks a wrong label. "
        "The same picture from every store.",
        rows,
        target,
    )


def first_neighbour_precision(
    outcome: Outcome, ids: Sequence[str], labels: Mapping[str, str]
) -> float:
    """Return the share of all samples whose nearest other sample has their label."""
    right = 0
    for query, hits in zip(ids, outcome.rankings, strict=True):
        nearest = next(name for name in hits.ids if name != query)
        right += labels[nearest] == labels[query]
    return right / len(ids)


def _cell(label: str, distance: float, wanted: str) -> str:
    text = f"{label}  [dim]{distance:.5f}[/]"
    return text if label == wanted else f"[red]{text}[/]"
