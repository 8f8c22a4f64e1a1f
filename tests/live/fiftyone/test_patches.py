"""Indexes of object patches, where a record is a label and a sample has none, one or two."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.live.fiftyone.cases import Case, Digits, new_run, ranked

pytestmark = pytest.mark.parametrize("case", ["sklearn-path"], indirect=True, scope="session")


@pytest.fixture(scope="session")
def changing(case: Case, digits: Digits) -> Iterator[Any]:
    """One index a store: a server takes seconds to make one."""
    index = new_run(
        digits, case, metric="cosine", patches_field="halves", embeddings=digits.patches
    )
    yield index
    index.delete()


@pytest.fixture
def patches(changing: Any, digits: Digits) -> Any:
    """An index of every patch, for the test to change."""
    changing.add_to_index(
        digits.patch_vectors, digits.label_samples, digits.label_ids, overwrite=False
    )
    return changing


def expected(digits: Digits, label_id: str) -> list[tuple[str, float]]:
    query = digits.patch_vectors[digits.label_ids.index(label_id)]
    return ranked("cosine", digits.label_ids, digits.patch_vectors, query)


def test_patches_view_is_sorted_by_label(patches: Any, digits: Digits) -> None:
    wanted = digits.label_ids[31]
    with patches.use_view(digits.dataset.to_patches("halves")):
        view = patches.sort_by_similarity(wanted, k=9, dist_field="patch_distance")
    found = list(zip(*view.values(["id", "patch_distance"]), strict=True))
    assert found == expected(digits, wanted)[:9]


def test_samples_view_holds_the_nearest_labels_and_their_distances(
    patches: Any, digits: Digits
) -> None:
    wanted = digits.label_ids[31]
    view = patches.sort_by_similarity(wanted, k=9, dist_field="distance")
    nearest = expected(digits, wanted)[:9]
    owners = dict(zip(digits.label_ids, digits.label_samples, strict=True))
    assert view.values("id") == list(dict.fromkeys(owners[label] for label, _ in nearest))
    ids, distances = view.values(
        ["halves.detections.id", "halves.detections.distance"], unwind=True
    )
    assert dict(zip(ids, distances, strict=True)) == dict(nearest)


def test_answers_name_the_sample_of_each_label(patches: Any, digits: Digits) -> None:
    samples, labels, dists = patches._kneighbors(digits.label_ids[4], return_dists=True)
    assert list(zip(labels, dists, strict=True)) == expected(digits, digits.label_ids[4])
    owners = dict(zip(digits.label_ids, digits.label_samples, strict=True))
    assert samples == [owners[label] for label in labels]


def test_view_of_samples_restricts_labels(patches: Any, digits: Digits) -> None:
    inside = set(digits.ids[30:60])
    owners = dict(zip(digits.label_ids, digits.label_samples, strict=True))
    with patches.use_view(digits.dataset.select(list(inside))):
        _, labels, _ = patches._kneighbors(digits.label_ids[0], return_dists=True)
        assert patches.index_size == len(labels)
    everything = expected(digits, digits.label_ids[0])
    assert labels == [label for label, _ in everything if owners[label] in inside]


def test_a_sample_stands_for_all_its_labels(patches: Any, digits: Digits) -> None:
    none, two = digits.ids[3], digits.ids[5]
    vectors, samples, labels = patches.get_embeddings(sample_ids=[none, two])
    assert samples.tolist() == [two, two]
    assert set(labels.tolist()) == {
        label
        for label, owner in zip(digits.label_ids, digits.label_samples, strict=True)
        if owner == two
    }
    rows = [digits.label_ids.index(label) for label in labels]
    assert np.array_equal(vectors, digits.patch_vectors[rows])
    before = patches.total_index_size
    patches.remove_from_index(sample_ids=[two])
    assert patches.total_index_size == before - 2
    with pytest.raises(ValueError, match="1 of the ids are not in the index"):
        patches.remove_from_index(sample_ids=[two], allow_missing=False)


def test_labels_are_got_and_removed_by_id(patches: Any, digits: Digits) -> None:
    wanted = [digits.label_ids[row] for row in (9, 2)]
    vectors, samples, labels = patches.get_embeddings(label_ids=wanted)
    assert labels.tolist() == wanted
    assert samples.tolist() == [digits.label_samples[9], digits.label_samples[2]]
    assert np.array_equal(vectors, digits.patch_vectors[[9, 2]])
    patches.remove_from_index(label_ids=wanted)
    assert patches.get_embeddings(label_ids=wanted)[2].tolist() == []
    assert patches.total_index_size == len(digits.label_ids) - 2


def test_labels_need_one_id_each(patches: Any, digits: Digits) -> None:
    with pytest.raises(ValueError, match="patches of field 'halves': give label_ids"):
        patches.add_to_index(digits.patch_vectors[:2], digits.label_samples[:2])
    with pytest.raises(ValueError, match="one label id per sample id; got 1 label ids and 2"):
        patches.add_to_index(
            digits.patch_vectors[:2], digits.label_samples[:2], label_ids=digits.label_ids[:1]
        )
