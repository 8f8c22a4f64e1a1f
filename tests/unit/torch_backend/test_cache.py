"""What is kept on the device follows the records, and stays within its memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.adversarial import make
from tests.unit.torch_backend.helpers import engine, index_of
from vecbridge import METRICS, CorruptStoreError, Metric, Scope, get_backend


def vectors(count: int, dimension: int = 8, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)


def named(count: int, start: int = 0) -> list[str]:
    return [f"id{number:05}" for number in range(start, start + count)]


def test_what_is_added_is_taken_to_the_device_and_nothing_else() -> None:
    index = engine(precision="bfloat16")
    index.upsert(named(100), vectors(100))
    index.candidates(vectors(1), 1, Scope())
    assert index.held == (100, 1, 100)
    index.upsert(named(100, start=100), vectors(100, seed=1))
    index.candidates(vectors(1), 1, Scope())
    assert index.held == (200, 2, 200)


def test_many_small_additions_make_few_chunks() -> None:
    index = engine(precision="bfloat16")
    for start in range(0, 2000, 20):
        index.upsert(named(20, start), vectors(20, seed=start))
        index.candidates(vectors(1), 1, Scope())
    assert (index.held.rows, index.held.put) == (2000, 2000)
    assert index.held.chunks < 30


def test_what_is_replaced_or_deleted_is_forgotten_on_the_device() -> None:
    index = engine(precision="bfloat16")
    index.upsert(named(100), vectors(100))
    index.candidates(vectors(1), 1, Scope())
    index.delete(named(1))
    index.candidates(vectors(1), 1, Scope())
    assert index.held == (99, 1, 199)
    index.upsert(named(1, start=5), vectors(1, seed=9))
    index.candidates(vectors(1), 1, Scope())
    assert index.held == (99, 1, 298)


def test_a_search_of_an_older_state_sees_that_state() -> None:
    index = engine(precision="bfloat16")
    index.upsert(named(100), vectors(100))
    old = index.resolve(Scope())
    index.upsert(named(100, start=100), vectors(100, seed=1))
    index.candidates(vectors(1), 1, Scope())
    kept = index.held
    found = index.candidates_in(vectors(3, seed=2), 5, old)
    assert index.held == kept
    assert all(set(candidates.ids) <= {*named(100)} for candidates in found)
    index.delete(named(1))
    index.candidates(vectors(1), 1, Scope())
    found = index.candidates_in(vectors(3), 5, old)
    assert all(set(candidates.ids) <= {*named(100)} for candidates in found)
    assert index.held.rows == 199


@pytest.mark.parametrize("metric", METRICS)
def test_an_index_beyond_the_memory_is_streamed_and_ranks_the_same(metric: Metric) -> None:
    data = make("gaussian", 64, count=9000)
    inside = index_of(data, metric, precision="bfloat16", memory_mb=2)
    outside = index_of(data, metric, precision="bfloat16", memory_mb=1)
    assert outside.search(data.queries, 10) == inside.search(data.queries, 10)


def test_an_index_that_outgrows_the_memory_leaves_the_device() -> None:
    index = engine(precision="bfloat16", dimension=64, memory_mb=1)
    index.upsert(named(1000), vectors(1000, 64))
    index.candidates(vectors(1, 64), 1, Scope())
    assert index.held.rows == 1000
    index.upsert(named(9000, start=1000), vectors(9000, 64))
    index.candidates(vectors(1, 64), 1, Scope())
    assert index.held.rows == 0


def test_a_cpu_copies_nothing_for_a_few_queries() -> None:
    index = engine(precision="bfloat16", patience=16)
    index.upsert(named(100), vectors(100))
    for _ in range(15):
        index.candidates(vectors(1), 1, Scope())
    assert index.held.rows == 0
    index.candidates(vectors(1), 1, Scope())
    assert index.held.rows == 100


def test_float32_on_a_cpu_copies_nothing_at_all() -> None:
    index = engine(precision="float32")
    index.upsert(named(100), vectors(100))
    index.candidates(vectors(100), 1, Scope())
    assert index.held.rows == 0


def test_closing_lets_go_of_the_device() -> None:
    index = engine(precision="bfloat16")
    index.upsert(named(100), vectors(100))
    index.candidates(vectors(1), 1, Scope())
    index.close()
    index.close()
    assert index.held.rows == 0


def test_an_index_is_the_same_after_reopening(tmp_path: Path) -> None:
    data = make("gaussian", 16, count=100)
    with get_backend("torch", device="cpu", path=tmp_path) as store:
        index = store.create_index("t", dimension=16, metric="dotproduct")
        index.upsert(data.ids, data.vectors)
        before = index.search(data.queries, 5)
        assert index.capabilities.durable
    with get_backend("torch", device="cpu", path=str(tmp_path)) as store:
        assert store.index_names() == ["t"]
        assert store.open_index("t").search(data.queries, 5) == before
        store.drop_index("t")
        assert store.index_names() == []


def test_a_torn_file_is_an_error_and_stays_as_it_is(tmp_path: Path) -> None:
    with get_backend("torch", device="cpu", path=tmp_path) as store:
        store.create_index("t", dimension=8).upsert(named(500), vectors(500))
    (file,) = tmp_path.glob("records.vecbridge")
    torn = file.read_bytes()[: file.stat().st_size // 3]
    file.write_bytes(torn)
    with (
        pytest.raises(CorruptStoreError),
        get_backend("torch", device="cpu", path=tmp_path) as store,
    ):
        store.open_index("t").search(vectors(1), 1)
    assert file.read_bytes() == torn
