"""Batches by bytes, and what is known after a failure part-way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.engine import make_engine
from vecbridge import (
    BackendError,
    FieldType,
    Index,
    IndexInfo,
    IndexNotFoundError,
    PartialWriteError,
)

IDS = [f"{number:03d}" for number in range(100)]
VECTORS = np.arange(800, dtype=np.float32).reshape(100, 8)


def test_batches_fit_the_stores_limit() -> None:
    engine = make_engine(8, max_batch_bytes=1000)
    Index(engine).upsert(IDS, VECTORS)
    sizes = [size for call, size in engine.calls if call == "upsert"]
    assert sum(sizes) == 100
    assert len(sizes) > 1
    assert max(sizes) * (8 * 4 + 3) <= 1000


@pytest.mark.parametrize(
    ("kind", "values"),
    [("string?", [None, "x" * 400]), ("strings", [[], ["x" * 40] * 10])],
)
def test_texts_count_wherever_they_stand(kind: FieldType, values: list[Any]) -> None:
    engine = make_engine(8, max_batch_bytes=1000)
    engine.info = IndexInfo("t", 8, "euclidean", {"f": kind})
    Index(engine).upsert(IDS, VECTORS, {"f": values * 50})
    sizes = [size for call, size in engine.calls if call == "upsert"]
    assert max(sizes) * 400 <= 1000


def test_a_record_larger_than_the_limit_goes_alone() -> None:
    engine = make_engine(8, max_batch_bytes=1)
    Index(engine).upsert(IDS[:3], VECTORS[:3])
    assert engine.calls == [("upsert", 1)] * 3


def test_a_failure_part_way_says_what_is_written_and_what_is_unknown() -> None:
    engine = make_engine(8, max_batch_bytes=1000, fail_at_batch=3)
    index = Index(engine)
    with pytest.raises(PartialWriteError, match="Do the same call again") as caught:
        index.upsert(IDS, VECTORS)
    error = caught.value
    assert set(error.written) == set(engine.records)
    assert list(error.written) + list(error.unknown) == IDS
    assert isinstance(error.__cause__, BackendError)
    assert (error.backend, error.operation) == ("test", "upsert")


def test_the_same_call_again_completes_a_partial_write() -> None:
    engine = make_engine(8, max_batch_bytes=1000, fail_at_batch=2)
    index = Index(engine)
    with pytest.raises(PartialWriteError):
        index.upsert(IDS, VECTORS)
    engine.fail_at_batch = None
    index.upsert(IDS, VECTORS)
    assert index.count() == 100
    assert np.array_equal(index.fetch(IDS).vectors, VECTORS)


@pytest.mark.parametrize("fault", [MemoryError("no room"), IndexNotFoundError("dropped")])
def test_whatever_fails_part_way_what_is_written_is_told(fault: Exception) -> None:
    engine = make_engine(8, max_batch_bytes=1000, fail_at_batch=3, fault=fault)
    with pytest.raises(PartialWriteError, match=str(fault)) as caught:
        Index(engine).upsert(IDS, VECTORS)
    assert set(caught.value.written) == set(engine.records)
    assert caught.value.__cause__ is fault
    assert caught.value.operation == "upsert"
    assert not caught.value.retryable


def test_a_failure_of_the_first_batch_is_the_stores_own_error() -> None:
    index = Index(make_engine(8, max_batch_bytes=1000, fail_at_batch=1))
    with pytest.raises(BackendError, match="went away") as caught:
        index.upsert(IDS, VECTORS)
    assert not isinstance(caught.value, PartialWriteError)
