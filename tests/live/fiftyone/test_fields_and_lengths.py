"""Embeddings in fields of lists, and what a dot product says of vectors of different length."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.live.fiftyone.cases import Case, Digits, new_run
from vecbridge import DimensionError, InvalidArgumentError


def test_embeddings_kept_as_lists_are_indexed_and_left_as_they_are(
    digits: Digits, path_case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = digits.dataset
    dataset.set_values("listed", [row.tolist() for row in digits.vectors])
    written: list[Any] = []
    original = type(dataset).set_values

    def note(self: Any, name: str, *rest: Any, **more: Any) -> None:
        written.append(name)
        original(self, name, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(type(dataset), "set_values", note)
        index = new_run(digits, path_case, metric="euclidean", embeddings="listed")
    assert (index.total_index_size, written) == (150, [])
    index.add_to_index(digits.vectors[:2] + 1, digits.ids[:2])
    assert dataset.values("listed")[:2] == (digits.vectors[:2] + 1).tolist()
    index.remove_from_index(sample_ids=digits.ids[:1])
    assert dataset.values("listed")[0] is None
    index.delete()


def test_vectors_of_different_length_are_warned_of_once_under_a_dot_product(
    digits: Digits, path_case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "vecbridge.fiftyone"):
        index = new_run(digits, path_case, metric="dotproduct", embeddings=digits.vectors)
        index.add_to_index(digits.vectors, digits.ids)
        new_run(digits, path_case, metric="cosine", embeddings=digits.vectors)
        lengths = (digits.vectors**2).sum(axis=1, keepdims=True) ** 0.5
        new_run(digits, path_case, metric="dotproduct", embeddings=digits.vectors / lengths)
    warned = [record.getMessage() for record in caplog.records if "lengths" in record.getMessage()]
    assert len(warned) == 1
    assert 'metric="cosine"' in warned[0]


@pytest.mark.parametrize("thresh", [0, 0.02, 1.0])
def test_a_threshold_that_no_dot_product_can_mean_is_refused(
    digits: Digits, path_case: Case, thresh: float
) -> None:
    index = new_run(digits, path_case, metric="dotproduct", embeddings=digits.vectors)
    with pytest.raises(InvalidArgumentError, match="is meaningless with the metric dotproduct"):
        index.find_duplicates(thresh=thresh)
    index.find_duplicates(thresh=-6000.0)


def test_the_lengths_of_an_existing_collection_are_looked_at(
    digits: Digits, path_case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    made = new_run(digits, path_case, metric="dotproduct", embeddings=digits.vectors)
    caplog.clear()
    name = made.config.collection_name
    with caplog.at_level(logging.WARNING, "vecbridge.fiftyone"):
        index = new_run(
            digits, path_case, metric="dotproduct", embeddings=False, collection_name=name
        )
    assert index.total_index_size == 150
    warned = [record.getMessage() for record in caplog.records]
    assert len(warned) == 1
    assert repr(name) in warned[0]
    assert 'metric="cosine"' in warned[0]


def _uneven(digits: Digits, kind: str, row: int) -> Any:
    vectors: list[Any] = list(digits.vectors)
    vectors[3], vectors[row] = None, vectors[row][:5]
    if kind == "lists":
        return [None if vector is None else vector.tolist() for vector in vectors]
    if kind == "mapping":
        return dict(zip(digits.ids, vectors, strict=True))
    return vectors


@pytest.mark.parametrize("where", ["field", "memory"])
@pytest.mark.parametrize("kind", ["lists", "arrays", "mapping"])
def test_embeddings_of_unequal_length_are_refused_before_anything_is_written(
    kind: str, where: str, digits: Digits, path_case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vecbridge.fiftyone.similarity import SklearnSimilarity

    dataset = digits.dataset
    uneven = _uneven(digits, kind, row=149)
    if where == "field":
        dataset.set_values("uneven", uneven, key_field="id" if kind == "mapping" else None)
        uneven = "uneven"
        # In parts, the last of which has the short one.
        small = type(SklearnSimilarity.part_sizes)(first=16, largest=16)
        monkeypatch.setattr(SklearnSimilarity, "part_sizes", small)
    try:
        options = {"metric": "cosine", "brain_key": "uneven", "collection_name": "uneven"}
        with pytest.raises(DimensionError) as refused:
            new_run(digits, path_case, embeddings=uneven, **options)
        said = str(refused.value)
        for part in (f"148 have 64 values (sample {digits.ids[0]!r})", "1 has 5 values"):
            assert part in said
        assert f"(sample {digits.ids[149]!r})" in said
        assert not dataset.has_brain_run("uneven")
        assert dataset.list_runs() == []
        index = new_run(digits, path_case, embeddings=False, **options)
        assert index.total_index_size == 0
        dataset.delete_brain_run("uneven")
    finally:
        if where == "field":
            dataset.delete_sample_field("uneven")


@pytest.mark.parametrize("overwrite", [True, False])
def test_rows_of_unequal_length_are_not_added(
    overwrite: bool, digits: Digits, path_case: Case
) -> None:
    index = new_run(digits, path_case, metric="cosine", embeddings=digits.vectors)
    rows = [digits.vectors[0].tolist(), digits.vectors[1, :5].tolist()]
    with pytest.raises(DimensionError, match=r"1 has 5 values \(id 'b'\)"):
        index.add_to_index(rows, ["a", "b"], overwrite=overwrite)
    assert index.total_index_size == 150


@pytest.mark.parametrize("where", ["field", "memory"])
def test_patches_of_unequal_length_are_refused_before_anything_is_written(
    where: str, digits: Digits, path_case: Case
) -> None:
    dataset, name = digits.dataset, digits.label_samples[-1]
    uneven: Any = {key: list(rows) for key, rows in digits.patches.items()}
    uneven[name][-1] = uneven[name][-1][:7]
    if where == "field":
        import fiftyone as fo

        dataset.add_sample_field("halves.detections.uneven", fo.VectorField)
        values = [uneven.get(key, []) for key in digits.ids]
        dataset.set_values("halves.detections.uneven", values)
        uneven = "uneven"
    try:
        with pytest.raises(DimensionError, match="1 has 7 values") as refused:
            new_run(digits, path_case, metric="cosine", patches_field="halves", embeddings=uneven)
        assert f"a label of sample {name!r}" in str(refused.value)
    finally:
        if where == "field":
            dataset.delete_sample_field("halves.detections.uneven")
