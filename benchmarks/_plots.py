"""Plots of the sweep: cost against size and dimension, both logarithmic, as SVG.

The colours stand on a light page and on a dark one, and the background is the page's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

GREY = "#808a94"
STYLES = {
    "vecbridge, FAISS": ("#1f83d6", "o", "-"),
    "vecbridge, sklearn": ("#e0701a", "s", "-"),
    "FAISS, raw": ("#1f83d6", "o", ":"),
    "scikit-learn": ("#e0701a", "s", ":"),
    "BLAS product": (GREY, "^", "--"),
    "reading the bytes": (GREY, "v", "-."),
    "writing the bytes": (GREY, "^", "--"),
    "reading the file": (GREY, "v", "-."),
    "the vectors": (GREY, "^", "--"),
}
"""Colour, marker and line of each side: ours solid, peers dotted, limits grey."""
NAMES = {"faiss": "vecbridge, FAISS", "sklearn": "vecbridge, sklearn"}


@dataclass(frozen=True)
class Plot:
    """One picture.

    Attributes:
        name: of its file.
        task: of the sweep.
        along: what varies, ``count`` or ``dimension``.
        fixed: the value of the other.
    """

    name: str
    task: str
    along: str
    fixed: int

    @property
    def title(self) -> str:
        """What is shown."""
        rest = f"{self.fixed} dimensions" if self.along == "count" else f"{self.fixed:,} records"
        return f"{self.task}, {rest}"


PLOTS = (
    Plot("one-query-by-size", "one query, k=10", "count", 64),
    Plot("one-query-by-dimension", "one query, k=10", "dimension", 100_000),
    Plot("hundred-queries-by-size", "100 queries, k=10", "count", 64),
    Plot("hundred-queries-by-dimension", "100 queries, k=10", "dimension", 100_000),
    Plot("deep-by-size", "one query, k=10000", "count", 64),
    Plot("one-percent-by-size", "one query within 1 %", "count", 64),
    Plot("ingest-by-size", "ingest", "count", 64),
    Plot("open-by-size", "open and ask once", "count", 64),
    Plot("memory-by-size", "memory of an open index", "count", 64),
)
"""Every plot of the sweep."""
FIRST = ("one-query-by-size", "hundred-queries-by-size", "ingest-by-size")
"""What a user waits for most: at the top of the page."""
Lines = dict[str, dict[int, float]]


def lines(plot: Plot, rows: list[dict[str, Any]]) -> Lines:
    """Each side's figures by what varies. Where two cells measured one side, the lower counts."""
    other = "dimension" if plot.along == "count" else "count"
    found: Lines = {name: {} for name in STYLES}
    for row in rows:
        about = row["about"]
        if about.get("task") != plot.task or about[other] != plot.fixed:
            continue
        for name, figure in ((NAMES[about["backend"]], row["ours"]), (row["peer"], row["theirs"])):
            line, at = found[name], about[plot.along]
            line[at] = min(figure, line.get(at, figure))
    return {name: dict(sorted(line.items())) for name, line in found.items() if line}


def alternative(plot: Plot, drawn: Lines, unit: str) -> str:
    """Return what the picture says, for readers who cannot see it."""
    words = "records" if plot.along == "count" else "dimensions"
    each = []
    for name, line in drawn.items():
        first, last = min(line), max(line)
        each.append(
            f"{name} {line[first]:.3g} {unit} at {first:,} and {line[last]:.3g} at {last:,}"
        )
    return f"{plot.title}, against the number of {words}, log-log: {'; '.join(each)}."


def draw(plot: Plot, drawn: Lines, unit: str, path: Path) -> None:
    """Write the picture."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings = {
        "svg.fonttype": "none",
        "svg.hashsalt": plot.name,
        "font.family": "sans-serif",
        "font.size": 10,
        **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor"), GREY),
        **dict.fromkeys(("xtick.color", "ytick.color"), GREY),
    }
    with rc_context(settings):
        figure = Figure(figsize=(7.2, 4.2), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        for name, line in drawn.items():
            colour, marker, dashes = STYLES[name]
            axes.plot(
                list(line), list(line.values()), dashes, color=colour, marker=marker, label=name
            )
        axes.set(xscale="log", yscale="log", ylabel=unit, title=plot.title)
        axes.set_xlabel("records" if plot.along == "count" else "dimensions")
        ticks = sorted({at for line in drawn.values() for at in line})
        axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axes.minorticks_off()
        axes.grid(color=GREY, alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
        description = alternative(plot, drawn, unit)
        figure.savefig(
            path,
            format="svg",
            transparent=True,
            metadata={"Date": None, "Title": plot.title, "Description": description},
        )
