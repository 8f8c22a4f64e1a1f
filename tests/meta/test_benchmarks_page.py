"""The page of the benchmarks shows the figures that are kept."""

from __future__ import annotations

import html

from benchmarks import _plots as plots
from benchmarks import page
from benchmarks._results import latest


def test_the_page_is_made_of_the_last_run() -> None:
    written = page.PAGE.read_text(encoding="utf-8")

    assert written == page.page(latest()), "run: python -m benchmarks.page"


def test_every_picture_is_of_the_last_run() -> None:
    rows = page.swept(latest())
    drawn = {plot: plots.lines(plot, rows) for plot in plots.PLOTS}
    shown = {plot.name: (plot, line) for plot, line in drawn.items() if line}

    assert {path.stem for path in page.PICTURES.glob("*.svg")} == set(shown)
    for name, (plot, line) in shown.items():
        picture = html.unescape((page.PICTURES / f"{name}.svg").read_text(encoding="utf-8"))
        unit = next(row["unit"] for row in rows if row["about"]["task"] == plot.task)
        assert plots.alternative(plot, line, unit) in picture
