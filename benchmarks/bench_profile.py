"""Where the time of one query goes: each engine, 50,000 x 512, exact, k=10.

What numpy, scikit-learn, FAISS and torch take is counted for the part of ours that called them.
Profiling adds to each call of Python's, so that the small parts look larger than they are.
"""

from __future__ import annotations

import cProfile
import pstats
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from _measure import Row, arguments, report

from vecbridge import get_backend

ENGINES = ("sklearn", "faiss", "torch")
RUNS = 200
K = 10
ROOT = Path(__file__).parents[1]
PARTS = {
    "backends/": "the engine",
    "vecbridge/ranking/": None,
    "vecbridge/local/": "records, ids and vectors",
    "vecbridge/_client/_search.py": "exact distances, order",
    "vecbridge/_client/_checked.py": "checks of answers",
    "vecbridge/": "checks of questions",
}
"""Whose work a file is; the first that fits counts. ``None``: that of its caller."""
Function = tuple[str, int, str]


class Shares:
    """Seconds of each part, by a profile.

    Args:
        profile: of some queries.
    """

    def __init__(self, profile: cProfile.Profile) -> None:
        self._stats: dict[Function, Any] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
        self._owners: dict[Function, dict[str, float]] = {}

    def parts(self) -> dict[str, float]:
        """Seconds by name."""
        found: defaultdict[str, float] = defaultdict(float)
        for function, (_, _, own, _, _) in self._stats.items():
            for part, share in self._owner(function).items():
                found[part] += share * own
        return dict(found)

    def _owner(self, function: Function) -> dict[str, float]:
        """Which parts a function works for, and how much for each."""
        if function in self._owners:
            return self._owners[function]
        part = _part(function[0])
        callers = self._stats[function][4] if function in self._stats else {}
        # Against circles of calls, it belongs to no file while that is found out.
        self._owners[function] = {}
        self._owners[function] = {part: 1.0} if part else self._by_callers(callers)
        return self._owners[function]

    def _by_callers(self, callers: dict[Function, Any]) -> dict[str, float]:
        found: defaultdict[str, float] = defaultdict(float)
        total = sum(cumulative for *_, cumulative in callers.values())
        for caller, (*_, cumulative) in callers.items():
            for part, share in self._owner(caller).items():
                found[part] += share * (cumulative / total if total else 1 / len(callers))
        return dict(found)


def _part(path: str) -> str | None:
    """Whose work a file is; ``None`` where that is told by who calls it."""
    name = path.removeprefix(f"{ROOT}/")
    return next((part for start, part in PARTS.items() if name.startswith(start)), None)


def profiled(engine: str, count: int, dimension: int) -> list[Row]:
    """Milliseconds of each part, and its share."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((count, dimension), dtype=np.float32)
    with get_backend(engine, metric="cosine") as store:
        index = store.create_index("bench", dimension=dimension)
        index.upsert([f"record-{number}" for number in range(count)], vectors)
        queries = rng.standard_normal((RUNS, dimension), dtype=np.float32)
        for query in queries[: RUNS // 4]:
            index.search(query, K)
        profile = cProfile.Profile()
        profile.enable()
        for query in queries:
            index.search(query, K)
        profile.disable()
    parts = {name: 1e3 * value / RUNS for name, value in Shares(profile).parts().items()}
    whole = sum(parts.values())
    return [
        Row(f"{engine}: {name}", value, whole, "the whole query", repeats=RUNS)
        for name, value in sorted(parts.items(), key=lambda part: -part[1])
    ]


def main() -> None:
    """Profiles every engine and prints the table."""
    options = arguments(__doc__ or "").parse_args()
    size = options.count, options.dimension
    rows = [row for engine in ENGINES for row in profiled(engine, *size)]
    title = f"Where the time of one query goes, {size[0]} x {size[1]}, cosine, k={K}"
    report(title, rows, options.json)


if __name__ == "__main__":
    main()
