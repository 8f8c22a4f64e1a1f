"""What was closed is used no more, be there anything to do or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from vecbridge import ClosedError, Index, Store, get_backend

NOTHING = np.empty((0, 2), dtype=np.float32)
CALLS: dict[str, Callable[[Index], Any]] = {
    "upsert": lambda index: index.upsert([], NOTHING),
    "delete": lambda index: index.delete([]),
    "fetch": lambda index: index.fetch([]),
    "contains": lambda index: index.contains([]),
    "count": len,
    "scan": lambda index: index.scan(),
    "search": lambda index: index.search(NOTHING),
    "farthest": lambda index: index.farthest(NOTHING),
    "search_aggregated": lambda index: index.search_aggregated(NOTHING),
    "candidates": lambda index: index.candidates(NOTHING, 1),
    "range_search": lambda index: index.range_search(NOTHING, 1.0),
    "neighbors": lambda index: index.neighbors(1),
    "neighbors_within": lambda index: index.neighbors_within(1.0),
    "duplicates": lambda index: index.duplicates(1.0),
}


@pytest.mark.parametrize("closed", ["index", "store"])
@pytest.mark.parametrize("backend", ["sklearn", "faiss", "torch"])
def test_a_call_with_nothing_to_do_is_refused_too(backend: str, closed: str) -> None:
    store: Store = get_backend(backend)
    index = store.create_index("photos", dimension=2)
    (index if closed == "index" else store).close()
    said = {"index": "index 'photos' was closed", "store": "store of index 'photos' was closed"}
    for operation, call in CALLS.items():
        with pytest.raises(ClosedError, match=f"{operation}: .*{said[closed]}") as caught:
            call(index)
        assert (caught.value.backend, caught.value.operation) == (backend, operation)
    index.close()
    store.close()


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("operation", ["scan", "neighbors", "neighbors_within"])
@pytest.mark.parametrize("backend", ["sklearn", "faiss", "torch"])
def test_what_is_read_bit_by_bit_ends_with_its_index(
    backend: str, operation: str, begun: bool
) -> None:
    calls: dict[str, Callable[[Index], Iterator[Any]]] = {
        "scan": lambda index: index.scan(batch_size=1),
        "neighbors": lambda index: index.neighbors(1),
        "neighbors_within": lambda index: index.neighbors_within(1.0),
    }
    with get_backend(backend) as store:
        index = store.create_index("photos", dimension=2, metric="euclidean")
        index.upsert(["a", "b", "c"], np.eye(3, 2))
        answers = calls[operation](index)
        if begun:
            next(answers)
        index.close()
        with pytest.raises(ClosedError, match=f"{operation}: index 'photos' was closed"):
            next(answers)


def test_closing_an_index_ends_neither_another_nor_its_store() -> None:
    with get_backend("sklearn") as store:
        index = store.create_index("photos", dimension=2)
        store.open_index("photos").close()
        assert index.fetch([]).ids == ()
        index.close()
        assert store.open_index("photos").count() == 0
