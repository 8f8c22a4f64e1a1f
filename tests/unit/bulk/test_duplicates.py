"""Near duplicates and neighbours over blocks are those of the definition, to the last bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import vecbridge
from vecbridge import METRICS, CorruptStoreError, Index, InvalidArgumentError, Metric
from vecbridge.bulk import WorkerPool, duplicates, neighbors

RECORDS, DIMENSION = 240, 8


def clustered(path: Path | None, metric: Metric) -> Index:
    """Copies, near copies, and chains of them, across all ranges of ids."""
    rng = np.random.default_rng(7)
    centers = rng.standard_normal((20, DIMENSION))
    vectors = centers[rng.integers(0, 20, RECORDS)]
    vectors += rng.choice([0, 1e-4, 0.05], (RECORDS, 1)) * rng.standard_normal(vectors.shape)
    index = vecbridge.get_backend("sklearn", path=path).create_index(
        "photos", dimension=DIMENSION, metric=metric
    )
    index.upsert([f"{row:x}" for row in rng.permutation(RECORDS)], vectors.astype(np.float32))
    return index


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("blocks", [1, 2, 4])
def test_blocks_find_what_the_whole_finds(metric: Metric, blocks: int) -> None:
    index = clustered(None, metric)
    for radius in (-6.0, 1e-7, 0.1):
        found = duplicates(index, radius, partitions=blocks)
        assert found == index.duplicates(radius)
        assert all(hits.exact for hits in found.values())
        assert found or radius < 0
    for k in (5, RECORDS + 7):
        assert [*neighbors(index, k, partitions=blocks)] == [*index.neighbors(k)]


def test_workers_find_the_same(tmp_path: Path, pool: WorkerPool) -> None:
    index = clustered(tmp_path, "euclidean")
    told = list[tuple[str, int, int]]()
    found = duplicates(
        index, 0.1, executor=pool, partitions=4, progress=lambda *each: told.append(each)
    )
    assert found == index.duplicates(0.1)
    # Four blocks, each of which is compared with three others.
    assert told[-1] == ("comparing", 3 * RECORDS, 3 * RECORDS)
    assert len(told) == 6
    assert [*neighbors(index, 4, executor=pool)] == [*index.neighbors(4)]


def test_nothing_and_one_record_have_no_duplicates() -> None:
    index = vecbridge.get_backend("sklearn").create_index("photos", dimension=1)
    assert duplicates(index, 1.0) == {}
    assert [*neighbors(index)] == []
    index.upsert(["a"], [[1]])
    assert duplicates(index, 1.0, partitions=3) == {}
    assert [*neighbors(index)] == [*index.neighbors()]
    with pytest.raises(InvalidArgumentError, match="radius"):
        duplicates(index, float("nan"))


def test_an_index_that_is_written_to_meanwhile_is_found_out() -> None:
    index = clustered(None, "euclidean")
    with pytest.raises(CorruptStoreError, match=r"partition 0 .* was written to"):
        duplicates(index, 0.1, partitions=3, progress=lambda *_: index.delete(["0"]))
    with pytest.raises(CorruptStoreError, match=r"partition 0 .* was written to"):
        neighbors(index, partitions=3, progress=lambda *_: index.delete(["1"]))
