"""Sorts by a record that take no search give what the search gives, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecbridge
from vecbridge import Hits, Index, InvalidArgumentError
from vecbridge._contract._metric import METRICS, Metric
from vecbridge.fiftyone import _by_record as by_record
from vecbridge.fiftyone._by_record import FEW, LISTED, RECORDS_PER_SORT, SortsByRecord
from vecbridge.ranking import Pairs, distances

COUNT = 400
IDS = [f"{(7 * row) % COUNT:03}" for row in range(COUNT)]
DUE = COUNT // RECORDS_PER_SORT


def vectors() -> Any:
    """Clusters, with copies of some vectors."""
    rng = np.random.default_rng(0)
    made = rng.standard_normal((8, 12))[rng.integers(0, 8, COUNT)]
    made += 0.5 * rng.standard_normal(made.shape)
    made[1::9] = made[0::9][: len(made[1::9])]
    return made.astype(np.float32)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Index]:
    def index(metric: Metric = "euclidean", backend: str = "sklearn", **settings: Any) -> Index:
        store = vecbridge.get_backend(backend, path=str(tmp_path / "store"), **settings)
        made = store.create_index("records", dimension=12, metric=metric)
        made.upsert(IDS, vectors())
        return made

    return index


def ask(
    sorts: SortsByRecord,
    index: Index,
    name: str = IDS[0],
    k: int | None = 25,
    *,
    within: list[str] | None = None,
    farthest: bool = False,
) -> Hits | None:
    return sorts.nearest(index, name, k, within=within, farthest=farthest)


def searched(
    index: Index, name: str, k: int | None, within: list[str] | None, *, farthest: bool
) -> Hits:
    search = index.farthest if farthest else index.search
    return search(index.fetch([name]).vectors, k, within=within)[0]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("farthest", [False, True])
def test_lists_are_made_when_they_pay_and_hold_the_ranking(
    make: Callable[..., Index], metric: Metric, farthest: bool
) -> None:
    index, sorts = make(metric), SortsByRecord()
    assert [ask(sorts, index, farthest=farthest) for _ in range(DUE)] == [None] * DUE
    for name in IDS[::7]:
        for k in (1, 25, LISTED - by_record._SPARE):
            found = ask(sorts, index, name, k, farthest=farthest)
            assert found == searched(index, name, k, None, farthest=farthest)
            assert found.exact
    assert ask(sorts, index, farthest=not farthest) is None


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("farthest", [False, True])
@pytest.mark.parametrize("backend", ["sklearn", "faiss"])
def test_small_view_is_ranked_at_once(
    make: Callable[..., Index], metric: Metric, farthest: bool, backend: str
) -> None:
    index, sorts = make(metric, backend), SortsByRecord()
    inside = [*IDS[40 : 40 + FEW - 3], "nobody", IDS[50], IDS[51]]
    for name in IDS[::10]:
        for k in (1, 25, 300, None):
            found = ask(sorts, index, name, k, within=inside, farthest=farthest)
            assert found == searched(index, name, k, inside, farthest=farthest)
            assert found.exact
    assert ask(sorts, index, within=[*inside, IDS[0]]) is None
    assert ask(sorts, index, within=[]) == Hits((), np.empty(0))


def due(sorts: SortsByRecord, index: Index) -> Hits | None:
    """The first sort that lists answer."""
    for _ in range(DUE):
        assert ask(sorts, index) is None
    return ask(sorts, index)


@pytest.mark.parametrize("write", ["here", "elsewhere"])
def test_what_is_written_makes_the_lists_start_afresh(
    make: Callable[..., Index], tmp_path: Path, write: str
) -> None:
    index, sorts = make(), SortsByRecord()
    assert due(sorts, index) is not None
    writer = index
    if write == "elsewhere":
        other = vecbridge.get_backend("sklearn", path=str(tmp_path / "store"))
        writer = other.open_index("records")
    writer.upsert(["new"], index.fetch([IDS[0]]).vectors)
    found = due(sorts, index)
    assert found is not None
    assert "new" in found.ids
    assert found == searched(index, IDS[0], 25, None, farthest=False)


def test_another_index_has_lists_of_its_own() -> None:
    sorts, asked = SortsByRecord(), []
    for order in (1, -1):
        index = vecbridge.get_backend("sklearn", path=":memory:").create_index(
            "records", dimension=12, metric="euclidean"
        )
        index.upsert(IDS, vectors()[::order])
        found = due(sorts, index)
        assert found == searched(index, IDS[0], 25, None, farthest=False)
        asked.append(found)
    assert asked[0] != asked[1]


def test_only_the_first_of_a_list_are_looked_at(
    make: Callable[..., Index], monkeypatch: pytest.MonkeyPatch
) -> None:
    index, sorts, looked = make(), SortsByRecord(), []

    def told(metric: Metric, query: Any, records: Any) -> Any:
        looked.append(len(records))
        return distances(metric, query, records)

    monkeypatch.setattr(by_record, "distances", told)
    assert due(sorts, index) is not None
    assert looked == [25 + by_record._SPARE + 1]


def test_what_the_lists_cannot_prove_is_searched() -> None:
    index = vecbridge.get_backend("sklearn", path=":memory:").create_index(
        "same", dimension=2, metric="euclidean"
    )
    index.upsert(IDS, np.ones((COUNT, 2)))
    assert due(SortsByRecord(), index) is None


@pytest.mark.parametrize("k", [LISTED, None])
def test_no_lists_are_made_for_longer_answers(make: Callable[..., Index], k: int | None) -> None:
    index, sorts = make(), SortsByRecord()
    assert [ask(sorts, index, k=k) for _ in range(2 * DUE)] == [None] * (2 * DUE)


@pytest.mark.parametrize("limit", ["_MOST_PRODUCTS", "_MOST_RECORDS"])
def test_no_lists_are_made_of_too_much(
    make: Callable[..., Index], monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(by_record, limit, COUNT - 1)
    assert due(SortsByRecord(), make()) is None


def test_approximate_indexes_answer_themselves(make: Callable[..., Index]) -> None:
    index = make(backend="faiss", index="hnsw")
    assert due(SortsByRecord(), index) is None


def test_who_asks_while_lists_are_made_searches(
    make: Callable[..., Index], monkeypatch: pytest.MonkeyPatch
) -> None:
    index, sorts = make(), SortsByRecord()
    meanwhile: list[Hits | None] = []
    shortlists = Pairs.shortlists

    def making(self: Any, *args: Any, **kwargs: Any) -> Any:
        meanwhile.append(ask(sorts, index))
        return shortlists(self, *args, **kwargs)

    monkeypatch.setattr(Pairs, "shortlists", making)
    assert due(sorts, index) is not None
    assert meanwhile == [None]
    assert ask(sorts, index) is not None


def test_unknown_records_and_unusable_k_are_left_to_the_search(
    make: Callable[..., Index],
) -> None:
    index, sorts = make(), SortsByRecord()
    assert ask(sorts, index, "nobody", within=IDS[:3]) is None
    with pytest.raises(InvalidArgumentError, match="k"):
        ask(sorts, index, k=0, within=IDS[:3])
