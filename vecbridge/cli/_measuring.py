"""Timing an index, within a time of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecbridge._client import Index
from vecbridge._contract._field import field
from vecbridge._contract._ranking import Ranking
from vecbridge.transfer import Progress

FIELD = "even"
"""The field that half of the records match."""

_WRITING_SECONDS = 15.0
_SECONDS = 45.0
_AT_ONCE = 1000
_REPEATS = 30
_REPEAT_SECONDS = 1.2
_QUERIES = 100


@dataclass(frozen=True)
class Workload:
    """What is written and asked for.

    Attributes:
        records: how many records to write.
        dimension: of their vectors.
        k: hits of a search.
    """

    records: int
    dimension: int
    k: int


@dataclass(frozen=True)
class Measured:
    """How fast an index was. Times are medians in milliseconds; ``None``: there was none left.

    Attributes:
        written: records that were written.
        rate: of them in a second.
        rankings: the kinds of searches.
        searches: by what was searched for, by ranking.
        reads: by what was read.
        notes: what a reader must know.
    """

    written: int
    rate: float
    rankings: tuple[str, ...]
    searches: Mapping[str, Mapping[str, float | None]]
    reads: Mapping[str, float | None]
    notes: tuple[str, ...]

    def figures(self) -> dict[str, Any]:
        """Return everything, for a program."""
        return {name: value for name, value in asdict(self).items() if name != "rankings"}


class _Clock:
    """Times calls, until the time is up."""

    def __init__(self) -> None:
        self._started = time.perf_counter()

    @property
    def spent(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._started

    def milliseconds(self, call: Callable[[], object]) -> float | None:
        """Return the median time of a call; the first, which may load something, does not count."""
        if self.spent > _SECONDS:
            return None
        call()
        times: list[float] = []
        while len(times) < 1 or (len(times) < _REPEATS and sum(times) < _REPEAT_SECONDS):
            started = time.perf_counter()
            call()
            times.append(time.perf_counter() - started)
        return 1000 * median(times)


def measure(index: Index, work: Workload, progress: Progress) -> Measured:
    """Fill an empty index and time it.

    Args:
        index: an empty one.
        work: what to write and ask for.
        progress: called with how far the writing is.
    """
    random = np.random.default_rng(0)
    queries = random.standard_normal((_QUERIES, work.dimension), dtype=np.float32)
    clock = _Clock()
    written = _write(index, work, random, clock, progress)
    rate = written / clock.spent
    rankings: dict[str, Ranking] = {"native": "native", "exact": "exact"}
    notes = []
    if written < work.records:
        notes.append(f"Writing was ended after {clock.spent:.0f} s: it is slow here.")
    if not index.capabilities.exact:
        rankings = {"native": "native", "ranked": "exact", "exact": "certified"}
        notes.append("The index is approximate: exact answers read every record.")
    searches = {
        what: {
            name: clock.milliseconds(
                lambda: index.search(asked, work.k, **scope, ranking=ranking)  # noqa: B023
            )
            for name, ranking in rankings.items()
        }
        for what, (asked, scope) in _searches(index, queries, written).items()
    }
    some = [str(row) for row in random.permutation(written)[:_QUERIES].tolist()]
    reads = {
        f"fetch {len(some)}": clock.milliseconds(lambda: index.fetch(some)),
        "count": clock.milliseconds(index.count),
    }
    if clock.spent > _SECONDS:
        notes.append(f"What is not measured was left out after {_SECONDS:.0f} s.")
    return Measured(written, rate, tuple(rankings), searches, reads, tuple(notes))


def _write(
    index: Index, work: Workload, random: np.random.Generator, clock: _Clock, progress: Progress
) -> int:
    """Write records named by their numbers; fewer where that takes long."""
    for start in range(0, work.records, _AT_ONCE):
        if clock.spent > _WRITING_SECONDS:
            return start
        rows = range(start, min(start + _AT_ONCE, work.records))
        vectors = random.standard_normal((len(rows), work.dimension), dtype=np.float32)
        fields = {FIELD: [row % 2 == 0 for row in rows]} if FIELD in index.info.fields else None
        index.upsert(list(map(str, rows)), vectors, fields)
        progress("writing", rows.stop, work.records)
    return work.records


def _searches(
    index: Index, queries: NDArray[np.float32], written: int
) -> dict[str, tuple[NDArray[np.float32], dict[str, Any]]]:
    """Return the queries and the scope of each kind of search."""
    found: dict[str, tuple[NDArray[np.float32], dict[str, Any]]] = {
        "one query": (queries[:1], {}),
        f"{_QUERIES} queries": (queries, {}),
    }
    if FIELD in index.info.fields and index.capabilities.filters:
        found["one query, filtered to half"] = (queries[:1], {"where": field(FIELD) == True})  # noqa: E712
    few = [str(row) for row in range(0, written, 100)]
    found["one query within 1 %"] = (queries[:1], {"within": few})
    return found
