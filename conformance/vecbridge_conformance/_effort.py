"""How many examples a property is worth on this store: a slow server gets fewer, never none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vecbridge import FieldType, Index, Metric
from vecbridge_conformance._draws import same_draws
from vecbridge_conformance._harness import Harness
from vecbridge_conformance._strategies import DIMENSION, Drawn

_BUDGET_S = 5.0
_FEWEST, _MOST = 3, 40
_SLOW_S = 0.4

Value = TypeVar("Value")

_seconds: WeakKeyDictionary[Harness, float] = WeakKeyDictionary()


def for_all(harness: Harness, body: Callable[..., None], **drawn: st.SearchStrategy[Any]) -> None:
    """Check a property for drawn values, always the same ones; raises on the simplest failure.

    Args:
        harness: what is under test.
        body: takes the drawn values by name.
        drawn: strategies by name.
    """
    examples = int(min(_MOST, max(_FEWEST, _BUDGET_S / seconds_an_example(harness))))
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
    if seconds_an_example(harness) < _SLOW_S or len(values) <= few:
        return list(values)
    return [values[(turn * few + step) % len(values)] for step in range(few)]


def seconds_an_example(harness: Harness) -> float:
    """Return the seconds of a fresh index with a few reads and writes, once per harness."""
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
