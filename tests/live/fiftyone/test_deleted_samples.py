"""Samples and labels that the dataset has lost take no place among the nearest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.live.fiftyone.cases import Case, Digits, make_digits, new_run, ranked

QUERIES = [0, 7, 33]


@pytest.fixture
def own(fob: Any, tmp_path: Path) -> Digits:
    """A dataset that a test may take samples from."""
    return make_digits(tmp_path, count=60)


@pytest.mark.parametrize("gone", [range(1, 3), range(1, 60, 2), range(1, 58)])
@pytest.mark.parametrize("k", [1, 2, 5, None])
@pytest.mark.parametrize("reverse", [False, True])
def test_deleted_samples_take_no_place(
    own: Digits, path_case: Case, gone: range, k: int | None, reverse: bool
) -> None:
    index = new_run(own, path_case, metric="euclidean", embeddings=own.vectors)
    own.dataset.delete_samples([own.ids[row] for row in gone])
    left = [row for row in range(60) if row not in gone]
    ids, vectors = [own.ids[row] for row in left], own.vectors[left]
    for row in QUERIES:
        expected = ranked("euclidean", ids, vectors, own.vectors[row], reverse=reverse)[:k]
        found, _, dists = index._kneighbors(own.ids[row], k=k, reverse=reverse, return_dists=True)
        assert list(zip(found, dists, strict=True)) == expected
        several, _, _ = index._kneighbors(
            own.vectors[[row, row]], k=k, reverse=reverse, return_dists=True
        )
        assert several == [found, found]
        view = index.sort_by_similarity(own.ids[row], k=k, reverse=reverse, dist_field="far")
        assert view.values("id") == found
        with index.use_view(own.dataset[:2]):
            inside = index._kneighbors(own.ids[row], k=k, reverse=reverse)[0]
        assert inside == [name for name in found if name in ids[:2]] or k is not None
    assert index.total_index_size == 60


def test_deleted_samples_are_no_duplicates_and_not_unique(own: Digits, path_case: Case) -> None:
    vectors = own.vectors.copy()
    vectors[50:] = vectors[:10]
    index = new_run(own, path_case, metric="euclidean", embeddings=vectors)
    own.dataset.delete_samples(own.ids[:5])
    index.reload()
    index.find_duplicates(thresh=1e-9)
    assert set(index.duplicate_ids) == set(own.ids[55:])
    index.find_unique(20)
    assert not set(index.unique_ids) & set(own.ids[:5])
    assert index.current_sample_ids.tolist() == own.ids[5:]


def test_a_deleted_label_takes_no_place_and_its_distance_is_not_written(
    own: Digits, path_case: Case
) -> None:
    index = new_run(
        own, path_case, metric="euclidean", patches_field="halves", embeddings=own.patches
    )
    first = own.label_ids[4]
    order = index._kneighbors(first, k=9)[1]
    own.dataset.delete_labels(ids=order[1:4], fields="halves")
    own.dataset.delete_samples([own.label_samples[own.label_ids.index(order[5])]])
    there = own.dataset.values("halves.detections.id", unwind=True)

    _, found = index._kneighbors(first, k=5)

    assert len(found) == 5
    assert set(found) <= set(there)
    everything = index._kneighbors(first)[1]
    assert (set(everything), everything[:5]) == (set(there), found)
    view = index.sort_by_similarity(first, k=5, dist_field="far")
    assert set(view.values("halves.detections.id", unwind=True)) == set(found)
