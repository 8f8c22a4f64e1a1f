"""Embeddings in fields of lists, and what a dot product says of vectors of different length."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.live.fiftyone.cases import Case, Digits, new_run
from vecbridge import InvalidArgumentError


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
    with pytest.raises(InvalidArgumentError, match="says nothing with the metric dotproduct"):
        index.find_duplicates(thresh=thresh)
    index.find_duplicates(thresh=-6000.0)
