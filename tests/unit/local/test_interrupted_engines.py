"""What an engine builds for its searches, when the building is broken off at any moment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.interrupts import in_child, interrupted, stopped
from tests.unit.local.helpers import named, vectors
from vecbridge import Hits, Index, Ranking, get_backend

DIMENSION = 8

# Backend, its options, the metric for which it keeps most, and how many records it needs for that.
ENGINES: dict[str, tuple[str, dict[str, Any], Any, int]] = {
    "sklearn": ("sklearn", {}, "cosine", 100),
    "faiss-flat": ("faiss", {}, "cosine", 100),
    "faiss-ivf": ("faiss", {"index": "ivf", "nprobe": 40}, "euclidean", 2100),
    "torch-float32": ("torch", {"device": "cpu"}, "cosine", 100),
    "torch-bfloat16": ("torch", {"device": "cpu", "precision": "bfloat16"}, "euclidean", 100),
}

GROWTH = (0, 20, 24, 30)
"""How many records there are beyond the first, one step after the other."""


class Case:
    """An engine with records, more of which come step by step."""

    def __init__(self, name: str) -> None:
        backend, self._options, self._metric, self.count = ENGINES[name]
        # The exact search is the same for all; what is built beside it is the engine's own.
        exact = name in ("sklearn", "faiss-flat", "torch-float32")
        self.folder = "vecbridge/local/_exact" if exact else f"backends/vecbridge_{backend}"
        self._backend = backend
        self._exact = name != "faiss-ivf"
        self._records = vectors(self.count + GROWTH[-1], DIMENSION)
        # Enough of them for a copy in another precision to pay.
        self._queries = np.concatenate([self._records[-30:], vectors(20, DIMENSION, seed=1)])
        self._wanted = [self._ask(self.made(step, "sklearn"), "certified") for step in range(4)]

    def made(self, step: int = 0, backend: str | None = None) -> Index:
        """An index with the records of a step."""
        options = self._options if backend is None else {}
        store = get_backend(backend or self._backend, **options)
        index = store.create_index("t", dimension=DIMENSION, metric=self._metric)
        for number in range(step + 1):
            self.grow(index, number)
        return index

    def grow(self, index: Index, step: int) -> None:
        """Add the records of a step."""
        start = self.count + GROWTH[step - 1] if step else 0
        stop = self.count + GROWTH[step]
        index.upsert(named(stop - start, start), self._records[start:stop])

    def search(self, index: Index) -> None:
        """Let the engine build what it keeps, and ask it."""
        self._ask(index)

    def check(self, index: Index, step: int) -> None:
        """Ask it what it must answer after that many steps."""
        wanted = self._wanted[step]
        assert self._ask(index, "certified") == wanted
        found = self._ask(index)
        if self._exact:
            assert found == wanted
        shared = [len({*one.ids} & {*two.ids}) for one, two in zip(found, wanted, strict=True)]
        assert np.mean(shared) > 3.8

    def _ask(self, index: Index, ranking: Ranking = "exact") -> list[Hits]:
        return index.search(self._queries, 4, ranking=ranking)


@pytest.fixture(params=ENGINES)
def case(request: pytest.FixtureRequest) -> Case:
    """Each engine."""
    return Case(request.param)


@pytest.mark.parametrize("built", [False, True])
def test_an_exception_at_any_moment_leaves_nothing_half_built(case: Case, *, built: bool) -> None:
    """What is half built is not used, now or when records are added to it later."""
    kept: list[Any] = []
    moment, tried = 0, 0
    while True:
        index = case.made(0 if built else 1)
        if built:
            case.search(index)
            case.grow(index, 1)
        error = interrupted(moment, lambda: case.search(index), inside=case.folder)  # noqa: B023
        kept = [*kept[-3:], error]
        tried += 1
        if tried % 2:
            case.check(index, 1)
        case.grow(index, 2)
        case.search(index)
        case.grow(index, 3)
        case.check(index, 3)
        if error is None:
            assert tried > 10
            return
        # The same few lines come once for each block and each query.
        moment += 1 if moment < 120 else moment // 6


def test_a_child_forked_while_another_thread_builds_answers(case: Case) -> None:
    """It takes over what is whole, and builds the rest again, without waiting for the thread."""
    moment = 0
    while True:
        index = case.made()
        case.search(index)
        case.grow(index, 1)
        with stopped(moment, lambda: case.search(index), inside=case.folder) as there:  # noqa: B023
            in_child(lambda: case.check(index, 1))  # noqa: B023
        case.grow(index, 2)
        case.grow(index, 3)
        case.check(index, 3)
        if not there:
            assert moment > 5
            return
        moment += 1 if moment < 40 else moment // 3
