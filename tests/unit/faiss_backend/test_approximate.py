"""Approximate indexes keep the contract: live records, exact distances, the recall asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from vecbridge import METRICS, Hits, Index, Metric, get_backend
from vecbridge.ranking import distances
from vecbridge_faiss import FaissIndex

COUNT, DIMENSION = 3000, 24
KINDS = ("hnsw", "ivf")
IDS = [f"id{number}" for number in range(COUNT)]


def vectors_of(seed: int, count: int = COUNT) -> Any:
    return np.random.default_rng(seed).standard_normal((count, DIMENSION), dtype=np.float32)


VECTORS = vectors_of(0)
QUERIES = vectors_of(1, 40)


def index_of(kind: str, metric: Metric = "cosine", **options: Any) -> Index:
    index = get_backend("faiss", index=kind, **options).create_index(
        "t", dimension=DIMENSION, metric=metric
    )
    index.upsert(IDS, VECTORS)
    return index


def truth(metric: Metric, k: int) -> list[Hits]:
    return index_of("flat", metric).search(QUERIES, k)


def recall(found: list[Hits], right: list[Hits]) -> float:
    shares = [
        len(set(one.ids) & set(true.ids)) / len(true.ids)
        for one, true in zip(found, right, strict=True)
    ]
    return float(np.mean(shares))


def entries(index: Index) -> int:
    """How many entries the FAISS index has that answers."""
    assert isinstance(index.engine, FaissIndex)
    return index.engine.entries


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("k", [1, 10, 100])
def test_the_recall_that_is_asked_for_is_met(kind: str, metric: Metric, k: int) -> None:
    index = index_of(kind, metric, recall=0.9)
    found = index.search(QUERIES, k)
    assert entries(index) == COUNT
    assert not index.capabilities.exact
    assert recall(found, truth(metric, k)) >= 0.9


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", KINDS)
def test_distances_are_the_definitions_and_order_too(kind: str, metric: Metric) -> None:
    for query, hits in zip(QUERIES, index_of(kind, metric).search(QUERIES, 10), strict=True):
        rows = [IDS.index(name) for name in hits.ids]
        exact = distances(metric, query, VECTORS[rows])
        assert hits.distances.tobytes() == exact.tobytes()
        assert (np.diff(hits.distances) >= 0).all()
        assert not hits.exact


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", KINDS)
def test_native_distances_are_the_contracts_within_rounding(kind: str, metric: Metric) -> None:
    for query, hits in zip(
        QUERIES, index_of(kind, metric).search(QUERIES, 10, ranking="native"), strict=True
    ):
        rows = [IDS.index(name) for name in hits.ids]
        assert len(rows) == 10
        assert hits.distances == pytest.approx(
            distances(metric, query, VECTORS[rows]), rel=1e-5, abs=1e-4
        )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ranking", ["exact", "native"])
def test_what_was_deleted_or_replaced_is_never_found_as_it_was(kind: str, ranking: Any) -> None:
    index = index_of(kind, "euclidean")
    nearest = index.search(VECTORS[:20], 1)
    assert [hits.ids[0] for hits in nearest] == IDS[:20]
    index.delete(IDS[:10])
    index.upsert(IDS[10:20], VECTORS[10:20] + 100)
    index.upsert(["new"], VECTORS[:1] + np.float32(0.001))
    # Still the index that was built before, with entries that lead nowhere.
    hits = index.search(VECTORS[:20], 5, ranking=ranking)
    assert entries(index) == COUNT + 11
    found = {name for one in hits for name in one.ids}
    assert not found & set(IDS[:20])
    assert hits[0].ids[0] == "new"
    moved = index.search(VECTORS[10:20] + 100, 1, ranking=ranking)
    assert [one.ids[0] for one in moved] == IDS[10:20]


@pytest.mark.parametrize("kind", KINDS)
def test_a_neighbourhood_that_was_emptied_gives_full_answers(kind: str) -> None:
    index = index_of(kind, "euclidean")
    (near,) = index.search(QUERIES[0], 100)
    index.delete(near.ids)
    (hits,) = index.search(QUERIES[0], 10)
    assert len(hits.ids) == 10
    assert not set(hits.ids) & set(near.ids)


def test_an_index_of_mostly_dead_entries_is_built_anew() -> None:
    index = index_of("hnsw")
    index.search(QUERIES, 5)
    index.delete(IDS[:900])
    index.search(QUERIES, 5)
    assert entries(index) == COUNT - 900


@pytest.mark.parametrize("kind", KINDS)
def test_the_exact_search_answers_what_the_index_is_no_good_for(kind: str) -> None:
    index = index_of(kind)
    (among,) = index.search(QUERIES[0], 10, within=IDS[:500])
    (most,) = index.search(QUERIES[0], COUNT - 5)
    assert among.exact
    assert most.exact
    assert len(most.ids) == COUNT - 5
    assert entries(index) == 0


@pytest.mark.parametrize("factor", [1e30, 1e-30])
def test_values_that_float32_cannot_multiply_are_ranked_all_the_same(factor: float) -> None:
    index = get_backend("faiss", index="hnsw").create_index(
        "t", dimension=DIMENSION, metric="dotproduct"
    )
    index.upsert(IDS, VECTORS * np.float32(factor))
    right = truth("dotproduct", 5)
    found = index.search(QUERIES, 5)
    assert [one.exact for one in found] == [True] * len(found)
    assert recall(found, right) == 1.0


def test_codes_that_lose_precision_still_meet_the_recall() -> None:
    count = 12_000
    vectors = vectors_of(3, count)
    ids = [f"id{number}" for number in range(count)]
    found = []
    for kind in ("IVF16,SQ4", "flat"):
        index = get_backend("faiss", index=kind).create_index("t", dimension=DIMENSION)
        index.upsert(ids, vectors)
        found.append(index.search(QUERIES, 10))
    assert recall(found[0], found[1]) >= 0.95


def test_an_effort_of_ones_own_is_used_as_it_is() -> None:
    little = index_of("ivf", nprobe=1)
    assert recall(little.search(QUERIES, 10), truth("cosine", 10)) < 0.9
    much = index_of("ivf", nprobe=10_000)
    assert recall(much.search(QUERIES, 10), truth("cosine", 10)) == 1.0


@pytest.mark.parametrize("kind", KINDS)
def test_reopening_takes_the_file_and_catches_up(kind: str, tmp_path: Path) -> None:
    with get_backend("faiss", index=kind, path=tmp_path) as store:
        index = store.create_index("t", dimension=DIMENSION)
        index.upsert(IDS, VECTORS)
        before = index.search(QUERIES, 10)
        index.delete(IDS[:5])
        index.upsert(["new"], QUERIES[:1])
    with get_backend("faiss", index=kind, path=tmp_path) as store:
        index = store.open_index("t")
        after = index.search(QUERIES, 10)
        assert entries(index) == COUNT + 1
        assert index.engine.builds == 0  # type: ignore[attr-defined]
    assert after[0].ids[0] == "new"
    found = {name for hits in after for name in hits.ids}
    assert not found & set(IDS[:5])
    kept = [Hits(tuple(set(hits.ids) - set(IDS[:5])), hits.distances) for hits in before]
    assert recall(after, kept) > 0.9


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _foreign(path: Path) -> None:
    path.write_bytes(b"something else " * 1000)


def _plain(path: Path) -> None:
    index = faiss.IndexFlatL2(DIMENSION)
    faiss.write_index(index, str(path))


@pytest.mark.parametrize("harm", [_cut, _flip, _empty, _foreign, _plain])
def test_a_file_that_cannot_be_trusted_is_replaced(harm: Any, tmp_path: Path) -> None:
    with get_backend("faiss", index="hnsw", path=tmp_path) as store:
        index = store.create_index("t", dimension=DIMENSION)
        index.upsert(IDS, VECTORS)
        before = index.search(QUERIES, 10)
    (path,) = (tmp_path / "faiss").iterdir()
    whole = path.stat().st_size
    harm(path)
    with get_backend("faiss", index="hnsw", path=tmp_path) as store:
        after = store.open_index("t").search(QUERIES, 10)
    assert recall(after, before) > 0.9
    assert path.stat().st_size == whole
    assert list(path.parent.iterdir()) == [path]


def test_the_file_of_an_older_index_of_the_name_misleads_nobody(tmp_path: Path) -> None:
    with get_backend("faiss", index="hnsw", path=tmp_path) as store:
        index = store.create_index("t", dimension=DIMENSION)
        index.upsert(IDS, VECTORS)
        index.search(QUERIES, 1)
        (path,) = (tmp_path / "faiss").iterdir()
        content = path.read_bytes()
        store.drop_index("t")
        assert not path.exists()
        path.write_bytes(content)
        index = store.create_index("t", dimension=DIMENSION)
        index.upsert([f"other{number}" for number in range(COUNT)], vectors_of(5))
        found = {name for hits in index.search(QUERIES, 10) for name in hits.ids}
        assert found
        assert all(name.startswith("other") for name in found)
        assert entries(index) == COUNT


def test_a_directory_that_takes_no_file_costs_the_cache_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "faiss").write_text("a file where the folder should be")
    index = index_of("hnsw", path=tmp_path)
    assert recall(index.search(QUERIES, 10), truth("cosine", 10)) > 0.9


def test_entries_of_a_file_are_told_apart_and_those_alike_are_paired_one_to_one(
    tmp_path: Path,
) -> None:
    vectors = np.concatenate([VECTORS, -VECTORS, VECTORS[:, ::-1], VECTORS[:20]])
    ids = [f"id{row}" for row in range(len(vectors))]
    gone = [*ids[:10], *ids[-10:]]
    with get_backend("faiss", index="hnsw", path=tmp_path) as store:
        index = store.create_index("t", dimension=DIMENSION, metric="euclidean")
        index.upsert(ids, vectors)
        index.search(vectors[0], 1)
        # Of the first twenty there are two each; of each two, one goes.
        index.delete(gone)
    with get_backend("faiss", index="hnsw", path=tmp_path) as store:
        again: Any = store.open_index("t")
        asked = np.concatenate([np.arange(10, 500), len(VECTORS) + np.arange(500)])
        for ranking in ("exact", "native"):
            found = again.search(vectors[asked], 1, ranking=ranking)
            right = [hits.ids == (ids[row],) for hits, row in zip(found, asked, strict=True)]
            assert np.mean(right) > 0.95
        twice = again.search(vectors[:20], 2)
        assert not {name for hits in twice for name in hits.ids} & set(gone)
        assert [hits.ids[0] for hits in twice] == [*ids[-20:-10], *ids[10:20]]
        assert again.engine.builds == 0
        assert entries(again) == len(ids)


@pytest.mark.parametrize("kind", ["hnsw", "ivf"])
def test_an_index_in_memory_of_ours_is_copied_before_it_grows(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((2600, 8), dtype=np.float32)
    ids = [f"id{number}" for number in range(2600)]
    with get_backend("faiss", index=kind, path=tmp_path) as store:
        index = store.create_index("t", dimension=8)
        index.upsert(ids[:2500], vectors[:2500])
        index.search(vectors[:1], 1)
    with get_backend("faiss", index=kind, path=tmp_path) as store:
        again: Any = store.open_index("t")
        again.search(vectors[:1], 1)
        again.upsert(ids[2500:], vectors[2500:])
        found = again.search(vectors[2500:], 1)
        assert (
            np.mean([hits.ids[0] == name for hits, name in zip(found, ids[2500:], strict=True)])
            >= 0.95
        )
