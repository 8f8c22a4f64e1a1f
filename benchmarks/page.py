"""Writes the page of the benchmarks from the figures that are kept: ``python -m benchmarks.page``.

Measures nothing.
"""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks import _plots as plots
from benchmarks._remarks import remark
from benchmarks._results import LATEST, Run, latest
from benchmarks._summary import is_first, measured, rows_for_users
from benchmarks._words import GPU, HEAD, REST, SWEEP

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "reference" / "benchmarks.md"
PICTURES = DOCS / "assets" / "benchmarks"


def page(run: Run) -> str:
    """Return the page of a run."""
    scripts = run["scripts"]
    rows = swept(run)
    parts = [HEAD, _summary(run), *_pictures(rows, first=True), REST]
    parts += [_machines(scripts), _runs(scripts), _misses(scripts)]
    for name, entry in scripts.items():
        if name != "sweep" and entry["rows"]:
            parts.append(f"## {entry['title']}\n\n{_table(entry['rows'])}")
    parts.append(GPU)
    if rows:
        parts.append(_sweep(rows))
    return "\n".join(parts)


def _summary(run: Run) -> str:
    """Return the first table, with the date and the machine of its figures."""
    shown = [row for _, row in rows_for_users(run)]
    return f"## What a user waits for\n\n{_table(shown)}\n{measured(run)}\n" if shown else ""


def _pictures(rows: list[dict[str, Any]], *, first: bool) -> list[str]:
    """Return the plots of the top of the page, or the others."""
    return [
        f"![{plots.alternative(plot, drawn, _unit(plot.task, rows))}]"
        f"(../assets/benchmarks/{plot.name}.svg)\n"
        for plot in plots.PLOTS
        if is_first(plot) is first and (drawn := plots.lines(plot, rows))
    ]


def swept(run: Run) -> list[dict[str, Any]]:
    """Return the rows of the sweep; none where it was not run."""
    rows: list[dict[str, Any]] = run["scripts"].get("sweep", {}).get("rows", [])
    return rows


def _machines(scripts: dict[str, Any]) -> str:
    """Return what each machine is, with the versions on it, and what was measured there."""
    parts = ["## The machines\n" if len(_places(scripts)) > 1 else "## The machine\n"]
    for place, names in _places(scripts).items():
        lines = "\n".join(f"| {name} | {value} |" for name, value in place)
        parts.append(f"Of {', '.join(names)}:\n\n| | |\n|---|---|\n{lines}\n")
    return "\n".join(parts)


def _places(scripts: dict[str, Any]) -> dict[tuple[tuple[str, str], ...], list[str]]:
    places: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for name, entry in scripts.items():
        place = (*entry["machine"].items(), *entry["versions"].items())
        places.setdefault(place, []).append(name)
    return places


def _runs(scripts: dict[str, Any]) -> str:
    lines = []
    for name, entry in scripts.items():
        over = f", over its {entry['budget']} s" if entry["seconds"] > entry["budget"] else ""
        before, after = entry["load"]
        lines.append(
            f"| {name} | {entry['outcome']} | {entry['date']} | {entry['machine']['processor']} | "
            f"{entry['seconds']} s{over} | {before}, {after} |"
        )
    head = "| benchmark | outcome | date (UTC) | processor | took | load before, after |"
    return "## What was run\n\n" + "\n".join([head, "|---|---|---|---|---|---|", *lines]) + "\n"


def _misses(scripts: dict[str, Any]) -> str:
    judged = [
        (name, row) for name, entry in scripts.items() for row in entry["rows"] if row["verdict"]
    ]
    missed = [(name, row) for name, row in judged if row["verdict"] == "MISSED"]
    counted = f"{len(judged) - len(missed)} of {len(judged)} ratios keep their limit."
    if not missed:
        return f"## Where we miss\n\n{counted}\n"
    lines = [
        f"| {name} | {row['work']} | {row['peer']} | {row['ratio']:.2f} | {row['limit']:.3g} | "
        f"{remark(name, row)} |"
        for name, row in missed
    ]
    head = "| benchmark | work | against | ratio | limit | why |\n|---|---|---|---|---|---|"
    return f"## Where we miss\n\n{counted} The others:\n\n" + "\n".join([head, *lines]) + "\n"


def _table(rows: list[dict[str, Any]]) -> str:
    counted = any(row.get("repeats") for row in rows)
    names = ["work", "ours", "theirs", "against", "ratio", "limit", *["runs"] * counted]
    lines = [names, ["---"] * len(names)]
    for row in rows:
        missed = " *missed*" if row["verdict"] == "MISSED" else ""
        cells = [
            row["work"],
            _figure(row["ours"], row["unit"]),
            _figure(row["theirs"], row["unit"]),
            row["peer"],
            "" if row["ratio"] is None else f"{_number(row['ratio'])}{missed}",
            "" if row["limit"] is None else f"{row['limit']:.3g}",
        ]
        lines.append([*cells, *[str(row.get("repeats") or "")] * counted])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _figure(value: float | None, unit: str) -> str:
    return "" if value is None else f"{_number(value)} {unit}".rstrip()


def _number(value: float) -> str:
    """Three digits that count, never as a power of ten."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _sweep(rows: list[dict[str, Any]]) -> str:
    parts = [SWEEP, *_pictures(rows, first=False)]
    tasks = dict.fromkeys(row["about"]["task"] for row in rows)
    parts += [_task(task, [row for row in rows if row["about"]["task"] == task]) for task in tasks]
    return "\n".join(parts)


def _unit(task: str, rows: list[dict[str, Any]]) -> str:
    return str(next(row["unit"] for row in rows if row["about"]["task"] == task))


def _task(task: str, rows: list[dict[str, Any]]) -> str:
    """One line a cell: ours, and the ratio to the peer and to each limit."""
    peers = set(plots.STYLES) - {"FAISS, raw", "scikit-learn"}
    limits = [side for side in dict.fromkeys(row["peer"] for row in rows) if side in peers]
    rows = sorted(rows, key=_cell)
    lines = []
    for (backend, dimension, count), cells in groupby(rows, key=_cell):
        found = {row["peer"]: row for row in cells}
        first = next(iter(found.values()))
        rival = [row for side, row in found.items() if side not in limits]
        ratios = [f"{_number(row['ratio'])} ({row['peer']})" for row in rival] or [""]
        ratios += [_number(found[side]["ratio"]) for side in limits]
        lines.append(
            f"| {backend} | {count:,} x {dimension} | {_figure(first['ours'], first['unit'])} | "
            f"{' | '.join(ratios)} | {first['repeats']} |"
        )
    head = f"| backend | size | ours | ratio to the peer | {' | '.join(limits)} | runs |"
    rule = "|---" * (5 + len(limits)) + "|"
    return "\n".join([f"### {task[0].upper()}{task[1:]}\n", head, rule, *lines]) + "\n"


def _cell(row: dict[str, Any]) -> tuple[str, int, int]:
    about = row["about"]
    return about["backend"], about["dimension"], about["count"]


def write(run: Run) -> None:
    """Write the page and its pictures; remove pictures that it no longer shows."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for old in PICTURES.glob("*.svg"):
        old.unlink()
    rows = swept(run)
    for plot in plots.PLOTS:
        if drawn := plots.lines(plot, rows):
            plots.draw(plot, drawn, _unit(plot.task, rows), PICTURES / f"{plot.name}.svg")
    PAGE.write_text(page(run), encoding="utf-8")


if __name__ == "__main__":
    if not LATEST.exists():
        sys.exit(f"there are no figures at {LATEST}: run make bench")
    write(latest())
