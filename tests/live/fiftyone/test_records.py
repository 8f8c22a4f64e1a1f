"""Adding, removing and getting records, with every policy that FiftyOne defines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.live.fiftyone.cases import Case, Digits, new_run

pytestmark = pytest.mark.parametrize("case", ["sklearn-path"], indirect=True, scope="session")


@pytest.fixture(scope="session")
def changing(case: Case, digits: Digits) -> Iterator[Any]:
    """One index a store: a server takes seconds to make one."""
    index = new_run(digits, case, metric="euclidean", embeddings=False)
    yield index
    index.delete()


@pytest.fixture
def half(changing: Any, digits: Digits) -> Any:
    """An index of the first twenty digits, for the test to change."""
    changing.remove_from_index(sample_ids=digits.ids)
    changing.add_to_index(digits.vectors[:20], digits.ids[:20])
    return changing


def vector_of(index: Any, sample_id: str) -> Any:
    return index.get_embeddings(sample_ids=sample_id)[0][0]


def test_adding_again_replaces_and_counts_once(half: Any, digits: Digits) -> None:
    half.add_to_index(digits.vectors[20:35] + 1, digits.ids[10:25])
    assert half.total_index_size == 25
    assert np.array_equal(vector_of(half, digits.ids[12]), digits.vectors[22] + 1)
    assert np.array_equal(vector_of(half, digits.ids[9]), digits.vectors[9])


def test_without_overwrite_what_is_there_stays(
    half: Any, digits: Digits, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("WARNING"):
        half.add_to_index(
            digits.vectors[20:35] + 1, digits.ids[10:25], overwrite=False, warn_existing=True
        )
    assert half.total_index_size == 25
    assert np.array_equal(vector_of(half, digits.ids[12]), digits.vectors[12])
    assert np.array_equal(vector_of(half, digits.ids[22]), digits.vectors[32] + 1)
    assert "Ignoring 10 IDs that are already present" in caplog.text


def test_existing_ids_may_be_refused(half: Any, digits: Digits) -> None:
    with pytest.raises(ValueError, match=f"10 of 15 ids are in the index .* '{digits.ids[10]}'"):
        half.add_to_index(
            digits.vectors[10:25], digits.ids[10:25], overwrite=False, allow_existing=False
        )
    assert half.total_index_size == 20


def test_bad_vectors_change_nothing(half: Any, digits: Digits) -> None:
    broken = digits.vectors[20:23].copy()
    broken[1, 0] = np.nan
    with pytest.raises(
        ValueError, match=f"row 1 has NaN or infinity, the vector of '{digits.ids[21]}'"
    ):
        half.add_to_index(broken, digits.ids[20:23])
    with pytest.raises(ValueError, match="64 dimensions, as the index has; got 63"):
        half.add_to_index(digits.vectors[20:23, 1:], digits.ids[20:23])
    assert half.total_index_size == 20


def test_removed_records_are_gone_at_once(half: Any, digits: Digits) -> None:
    half.remove_from_index(sample_ids=digits.ids[:5])
    assert half.total_index_size == half.index_size == 15
    assert not set(digits.ids[:5]) & set(half.sample_ids.tolist())
    assert half._kneighbors(digits.vectors[0], k=None)[0][0] not in digits.ids[:5]


def test_missing_ids_are_ignored_reported_or_refused(
    half: Any, digits: Digits, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ValueError, match="2 of the ids are not in the index"):
        half.remove_from_index(sample_ids=digits.ids[18:22], allow_missing=False)
    assert half.total_index_size == 20
    with caplog.at_level("WARNING"):
        half.remove_from_index(sample_ids=digits.ids[18:22], warn_missing=True)
    assert half.total_index_size == 18
    assert "Ignoring 2 IDs that are not present" in caplog.text


def test_embeddings_come_in_the_order_asked_for(half: Any, digits: Digits) -> None:
    wanted = [digits.ids[row] for row in (7, 3, 11)]
    vectors, samples, labels = half.get_embeddings(sample_ids=np.array(wanted))
    assert (samples.tolist(), labels) == (wanted, None)
    assert np.array_equal(vectors, digits.vectors[[7, 3, 11]])


def test_missing_embeddings_are_left_out_or_refused(half: Any, digits: Digits) -> None:
    wanted = digits.ids[18:22]
    assert half.get_embeddings(sample_ids=wanted)[1].tolist() == digits.ids[18:20]
    with pytest.raises(ValueError, match="2 of the ids are not in the index"):
        half.get_embeddings(sample_ids=wanted, allow_missing=False)
    with pytest.raises(ValueError, match="samples, not labels"):
        half.get_embeddings(label_ids=wanted)


def test_missing_size_counts_what_the_view_has_more(half: Any, digits: Digits) -> None:
    with half.use_view(digits.dataset[15:30]):
        assert (half.index_size, half.missing_size) == (5, 10)
        with pytest.raises(ValueError, match="not present"):
            half.use_view(digits.dataset[15:30], allow_missing=False).index_size  # noqa: B018


def test_cleanup_leaves_an_index_that_can_be_filled_again(case: Case, digits: Digits) -> None:
    index = new_run(digits, case, embeddings=digits.vectors)
    index.cleanup()
    index.cleanup()
    assert index.total_index_size == index.index_size == 0
    assert index.get_embeddings()[1].tolist() == []
    assert index.config.collection_name not in index.store.index_names()
    index.add_to_index(digits.vectors[:3, :8], digits.ids[:3])
    assert index.total_index_size == 3
    index.delete()
