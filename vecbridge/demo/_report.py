"""The demo's results: tables on the terminal, and a picture of the nearest neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from rich import box
from rich.console import Console
from rich.table import Table

from vecbridge.demo._stores import Outcome

_SHOWN = 5
_STYLE: dict[str, Any] = {"title_justify": "left", "box": box.SIMPLE_HEAD}
_TITLE = "The nearest of 1797 handwritten digits"
_SUBTITLE = (
    "Cosine distance under each; a red frame marks a wrong label. "
    "The same picture from every store."
)
_CELL = 96
_GAP = 14
_CAPTION = 34
_TOP = 74
_INK = "#202124"
_MUTED = "#5f6368"
_WRONG = "#d93025"
_QUERY = "#1a73e8"


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
    """Draw queries on the left and their neighbours in order, wrong labels framed: a PNG file."""
    rows = outcome.neighbours
    width = max(map(len, rows)) * (_CELL + _GAP) + 3 * _GAP
    height = _TOP + len(rows) * (_CELL + _CAPTION + _GAP) + _GAP
    sheet = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(sheet)
    pen.text((_GAP, 12), _TITLE, _INK, ImageFont.load_default(22))
    pen.text((_GAP, 44), _SUBTITLE, _MUTED, ImageFont.load_default(14))
    for number, ((query, _), *found) in enumerate(rows):
        wanted = labels[query]
        tiles = [(query, f"query: {wanted}", "", _QUERY)]
        tiles += [
            (name, labels[name], f"{distance:.4f}", "" if labels[name] == wanted else _WRONG)
            for name, distance in found
        ]
        for place, (name, label, caption, frame) in enumerate(tiles):
            left = (3 if place else 1) * _GAP + place * (_CELL + _GAP)
            top = _TOP + number * (_CELL + _CAPTION + _GAP)
            with Image.open(paths[name]) as picture:
                sheet.paste(picture.convert("RGB").resize((_CELL, _CELL)), (left, top))
            if frame:
                edges = (left - 4, top - 4, left + _CELL + 3, top + _CELL + 3)
                pen.rectangle(edges, None, frame, 4)
            bottom = top + _CELL + 5
            pen.text((left, bottom), label, frame or _INK, ImageFont.load_default(15))
            pen.text((left, bottom + 16), caption, _MUTED, ImageFont.load_default(12))
    target.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(target)
    return target


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
