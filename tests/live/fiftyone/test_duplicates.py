"""Near duplicates and uniqueness, through FiftyOne's own methods."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.live.fiftyone.cases import Case, Digits, new_run
from tests.oracle import oracle_distances
from vecbridge import InvalidArgumentError

METRICS = ["cosine", "dotproduct", "euclidean"]
FROM_ZERO = ["cosine", "euclidean"]


@pytest.fixture
def copies(digits: Digits, path_case: Case, request: pytest.FixtureRequest) -> Any:
    """An index in which the last ten digits are copies of the first ten."""
    vectors = digits.vectors.copy()
    vectors[-10:] = vectors[:10]
    return new_run(digits, path_case, metric=request.param, embeddings=vectors)


@pytest.mark.parametrize("copies", FROM_ZERO, indirect=True)
def test_copies_are_found_with_their_originals(copies: Any, digits: Digits) -> None:
    copies.find_duplicates(thresh=1e-9)
    assert set(copies.duplicate_ids) == set(digits.ids[-10:])
    assert set(copies.unique_ids) == set(digits.ids[:-10])
    found = {original: pairs[0] for original, pairs in copies.neighbors_map.items()}
    assert {original: pair[0] for original, pair in found.items()} == dict(
        zip(digits.ids[:10], digits.ids[-10:], strict=True)
    )
    assert max(abs(pair[1]) for pair in found.values()) < 1e-12


@pytest.mark.parametrize("copies", ["cosine"], indirect=True)
def test_unique_samples_may_be_more_than_mongodb_takes_in_a_query(
    copies: Any, digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    import vecbridge.fiftyone._views as views

    def asked(*_: Any) -> list[str]:
        raise AssertionError("the view is sent to the database")

    monkeypatch.setattr(views, "NAMED_AT_MOST_IDS", 50)
    monkeypatch.setattr(views, "first_ids_of", asked)
    copies.find_duplicates(thresh=1e-9)
    found = {original: pairs[0][0] for original, pairs in copies.neighbors_map.items()}
    assert found == dict(zip(digits.ids[:10], digits.ids[-10:], strict=True))


@pytest.mark.parametrize("copies", ["cosine"], indirect=True)
@pytest.mark.parametrize("asked", [{}, {"thresh": float("nan")}])
def test_duplicates_of_no_threshold_are_refused(copies: Any, asked: dict[str, float]) -> None:
    with pytest.raises(InvalidArgumentError, match="give thresh"):
        copies.find_duplicates(**asked)


@pytest.mark.parametrize("copies", METRICS, indirect=True)
def test_unique_records_are_as_many_as_asked_for_and_apart(copies: Any, digits: Digits) -> None:
    copies.find_unique(20)
    assert len(copies.unique_ids) == 20
    vectors, samples, _ = copies.get_embeddings(sample_ids=copies.unique_ids)
    index = {name: row for row, name in enumerate(samples.tolist())}
    with copies.use_view(digits.dataset.select(list(index))):
        _, dists = copies._kneighbors(k=1, return_dists=True)
    assert min(float(each[0]) for each in dists) > copies.thresh
    assert len(np.unique(vectors, axis=0)) == 20


@pytest.mark.parametrize("copies", FROM_ZERO, indirect=True)
def test_duplicates_are_looked_for_within_a_view(copies: Any, digits: Digits) -> None:
    with copies.use_view(digits.dataset[5:]):
        copies.find_duplicates(thresh=1e-9)
    assert set(copies.duplicate_ids) == set(digits.ids[-5:])


@pytest.mark.parametrize("copies", METRICS, indirect=True)
def test_distances_to_the_nearest_are_plotted(copies: Any) -> None:
    figure = copies.plot_distances(backend="matplotlib")
    assert figure is not None


@pytest.mark.parametrize("copies", METRICS, indirect=True)
def test_fraction_of_duplicates_is_dropped_and_each_is_near_what_is_kept(copies: Any) -> None:
    copies.find_duplicates(fraction=0.3)
    # Whole numbers have equal distances, which no threshold tells apart.
    assert 40 <= len(copies.duplicate_ids) <= 45
    assert sorted(copies.duplicate_ids + copies.unique_ids) == copies.current_sample_ids.tolist()
    found = [pair for pairs in copies.neighbors_map.values() for pair in pairs]
    assert {name for name, _ in found} == set(copies.duplicate_ids)
    assert max(distance for _, distance in found) <= copies.thresh


@pytest.mark.parametrize("copies", ["cosine"], indirect=True)
def test_copies_that_cannot_be_split_are_kept_together(copies: Any) -> None:
    copies.find_unique(145)
    assert len(copies.unique_ids) >= 145
    assert copies.thresh < 1e-9
    copies.find_unique(0)
    assert (copies.unique_ids, copies.thresh) == ([], None)
    copies.find_unique(1000)
    assert len(copies.unique_ids) == 150


@pytest.mark.parametrize("copies", ["euclidean"], indirect=True)
def test_pairs_are_computed_again_after_a_write(copies: Any, digits: Digits) -> None:
    copies.find_duplicates(thresh=1e-9)
    assert len(copies.duplicate_ids) == 10
    copies.add_to_index(digits.vectors[-10:], digits.ids[-10:])
    copies.find_duplicates(thresh=1e-9)
    assert copies.duplicate_ids == []


@pytest.fixture(params=METRICS)
def hard(fob: Any, path_case: Case, request: pytest.FixtureRequest) -> Any:
    """Copies, neighbours one rounding apart, zeros, small integers and an offset, and a metric."""
    import fiftyone as fo

    rng = np.random.default_rng(7)
    near = np.tile(rng.normal(size=9), (8, 1)).astype(np.float32)
    near[4:] = np.nextafter(near[4:], np.float32(np.inf))
    integers = rng.integers(-2, 3, size=(12, 9)).astype(np.float32)
    offset = (1000.0 + rng.normal(size=(6, 9))).astype(np.float32)
    vectors = np.concatenate([near, np.zeros((2, 9), np.float32), integers, offset])
    dataset = fo.Dataset()
    dataset.add_samples([fo.Sample(filepath=f"/nowhere/{row}.png") for row in range(len(vectors))])
    given = {"backend": path_case.backend, "metric": request.param, **path_case.options}
    index = fob.compute_similarity(dataset, embeddings=vectors, brain_key="hard", **given)
    table = [oracle_distances(request.param, query, vectors) for query in vectors]
    yield index, dataset.values("id"), np.array(table)
    index.delete()
    dataset.delete()


def test_as_many_are_kept_as_ties_allow(hard: Any) -> None:
    index, ids, table = hard
    for wanted in range(1, len(ids)):
        index.find_unique(wanted)
        positions = [ids.index(name) for name in index.unique_ids]
        assert len(positions) >= wanted
        apart = table[np.ix_(positions, positions)]
        assert (apart[np.triu_indices(len(positions), 1)] > index.thresh).all()


def test_distance_that_is_given_with_a_fraction_is_tried_first(hard: Any) -> None:
    index, ids, table = hard
    limit = float(np.quantile(table, 0.2))
    if index.config.metric == "dotproduct":
        limit = min(limit, -1.0)
    index.find_duplicates(thresh=limit)
    dropped = len(index.duplicate_ids)
    assert 0 < dropped < len(ids)
    index.find_duplicates(thresh=limit, fraction=dropped / len(ids))
    assert (len(index.duplicate_ids), index.thresh) == (dropped, limit)
