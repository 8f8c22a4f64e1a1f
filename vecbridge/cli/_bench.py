"""``vecbridge bench``: how fast the user's own store is, measured within a time limit."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vecbridge._contract._metric import METRICS, Metric, parse_metric
from vecbridge._errors import UnsupportedError
from vecbridge.cli import _completion as completing
from vecbridge.cli._console import emit, say, table
from vecbridge.cli._options import AsJson, Backend, Options, store_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vecbridge._client import Index, Store
    from vecbridge._contract._ranking import Ranking
    from vecbridge.transfer import Progress

_FIELD = "even"
"""The field that half of the records match."""

_AT_ONCE = 1000
_REPEATS = 30
_REPEAT_SECONDS = 1.2
_QUERIES = 100


def bench(
    name: Backend = None,
    records: Annotated[int, typer.Option(min=200, help="Records to write.")] = 10_000,
    dimension: Annotated[int, typer.Option(min=1, help="Dimension of the vectors.")] = 512,
    metric: Annotated[
        str,
        typer.Option(
            help="cosine, dotproduct or euclidean.", autocompletion=completing.among(METRICS)
        ),
    ] = "cosine",
    k: Annotated[int, typer.Option("-k", min=1, help="Hits per search.")] = 10,
    seconds: Annotated[
        float, typer.Option(min=0, help="Time limit; a third of it is for writing.")
    ] = 45,
    option: Options = None,
    json: AsJson = False,
) -> None:
    """Time a store in less than a minute: writing, searching, fetching.

    Random vectors are written to a temporary index, which is dropped at the end. Times are medians
    in milliseconds, measured in this process and over its connection.
    """
    from vecbridge.cli._progress import bar

    wanted = parse_metric(metric)
    with (
        store_of(name, option) as store,
        ExitStack() as held,
        bar(shown=not json) as progress,
    ):
        index = _scratch(held, store, dimension, wanted)
        measured = _measure(index, records, k, seconds, progress)
        backend = store.name
    if json:
        emit({"backend": backend, "metric": metric, **asdict(measured)})
    else:
        _show(measured, f"{backend}: {measured.written:,} x {dimension}, {metric}, k = {k}")


def _scratch(held: ExitStack, store: Store, dimension: int, metric: Metric) -> Index:
    """Return an index that goes with ``held``, with a field where the store has fields."""
    from vecbridge.diagnosis import scratch_index

    try:
        made = scratch_index(store, dimension=dimension, metric=metric, fields={_FIELD: "boolean"})
        return held.enter_context(made)
    except UnsupportedError:
        return held.enter_context(scratch_index(store, dimension=dimension, metric=metric))


@dataclass(frozen=True)
class _Measured:
    """The speed of an index. Times are medians in milliseconds; ``None`` where no time was left.

    Attributes:
        written: records that were written.
        rate: of them in a second.
        searches: by what was searched for, by ranking.
        reads: by what was read.
        notes: what a reader must know.
    """

    written: int
    rate: float
    searches: Mapping[str, Mapping[str, float | None]]
    reads: Mapping[str, float | None]
    notes: tuple[str, ...]


class _Clock:
    """Times calls, until the time is up."""

    def __init__(self, seconds: float) -> None:
        self._started = time.perf_counter()
        self._seconds = seconds

    @property
    def spent(self) -> float:
        """Return the seconds since the start."""
        return time.perf_counter() - self._started

    def milliseconds(self, call: Callable[[], object]) -> float | None:
        """Return the median time of a call; the first, which may load something, does not count."""
        if self.spent > self._seconds:
            return None
        call()
        times: list[float] = []
        while len(times) < 1 or (len(times) < _REPEATS and sum(times) < _REPEAT_SECONDS):
            started = time.perf_counter()
            call()
            times.append(time.perf_counter() - started)
        return 1000 * median(times)


def _measure(index: Index, records: int, k: int, seconds: float, progress: Progress) -> _Measured:
    """Fill an empty index and time it."""
    import numpy as np

    random = np.random.default_rng(0)
    queries = random.standard_normal((_QUERIES, index.info.dimension), dtype=np.float32)
    clock = _Clock(seconds)
    written = _write(index, records, random, progress, lambda: clock.spent > seconds / 3)
    rate = written / clock.spent
    rankings: dict[str, Ranking] = {"native": "native", "exact": "exact"}
    notes = []
    if written < records:
        notes.append(f"Writing was stopped after {clock.spent:.0f} s: it is slow here.")
    if not index.capabilities.exact:
        rankings = {"native": "native", "ranked": "exact", "exact": "certified"}
        notes.append("The index is approximate: exact answers read every record.")
    searches = {
        what: {
            name: clock.milliseconds(
                lambda: index.search(asked, k, **scope, ranking=ranking)  # noqa: B023
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
    if clock.spent > seconds:
        notes.append(f"Stopped after {seconds:.0f} s: what is not shown was not measured.")
    return _Measured(written, rate, searches, reads, tuple(notes))


def _write(
    index: Index,
    records: int,
    random: np.random.Generator,
    progress: Progress,
    is_late: Callable[[], bool],
) -> int:
    """Write records named by their numbers; fewer where that takes long."""
    import numpy as np

    for start in range(0, records, _AT_ONCE):
        if start and is_late():
            return start
        rows = range(start, min(start + _AT_ONCE, records))
        vectors = random.standard_normal((len(rows), index.info.dimension), dtype=np.float32)
        fields = {_FIELD: [row % 2 == 0 for row in rows]} if index.info.fields else None
        index.upsert(list(map(str, rows)), vectors, fields)
        progress("writing", rows.stop, records)
    return records


def _searches(
    index: Index, queries: NDArray[np.float32], written: int
) -> dict[str, tuple[NDArray[np.float32], dict[str, Any]]]:
    """Return the queries and the scope of each kind of search."""
    from vecbridge._contract._field import field

    found: dict[str, tuple[NDArray[np.float32], dict[str, Any]]] = {
        "one query": (queries[:1], {}),
        f"{_QUERIES} queries": (queries, {}),
    }
    if index.info.fields and index.capabilities.filters:
        found["one query, filtered to half"] = (queries[:1], {"where": field(_FIELD) == True})  # noqa: E712
    few = [str(row) for row in range(0, written, 100)]
    found["one query within 1 %"] = (queries[:1], {"within": few})
    return found


def _show(measured: _Measured, title: str) -> None:
    say(f"{title}\nwritten at {measured.rate:,.0f} records/s\n")
    rankings = list(next(iter(measured.searches.values())))
    rows = [[what, *map(_worded, times.values())] for what, times in measured.searches.items()]
    table("", ["milliseconds", *rankings], rows, numbers=len(rankings))
    say("")
    reads = [(what, _worded(ms)) for what, ms in measured.reads.items()]
    table("", ["milliseconds", ""], reads, numbers=1)
    for note in measured.notes:
        say(f"\n{note}")


def _worded(milliseconds: float | None) -> str:
    return "-" if milliseconds is None else f"{milliseconds:,.2f}"
