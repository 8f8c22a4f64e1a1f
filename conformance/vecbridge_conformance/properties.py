"""Properties: what hypothesis draws, and how many examples a store is worth.

What is drawn is the same on every machine. A slow server gets fewer examples, never none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture import providers
from numpy.typing import NDArray

from vecbridge import METRICS, FieldType, Index, Metric
from vecbridge_conformance._harness import Harness
from vecbridge_conformance.data import HOSTILE_IDS

__all__ = [
    "DIMENSION",
    "Drawn",
    "effort",
    "filled",
    "for_all",
    "fresh",
    "ids",
    "lattice",
    "metrics",
    "queries",
    "records",
    "same_draws",
    "seconds_per_example",
    "some",
    "vector",
]

DIMENSION = 3
"""Of every vector that is drawn."""

_BUDGET_S = 5.0
_FEWEST, _MOST = 3, 40
_SLOW_S = 0.4

Value = TypeVar("Value")

_seconds: WeakKeyDictionary[Harness, float] = WeakKeyDictionary()

_EVEN = np.float32(1.0)
_COORDINATES = (
    0.0,
    1.0,
    -1.0,
    2.0,
    -2.0,
    -0.0,
    float(np.nextafter(_EVEN, np.float32(2))),
    float(np.nextafter(_EVEN, np.float32(0))),
    1000.0,
    float(np.nextafter(np.float32(1000), np.float32(2000))),
    1e-20,
    3e17,
)


@dataclass(frozen=True, eq=False)
class Drawn:
    """Records: distinct ids and a vector each."""

    ids: list[str]
    vectors: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ids)

    def part(self, positions: Sequence[int]) -> Drawn:
        """Return some of the records, in the order given."""
        rows = list(positions)
        return Drawn([self.ids[row] for row in rows], self.vectors[rows])


def ids() -> st.SearchStrategy[str]:
    """Return ids, of which any two are equal, or nearly so, more often than by chance."""
    characters = st.characters(codec="utf-8", exclude_characters="\0")
    return st.one_of(
        st.text("ab", min_size=1, max_size=2),
        st.sampled_from(HOSTILE_IDS),
        st.text(characters, min_size=1, max_size=6),
    )


def lattice() -> st.SearchStrategy[list[float]]:
    """Return vectors of small integers, with which float32 computes without rounding."""
    integers = st.integers(-2, 2).map(float)
    return st.lists(integers, min_size=DIMENSION, max_size=DIMENSION)


def vector() -> st.SearchStrategy[list[float]]:
    """Return vectors among which ties, near ties, zeros and far apart norms are common."""
    rough = st.lists(st.sampled_from(_COORDINATES), min_size=DIMENSION, max_size=DIMENSION)
    return st.one_of(lattice(), rough)


def records(
    *,
    least: int = 1,
    most: int = 12,
    vectors: st.SearchStrategy[list[float]] | None = None,
) -> st.SearchStrategy[Drawn]:
    """Return a strategy of between ``least`` and ``most`` records."""
    return st.lists(
        st.tuples(ids(), vector() if vectors is None else vectors),
        min_size=least,
        max_size=most,
        unique_by=lambda pair: pair[0],
    ).map(_drawn)


def queries(
    *, most: int = 4, vectors: st.SearchStrategy[list[float]] | None = None
) -> st.SearchStrategy[NDArray[np.float32]]:
    """Return a batch of queries: ``(1 .. most, 3)`` float32."""
    rows = st.lists(vector() if vectors is None else vectors, min_size=1, max_size=most)
    return rows.map(_matrix)


def metrics() -> st.SearchStrategy[Metric]:
    """Return a metric."""
    return st.sampled_from(METRICS)


def for_all(harness: Harness, body: Callable[..., None], **drawn: st.SearchStrategy[Any]) -> None:
    """Check a property for drawn values, always the same ones; raises on the simplest failure.

    Args:
        harness: what is under test.
        body: takes the drawn values by name.
        drawn: strategies by name.
    """
    examples = int(min(_MOST, max(_FEWEST, _BUDGET_S / seconds_per_example(harness))))
    with same_draws():
        effort(examples)(given(**drawn)(body))()


def effort(examples: int, *, steps: int = 20) -> settings:
    """Return settings of hypothesis for a check that must give the same verdict every time."""
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=True,
        database=None,
        deadline=None,
        # Iterating leaves out the deprecated ones; its metaclass is more than pyright can see.
        suppress_health_check=list(HealthCheck),  # pyright: ignore[reportArgumentType]
        print_blob=False,
    )


def some(harness: Harness, values: Sequence[Value], *, turn: int, few: int = 2) -> list[Value]:
    """Return all values; on a slow store a few of them, others at each turn.

    Args:
        harness: what is under test.
        values: such as every ``k`` worth asking for.
        turn: a number that differs from call to call, so that in the end all values had theirs.
        few: how many.
    """
    if seconds_per_example(harness) < _SLOW_S or len(values) <= few:
        return list(values)
    return [values[(turn * few + step) % len(values)] for step in range(few)]


@contextmanager
def fresh(
    harness: Harness, metric: Metric, *, fields: dict[str, FieldType] | None = None
) -> Iterator[Index]:
    """Yield an empty index, given back at the end."""
    index = harness.index(dimension=DIMENSION, metric=metric, fields=fields)
    try:
        yield index
    finally:
        harness.release(index)


@contextmanager
def filled(harness: Harness, metric: Metric, records: Drawn) -> Iterator[Index]:
    """Yield a fresh index with some records."""
    with fresh(harness, metric) as index:
        index.upsert(records.ids, records.vectors)
        yield index


@contextmanager
def same_draws() -> Iterator[None]:
    """Let hypothesis draw what strategies say, and nothing else, while the block lasts.

    It also draws constants that it finds in modules which are not installed: in the suite's own,
    and in the author's, where these are under development. No setting of it turns that off, so what
    collects them is put aside; a version that has no such thing needs no such help.
    """
    inside: Any = providers
    collect = getattr(inside, "_get_local_constants", None)
    if collect is None:
        yield
        return
    none = type(inside.GLOBAL_CONSTANTS)()
    inside._get_local_constants = lambda: none  # noqa: SLF001
    # What may be drawn for each strategy is kept, with what was found for other tests.
    inside.CONSTANTS_CACHE.cache.clear()
    try:
        yield
    finally:
        inside._get_local_constants = collect  # noqa: SLF001
        inside.CONSTANTS_CACHE.cache.clear()


def seconds_per_example(harness: Harness) -> float:
    """Return the seconds of a fresh index with a few reads and writes, once per harness."""
    if harness.effort.pace_s is not None:
        return harness.effort.pace_s
    if harness not in _seconds:
        with fresh(harness, "euclidean"):
            # The first index of a run pays for connecting.
            pass
        start = time.monotonic()
        with fresh(harness, "euclidean") as index:
            for name in "abc":
                index.upsert([name], [[1.0] * DIMENSION])
                index.search([[0.0] * DIMENSION], 2)
        _seconds[harness] = max(time.monotonic() - start, 1e-3)
    return _seconds[harness]


def _drawn(pairs: list[tuple[str, list[float]]]) -> Drawn:
    return Drawn([name for name, _ in pairs], _matrix([row for _, row in pairs]))


def _matrix(rows: Any) -> NDArray[np.float32]:
    return np.array(rows, dtype=np.float32).reshape(-1, DIMENSION)
