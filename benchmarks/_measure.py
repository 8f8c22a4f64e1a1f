"""What the benchmarks share: timing, memory, tables, JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Row:
    """One measured ratio.

    Attributes:
        work: what was done.
        ours: our figure.
        theirs: the figure it is compared with; ``None`` where there was nothing to compare.
        peer: what that is of.
        unit: of both figures.
        limit: what ``ours / theirs`` should not exceed.
        repeats: how many times each side was run; the figures are medians. ``None``: not counted.
        about: what a plot needs to place it: engine, task, count, dimension.
    """

    work: str
    ours: float
    theirs: float | None
    peer: str
    unit: str = "ms"
    limit: float | None = None
    repeats: int | None = None
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """Ours over theirs."""
        return self.ours / self.theirs if self.theirs else None

    @property
    def verdict(self) -> str:
        """Whether the ratio keeps its limit."""
        if self.ratio is None or self.limit is None:
            return ""
        return "ok" if self.ratio <= self.limit else "MISSED"


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one run."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


Work = Callable[[], object]
_IN_A_ROW = 3


def medians(first: Work, second: Work, runs: int) -> tuple[float, float]:
    """Median seconds of two pieces of work."""
    ours, theirs = in_turn([first, second], runs)
    return statistics.median(ours), statistics.median(theirs)


def together(
    works: dict[str, Work], wanted_seconds: float, most: int = 41
) -> tuple[dict[str, float], int]:
    """Median seconds of several pieces of work, run in turn, and how often each was run.

    They are run at least three times, and then until ``wanted_seconds`` are used up.
    """
    start = time.perf_counter()
    taken: dict[str, list[float]] = {name: [] for name in works}
    runs = 0
    while runs < most and (not runs or time.perf_counter() - start < wanted_seconds):
        runs += _IN_A_ROW
        for name, work in works.items():
            taken[name] += _in_a_row(work)
    return {name: statistics.median(times) for name, times in taken.items()}, runs


def in_turn(works: Sequence[Work], runs: int) -> list[list[float]]:
    """Seconds of each piece of work, run in turn so that noise hits all alike."""
    rounds = [[_in_a_row(work) for work in works] for _ in range(0, runs, _IN_A_ROW)]
    return [[taken for times in column for taken in times] for column in zip(*rounds, strict=True)]


def _in_a_row(work: Work) -> list[float]:
    """Seconds of several runs after one that is not counted.

    The threads of one library go on spinning for a while after its work, on the cores that the
    next library's threads would have.
    """
    work()
    return [seconds(work) for _ in range(_IN_A_ROW)]


def best_difference(first: Work, second: Work, runs: int) -> float:
    """Return how much longer the first takes than the second, at their best.

    The difference of two times that are each many times as long drowns in noise but for the
    fastest runs, which nothing disturbed.
    """
    ours, theirs = in_turn([first, second], runs)
    return min(ours) - min(theirs)


def memory(field: str) -> float:
    """``VmHWM`` (the peak) or ``VmRSS`` (now) of this process in MB; Linux only."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise LookupError(f"/proc/self/status has no {field}")


def report(title: str, rows: Sequence[Row], path: str | None) -> None:
    """Print the table; write it as JSON where a path is given."""
    print(f"\n{title}  ({platform.machine()}, {os.cpu_count()} cores)\n")
    print(f"{'work':44}{'ours':>11}  {'theirs':>11}  {'ratio':>8}  {'limit':>8}")
    for row in rows:
        theirs = "-" if row.theirs is None else f"{row.theirs:.2f}"
        ratio = "-" if row.ratio is None else f"{row.ratio:.3f}"
        limit = "-" if row.limit is None else f"{row.limit:.3f}"
        figures = f"{row.ours:>11.2f}  {theirs:>11}  {ratio:>8}  {limit:>8}"
        print(f"{row.work:44}{figures}  {row.verdict:6}  {row.unit}, against {row.peer}")
    if path is not None:
        found = [{**asdict(row), "ratio": row.ratio, "verdict": row.verdict} for row in rows]
        Path(path).write_text(json.dumps({"title": title, "rows": found}, indent=2))


def arguments(description: str) -> argparse.ArgumentParser:
    """Return the options of every benchmark."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", help="where to write the figures")
    parser.add_argument("--count", type=int, default=50_000, help="records")
    parser.add_argument("--dimension", type=int, default=512, help="of the vectors")
    return parser
