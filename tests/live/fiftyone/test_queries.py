"""Every query that FiftyOne defines gives the oracle's ranking, bit for bit, on every store."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.live.fiftyone.cases import Digits, ranked
from tests.live.fiftyone.conftest import RUNS

pytestmark = pytest.mark.parametrize(("case", "metric"), RUNS, indirect=True, scope="session")

AGGREGATIONS = ["mean", "post-mean", "post-min", "post-max"]


def oracle(digits: Digits, metric: str, queries: Any, *args: Any, **kwargs: Any) -> Any:
    return ranked(metric, digits.ids, digits.vectors, queries, *args, **kwargs)


@pytest.mark.parametrize("k", [1, 7, 150, 1000, None])
@pytest.mark.parametrize("reverse", [False, True])
def test_view_is_sorted_by_the_exact_distance(
    images: Any, digits: Digits, metric: str, k: int | None, reverse: bool
) -> None:
    view = images.sort_by_similarity(digits.ids[5], k=k, reverse=reverse, dist_field="distance")
    expected = oracle(digits, metric, digits.vectors[5], reverse=reverse)[:k]
    assert list(zip(*view.values(["id", "distance"]), strict=True)) == expected


@pytest.mark.parametrize("reverse", [False, True])
def test_sorts_by_one_record_after_another_are_exact(
    images: Any, digits: Digits, metric: str, reverse: bool
) -> None:
    for name, vector in zip(digits.ids[:20], digits.vectors, strict=False):
        found, _, dists = images._kneighbors(name, k=7, reverse=reverse, return_dists=True)
        expected = oracle(digits, metric, vector, reverse=reverse)[:7]
        assert list(zip(found, dists, strict=True)) == expected
        view = images.sort_by_similarity(name, k=7, reverse=reverse)
        assert view.values("id") == found


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("reverse", [False, True])
def test_several_queries_make_one_ranking(
    images: Any, digits: Digits, metric: str, aggregation: str, reverse: bool
) -> None:
    rows = [3, 77, 20, 3, 140, 61, 99, 12, 5, 8, 9]
    expected = oracle(digits, metric, digits.vectors[rows], aggregation, reverse=reverse)
    names = [digits.ids[row] for row in rows]
    by_ids = images._kneighbors(
        query=names,
        reverse=reverse,
        aggregation=aggregation,
        return_dists=True,
    )
    by_vectors = images._kneighbors(
        query=digits.vectors[rows], reverse=reverse, aggregation=aggregation, return_dists=True
    )
    assert list(zip(by_vectors[0], by_vectors[2], strict=True)) == expected
    if not reverse:
        # Of those at an equal distance, the records that were asked for come first.
        expected.sort(key=lambda hit: (hit[1], hit[0] not in names))
    assert list(zip(by_ids[0], by_ids[2], strict=True)) == expected
    assert by_ids[1] is by_vectors[1] is None


def test_queries_without_aggregation_are_answered_one_by_one(
    images: Any, digits: Digits, metric: str
) -> None:
    rows = [8, 8, 2]
    ids, _, dists = images._kneighbors(query=digits.vectors[rows], k=4, return_dists=True)
    for row, found, distances in zip(rows, ids, dists, strict=True):
        expected = oracle(digits, metric, digits.vectors[row])[:4]
        assert list(zip(found, distances, strict=True)) == expected
    assert images._kneighbors(query=digits.ids[8], k=4)[0] == ids[0]
    assert images._kneighbors(query=digits.vectors[8], k=4)[0] == ids[0]
    assert images._kneighbors(query=[digits.ids[8]], k=4)[0] == [ids[0]]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("queries", [slice(0, 3), slice(0, 1), slice(50, 51)])
def test_view_restricts_results_and_not_queries(
    images: Any, digits: Digits, metric: str, queries: slice, reverse: bool
) -> None:
    inside, wanted = digits.ids[40:90], digits.ids[queries]
    with images.use_view(digits.dataset.select(inside)):
        view = images.sort_by_similarity(wanted, k=6, reverse=reverse, dist_field="inside")
        found = list(zip(*view.values(["id", "inside"]), strict=True))
    everything = oracle(digits, metric, digits.vectors[queries], reverse=reverse)
    assert found == [pair for pair in everything if pair[0] in inside][:6]


def test_view_without_indexed_samples_gives_nothing(images: Any, digits: Digits) -> None:
    with images.use_view(digits.dataset.limit(1).skip(1)):
        assert len(images.sort_by_similarity(digits.ids[0], k=3, dist_field="nothing")) == 0
    assert "nothing" in digits.dataset.get_field_schema()


def test_dataset_stage_and_mongo_pipeline_agree_with_the_index(
    images: Any, digits: Digits, metric: str
) -> None:
    view = digits.dataset.sort_by_similarity(digits.ids[9], k=5, brain_key=images.key)
    expected = [name for name, _ in oracle(digits, metric, digits.vectors[9])[:5]]
    assert view.values("id") == expected
    pipeline = images.sort_by_similarity(digits.ids[9], k=5, dist_field="staged", _mongo=True)
    found = digits.dataset._aggregate(pipeline=pipeline)
    assert [str(document["_id"]) for document in found] == expected


def test_neighbours_of_every_record_leave_out_itself(
    images: Any, digits: Digits, metric: str
) -> None:
    inds, dists = images._kneighbors(k=3, return_dists=True)
    ids = images.current_sample_ids.tolist()
    for row in (0, 17, 149):
        expected = oracle(digits, metric, digits.vectors[digits.row(ids[row])])
        others = [pair for pair in expected if pair[0] != ids[row]][:3]
        found = [ids[position] for position in inds[row]]
        assert list(zip(found, dists[row].tolist(), strict=True)) == others


def test_radius_holds_exactly_what_is_within_it(images: Any, digits: Digits, metric: str) -> None:
    expected = oracle(digits, metric, digits.vectors[30])
    radius = expected[11][1]
    ids, _, dists = images._radius_neighbors(digits.ids[30], thresh=radius, return_dists=True)
    assert list(zip(ids, dists, strict=True)) == [pair for pair in expected if pair[1] <= radius]
    ordered = images.current_sample_ids.tolist()
    around = images._radius_neighbors(thresh=radius)[ordered.index(digits.ids[30])]
    assert {ordered[position] for position in around} == set(ids) - {digits.ids[30]}


def test_unknown_query_ids_are_refused(images: Any, digits: Digits) -> None:
    stranger = "0" * 24
    with pytest.raises(ValueError, match=f"1 of 2 query ids are no samples .* '{stranger}'"):
        images.sort_by_similarity([digits.ids[0], stranger], k=3)


def test_unknown_aggregation_and_bad_k_are_refused(images: Any, digits: Digits) -> None:
    with pytest.raises(ValueError, match="aggregation must be one of mean, post-mean"):
        images.sort_by_similarity(digits.ids[0], k=3, aggregation="median")
    with pytest.raises(ValueError, match="k must be at least 1; got 0"):
        images.sort_by_similarity(digits.ids[0], k=0)


def test_stored_vectors_come_back_bit_for_bit(images: Any, digits: Digits) -> None:
    vectors, samples, labels = images.get_embeddings()
    rows = [digits.row(name) for name in samples.tolist()]
    assert sorted(rows) == list(range(len(digits.ids)))
    assert np.array_equal(vectors, digits.vectors[rows])
    assert labels is None


def test_sizes_and_ids_follow_the_view(images: Any, digits: Digits) -> None:
    assert images.total_index_size == images.index_size == len(digits.ids)
    assert set(images.sample_ids.tolist()) == set(digits.ids)
    with images.use_view(digits.dataset[:20]):
        assert (images.index_size, images.missing_size) == (20, None)
        assert images.values("id") == images.current_sample_ids.tolist() == digits.ids[:20]
