"""An index on disk, stores to copy it to, and processes that do it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import vecbridge
from vecbridge import Index, Store
from vecbridge.bulk import WorkerPool

RECORDS, DIMENSION, PARTS = 600, 4, 6


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Index]:
    with vecbridge.get_backend("sklearn", path=tmp_path / "source") as store:
        index = store.create_index(
            "photos", dimension=DIMENSION, metric="euclidean", fields={"label": "string?"}
        )
        vectors = np.random.default_rng(1).standard_normal((RECORDS, DIMENSION))
        labels = [None if row % 3 else f"'{row}" for row in range(RECORDS)]
        index.upsert([f"é{row:04}" for row in range(RECORDS)], vectors, {"label": labels})
        yield index


def shared_store(path: Path) -> Store:
    """A store that several processes may write to: as a server for bulk work, only slower."""
    store = vecbridge.get_backend("sklearn", path=path)
    store._single_writer = False
    return store


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Store]:
    with shared_store(tmp_path / "target") as store:
        yield store


@pytest.fixture(scope="package")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(2) as started:
        yield started
