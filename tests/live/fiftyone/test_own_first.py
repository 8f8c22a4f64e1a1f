"""A sample that is asked for is first in its own result, whatever the ids of its duplicates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import vecbridge
from tests.live.fiftyone.cases import Case

COPIES = 10
"""The first so many samples have one vector; the ids of samples ascend."""

stores = pytest.mark.parametrize(
    "case", ["sklearn-path", "faiss-path", "torch-path", "milvus-lite"], indirect=True
)


@dataclass
class Copies:
    """Samples of which the first ones are duplicates, each with two patches."""

    dataset: Any
    ids: list[str]
    labels: list[str]
    vectors: Any

    def indexed(self, case: Case, vectors: Any = None, **options: Any) -> Any:
        import fiftyone.brain as fob

        for key in self.dataset.list_brain_runs():
            self.dataset.load_brain_results(key).delete()
        given = {"backend": case.backend, "brain_key": "copies", "metric": "cosine"}
        embeddings = self.vectors if vectors is None else vectors
        everything = {**given, **case.options, "embeddings": embeddings, **options}
        return fob.compute_similarity(self.dataset, **everything)


@pytest.fixture
def copies(fob: Any) -> Iterator[Copies]:
    import fiftyone as fo

    vectors = np.random.default_rng(3).standard_normal((40, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[:COPIES] = vectors[0]
    boxes = [[0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 0.5, 1.0]]
    dataset = fo.Dataset()
    dataset.add_samples(
        fo.Sample(
            filepath=f"/nowhere/{row}.png",
            halves=fo.Detections(detections=[fo.Detection(bounding_box=box) for box in boxes]),
        )
        for row in range(len(vectors))
    )
    labels = dataset.values("halves.detections.id", unwind=True)
    yield Copies(dataset, dataset.values("id"), labels, vectors)
    for key in dataset.list_brain_runs():
        dataset.load_brain_results(key).delete()
    dataset.delete()


def others(ids: list[str], *own: str) -> list[str]:
    """The duplicates, in the order of their ids."""
    return [name for name in ids[:COPIES] if name not in own]


@stores
@pytest.mark.parametrize("metric", vecbridge.METRICS)
def test_sample_precedes_its_duplicates(copies: Copies, case: Case, metric: str) -> None:
    index = copies.indexed(case, metric=metric)
    for wanted in copies.ids[:COPIES:3]:
        expected = [wanted, *others(copies.ids, wanted)]
        for k in (1, 2, COPIES, 25, None):
            view = index.sort_by_similarity(wanted, k=k, dist_field="distance")
            assert view.values("id")[:COPIES] == expected[:k]
            assert len(view) == (k or len(copies.ids))
            distances = view.values("distance")
            assert distances == sorted(distances)
            assert copies.dataset.sort_by_similarity(wanted, k=k, brain_key="copies").values(
                "id"
            ) == view.values("id")


@stores
def test_views_hold_it_first_or_not_at_all(copies: Copies, case: Case) -> None:
    index, wanted = copies.indexed(case), copies.ids[8]
    for inside in (copies.ids[3:12], copies.ids[3:8]):
        with index.use_view(copies.dataset.select(inside)):
            found = index.sort_by_similarity(wanted, k=3).values("id")
        first = [wanted] if wanted in inside else []
        assert found == [*first, *inside][:3]


def test_rounding_puts_nothing_before_it(copies: Copies, path_case: Case) -> None:
    rows = np.array([[1 / (3 + row)] for row in range(COPIES)], np.float32)
    parallel = np.concatenate([copies.vectors[:COPIES] * rows, copies.vectors[COPIES:]])
    index = copies.indexed(path_case, parallel)
    for wanted in copies.ids[:COPIES]:
        for k in (1, 5, None):
            assert index.sort_by_similarity(wanted, k=k).first().id == wanted


def test_dot_product_ranks_longer_vectors_before_it(copies: Copies, path_case: Case) -> None:
    vectors = copies.vectors.copy()
    vectors[20] = 2 * vectors[0]
    index, wanted = copies.indexed(path_case, vectors, metric="dotproduct"), copies.ids[7]
    expected = [copies.ids[20], wanted, *others(copies.ids, wanted)]
    for k in (1, 2, 5):
        assert index.sort_by_similarity(wanted, k=k).values("id") == expected[:k]


@stores
@pytest.mark.parametrize("aggregation", ["mean", "post-mean", "post-min", "post-max"])
def test_several_precede_others_at_an_equal_distance(
    copies: Copies, case: Case, aggregation: str
) -> None:
    index, wanted = copies.indexed(case, metric="euclidean"), [copies.ids[9], copies.ids[4]]
    expected = [*sorted(wanted), *others(copies.ids, *wanted)]
    for k in (1, 2, 5, None):
        view = index.sort_by_similarity(wanted, k=k, aggregation=aggregation)
        assert view.values("id")[:COPIES] == expected[:k]


def test_each_answer_to_several_queries_begins_with_its_own(
    copies: Copies, path_case: Case
) -> None:
    index = copies.indexed(path_case)
    wanted = [copies.ids[9], copies.ids[30], copies.ids[4]]
    found, _ = index._kneighbors(wanted, k=3)
    assert [names[0] for names in found] == wanted
    assert found[0][1:] == others(copies.ids, wanted[0])[:2]


def test_least_similar_are_in_the_order_of_the_store(copies: Copies, path_case: Case) -> None:
    index, wanted = copies.indexed(path_case), copies.ids[9]
    assert index.sort_by_similarity(wanted, reverse=True).values("id")[-COPIES:] == copies.ids[:10]


def test_deleted_sample_is_not_in_its_own_result(copies: Copies, path_case: Case) -> None:
    index, wanted = copies.indexed(path_case), copies.ids[9]
    copies.dataset.delete_samples([wanted])
    assert index.sort_by_similarity(wanted, k=3).values("id") == copies.ids[:3]


@stores
def test_patch_precedes_its_duplicates(copies: Copies, case: Case) -> None:
    rows = dict(zip(copies.ids, np.repeat(copies.vectors[:, None], 2, axis=1), strict=True))
    index = copies.indexed(case, rows, patches_field="halves")
    wanted = copies.labels[7]
    for k in (1, 4, None):
        view = copies.dataset.to_patches("halves").sort_by_similarity(
            wanted, k=k, brain_key="copies"
        )
        assert view.values("id")[:4] == [wanted, *copies.labels[:3]][:k]
    assert index.sort_by_similarity(wanted, k=1).values("id") == [copies.ids[3]]


def test_approximate_index_that_misses_it_has_it_too(
    copies: Copies, path_case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, search = copies.indexed(path_case), vecbridge.Index.search_aggregated

    def approximate(self: Any, *args: Any, within: Any = None, **options: Any) -> vecbridge.Hits:
        """Misses the nearest of everything, and says that it may."""
        hits = search(self, *args, within=within, **options)
        if within is not None:
            return hits
        return vecbridge.Hits(hits.ids[5:], hits.distances[5:], exact=False)

    monkeypatch.setattr(vecbridge.Index, "search_aggregated", approximate)
    assert index.sort_by_similarity(copies.ids[0], k=8).first().id == copies.ids[0]
