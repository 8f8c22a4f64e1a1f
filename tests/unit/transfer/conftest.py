"""An index with every kind of field, which is read and written in several batches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import vecbridge
from vecbridge import Budgets, Index, Store

RECORDS = 500
DIMENSION = 3
BATCH = 70


def small_batches(store: Store) -> Store:
    """The same store, whose indexes are read in batches of a few records."""
    return Store(store.backend, budgets=Budgets(scan_bytes=4 * DIMENSION * BATCH))


@pytest.fixture
def store() -> Iterator[Store]:
    with small_batches(vecbridge.get_backend("sklearn")) as opened:
        yield opened


@pytest.fixture
def source(store: Store) -> Index:
    index = store.create_index(
        "photos",
        dimension=DIMENSION,
        metric="euclidean",
        fields={"text": "string", "number": "integer", "weight": "float", "kept": "boolean"},
    )
    fill(index, RECORDS)
    return index


def fill(index: Index, records: int) -> None:
    rows = range(records)
    vectors = np.random.default_rng(5).standard_normal((records, DIMENSION)).astype(np.float32)
    vectors[0] = -0.0
    index.upsert(
        [f"é'{row}\n" for row in rows],
        vectors,
        {
            "text": [f'"{row}' for row in rows],
            "number": [row - 2**62 for row in rows],
            "weight": [row / 3 for row in rows],
            "kept": [row % 2 == 0 for row in rows],
        },
    )
