"""Indexes of the patches of a field that holds one label a sample, or none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.live.fiftyone.cases import Case, ranked

COUNT = 12


@pytest.fixture
def dataset(fob: Any) -> Iterator[Any]:
    """Samples of which every other one has a label."""
    import fiftyone as fo

    made = fo.Dataset("single_labels", overwrite=True)
    label = fo.Detection(label="half", bounding_box=[0.0, 0.0, 1.0, 1.0])
    labels = [label.copy() if row % 2 else None for row in range(COUNT)]
    paths = [f"/nowhere/{row}.png" for row in range(COUNT)]
    made.add_samples(
        [fo.Sample(filepath=path, one=one) for path, one in zip(paths, labels, strict=True)]
    )
    yield made
    made.delete()


def test_samples_without_a_label_are_left_out(fob: Any, dataset: Any, path_case: Case) -> None:
    vectors = np.random.default_rng(0).standard_normal((COUNT // 2, 8)).astype(np.float32)
    labelled = dataset.exists("one")
    owners, labels = labelled.values(["id", "one.id"])
    index = fob.compute_similarity(
        dataset,
        patches_field="one",
        embeddings=dict(zip(owners, vectors[:, None], strict=True)),
        metric="euclidean",
        backend=path_case.backend,
        brain_key="single",
        **path_case.options,
    )
    expected = ranked("euclidean", labels, vectors, vectors[2])
    assert index.label_ids.tolist() == sorted(labels)
    assert index.index_size == COUNT // 2
    view = index.sort_by_similarity(labels[2], dist_field="distance")
    found = list(zip(*view.values(["one.id", "one.distance"]), strict=True))
    assert found[: COUNT // 2] == expected
    with index.use_view(dataset[:8]):
        inside = [pair for pair in expected if pair[0] in dataset[:8].values("one.id")]
        _, names, dists = index._kneighbors(labels[2], return_dists=True)
        assert list(zip(names, dists, strict=True)) == inside
        assert index.index_size == len(inside)
    index.remove_from_index(sample_ids=owners[:1])
    assert index.get_embeddings(sample_ids=owners[:2])[2].tolist() == labels[1:2]
    index.find_duplicates(thresh=1e-3)
    assert index.unique_ids == sorted(labels[1:])
    index.delete()
