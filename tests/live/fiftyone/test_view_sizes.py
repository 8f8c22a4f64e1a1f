"""Views of any size hold the ranking of the index, however it is found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import vecbridge
from tests.live.fiftyone.cases import Case, ranked
from vecbridge import METRICS

COUNT = 1500
SMALL = 128
"""Up to so many samples, a view is fetched; one of more than 512 is over-fetched."""


@dataclass
class Line:
    """A dataset whose samples are indexed, in their order, by their vectors."""

    dataset: Any
    ids: list[str]
    vectors: Any

    def indexed(self, case: Case, **options: Any) -> Any:
        """Computes the similarity of all samples."""
        import fiftyone.brain as fob

        for key in self.dataset.list_brain_runs():
            self.dataset.load_brain_results(key).delete()
        given = {"backend": case.backend, "brain_key": "line", **case.options}
        return fob.compute_similarity(self.dataset, embeddings=self.vectors, **given, **options)

    def expected(
        self, metric: str, query: int, view: Sequence[str], k: int | None, *, reverse: bool
    ) -> list[tuple[str, float]]:
        """The oracle's ranking of a view by one of the samples, which is first itself."""
        inside, own = set(view), self.ids[query]
        order = ranked(metric, self.ids, self.vectors, self.vectors[query], reverse=reverse)
        if not reverse and metric != "dotproduct":
            order.sort(key=lambda pair: pair[0] != own)
        elif not reverse:
            order.sort(key=lambda pair: (pair[1], pair[0] != own))
        return [pair for pair in order if pair[0] in inside][:k]


@pytest.fixture(scope="module")
def line(fob: Any) -> Any:
    """Samples without files, in clusters, with copies of some vectors."""
    import fiftyone as fo

    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((8, 12))[rng.integers(0, 8, COUNT)]
    vectors += 0.5 * rng.standard_normal(vectors.shape)
    vectors[1::9] = vectors[0::9][: len(vectors[1::9])]
    dataset = fo.Dataset()
    dataset.add_samples([fo.Sample(filepath=f"/nowhere/{row}.png") for row in range(COUNT)])
    yield Line(dataset, dataset.values("id"), vectors.astype(np.float32))
    for key in dataset.list_brain_runs():
        dataset.load_brain_results(key).delete()
    dataset.delete()


def answer(index: Any, query: str, k: int | None, *, reverse: bool) -> list[tuple[str, float]]:
    view = index.sort_by_similarity(query, k=k, reverse=reverse, dist_field="distance")
    return list(zip(*view.values(["id", "distance"]), strict=True))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("backend", ["sklearn", "faiss"])
def test_small_views_of_every_kind(line: Line, tmp_path: Any, metric: str, backend: str) -> None:
    index = line.indexed(Case(f"vecbridge_{backend}", {"path": str(tmp_path)}), metric=metric)
    views = {
        "small": line.ids[40 : 40 + SMALL],
        "one more": line.ids[40 : 40 + SMALL + 1],
        "one": line.ids[50:51],
    }
    for inside in views.values():
        for query in (0, 45, 46, 49, 50):
            for k, reverse in [(1, False), (25, True), (300, False), (None, True)]:
                with index.use_view(line.dataset.select(inside)):
                    found = answer(index, line.ids[query], k, reverse=reverse)
                assert found == line.expected(metric, query, inside, k, reverse=reverse)


def test_small_view_that_holds_a_sample_twice(line: Line, path_case: Case) -> None:
    index = line.indexed(path_case, metric="cosine")
    view = line.dataset[:9].concat(line.dataset[5:15])
    with index.use_view(view):
        found, _, dists = index._kneighbors(line.ids[6], return_dists=True)
    expected = line.expected("cosine", 6, line.ids[:15], None, reverse=False)
    assert list(zip(found, dists, strict=True)) == expected


def test_small_view_refuses_what_every_sort_refuses(line: Line, path_case: Case) -> None:
    index = line.indexed(path_case, metric="cosine")
    with index.use_view(line.dataset[:5]):
        with pytest.raises(ValueError, match="k must be at least 1; got 0"):
            index.sort_by_similarity(line.ids[0], k=0)
        with pytest.raises(ValueError, match="1 of 1 query ids are no samples"):
            index.sort_by_similarity("0" * 24, k=3)


@pytest.mark.parametrize(
    "case", ["sklearn-path", "faiss-path", "milvus-lite", "milvus-server"], indirect=True
)
def test_large_views_are_ranked_like_everything(line: Line, case: Case) -> None:
    index = line.indexed(case, metric="euclidean")
    views = {
        "half": line.ids[::2],
        "two thirds": [name for row, name in enumerate(line.ids) if row % 3],
        "all but one": line.ids[1:],
    }
    for inside in views.values():
        for k, reverse in [(1, False), (25, False), (25, True), (300, False)]:
            for query in (0, 1):
                with index.use_view(line.dataset.select(inside)):
                    found = answer(index, line.ids[query], k, reverse=reverse)
                assert found == line.expected("euclidean", query, inside, k, reverse=reverse)


def test_large_view_with_little_or_nothing_of_what_is_near(line: Line, path_case: Case) -> None:
    index = line.indexed(path_case, metric="euclidean")
    order = [name for name, _ in ranked("euclidean", line.ids, line.vectors, line.vectors[0])]
    for inside in (order[-600:], [*order[:800:40], *order[800:]]):
        with index.use_view(line.dataset.select(inside)):
            found = answer(index, line.ids[0], 25, reverse=False)
        assert found == line.expected("euclidean", 0, inside, 25, reverse=False)


def test_large_view_of_an_index_of_few(line: Line, path_case: Case) -> None:
    index = line.indexed(path_case, metric="euclidean")
    index.remove_from_index(sample_ids=line.ids[5:])
    with index.use_view(line.dataset[1:]):
        found = answer(index, line.ids[0], 25, reverse=False)
    assert found == line.expected("euclidean", 0, line.ids[1:5], 25, reverse=False)


def test_large_view_of_an_approximate_index_is_searched_itself(
    line: Line, path_case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = line.indexed(path_case, metric="euclidean")
    search, asked = vecbridge.Index.search_aggregated, []

    def approximate(self: Any, *args: Any, within: Any = None, **options: Any) -> vecbridge.Hits:
        """Misses the nearest of everything, and says that it may."""
        hits = search(self, *args, within=within, **options)
        asked.append(within)
        if within is not None:
            return hits
        return vecbridge.Hits(hits.ids[5:], hits.distances[5:], exact=False)

    monkeypatch.setattr(vecbridge.Index, "search_aggregated", approximate)
    inside = line.ids[::2]
    with index.use_view(line.dataset.select(inside)):
        found = answer(index, line.ids[0], 7, reverse=False)
    assert found == line.expected("euclidean", 0, inside, 7, reverse=False)
    assert asked == [None, inside]


def test_large_view_is_not_read(
    line: Line, path_case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fiftyone.core.collections as foc

    index = line.indexed(path_case, metric="euclidean")
    select, selected, values = foc.SampleCollection.select, [], foc.SampleCollection.values

    def selecting(self: Any, ids: Any, *args: Any, **options: Any) -> Any:
        selected.append(len(ids))
        return select(self, ids, *args, **options)

    def reading(self: Any, *args: Any, **options: Any) -> Any:
        raise AssertionError("the view is read")

    with index.use_view(line.dataset.skip(COUNT // 2)):
        monkeypatch.setattr(foc.SampleCollection, "select", selecting)
        monkeypatch.setattr(foc.SampleCollection, "values", reading)
        index.sort_by_similarity(line.ids[0], k=25)
        monkeypatch.setattr(foc.SampleCollection, "values", values)
    assert selected
    assert max(selected) < COUNT // 2
