"""What an engine answers against the contract is refused, and the error says what is wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.engine import CAPABILITIES, Engine
from vecbridge import BackendError, Candidates, Index, IndexInfo, Scope
from vecbridge_conformance.faults import Fault, FaultyIndex


def broken(operation: str, spoil: object) -> Index:
    proxy = FaultyIndex(Engine(info=IndexInfo("photos", 2, "euclidean")))
    index = Index(proxy)
    index.upsert(["a", "b"], [[0, 0], [3, 4]])
    proxy.arm(Fault(operation, "garbage", spoil=spoil))  # type: ignore[arg-type]
    return index


def test_the_message_names_the_engine_the_index_and_what_is_wrong() -> None:
    index = broken("count", lambda _: None)

    with pytest.raises(BackendError, match=r"FaultyIndex.*'count'.*'photos'.*None is no number"):
        index.count()
    assert index.count() == 2


def test_vectors_whose_sum_overflows_are_finite_all_the_same() -> None:
    index = Index(Engine(info=IndexInfo("photos", 2, "dotproduct")))
    most = float(np.finfo(np.float32).max)
    index.upsert(["a", "b"], [[most, most], [-most, -most]])

    assert index.fetch(["a", "b"]).vectors.tolist() == [[most, most], [-most, -most]]
    assert len(index.search([1, 1], k=2)[0]) == 2


def test_a_scan_stops_at_the_page_that_is_broken() -> None:
    index = broken("scan", lambda _: None)

    with pytest.raises(BackendError, match="NoneType, not Records"):
        next(iter(index.scan(1)))


def test_candidates_from_outside_the_allow_list_are_not_ranked() -> None:
    def strange(found: list[Candidates]) -> list[Candidates]:
        return [Candidates(("c",), np.zeros((1, 2), np.float32), np.inf) for _ in found]

    with pytest.raises(BackendError, match="'c' is not among"):
        broken("candidates", strange).search([0, 0], k=1, within=["a"])


class RangeEngine(Engine):
    """Finds by distance, and answers with what ``spoil`` makes of it."""

    spoil: Callable[[list[Candidates]], Any] = staticmethod(lambda found: found)

    def in_range(self, queries: Any, radius: float, scope: Scope) -> Any:
        return self.spoil(self.candidates(queries, len(self.records), scope))


def _each(change: Callable[[Candidates], Any]) -> Callable[[list[Candidates]], Any]:
    return lambda found: [change(one) for one in found]


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda _: None, "not 1 Candidates"),
        (lambda found: [*found, *found], "not 1 Candidates"),
        (_each(lambda one: Candidates(one.ids, one.vectors, math.nan)), "lower bound is NaN"),
        (
            _each(lambda one: Candidates(one.ids, one.vectors[1:], one.lower_bound)),
            "its vectors are not",
        ),
        (
            _each(lambda one: Candidates(("a", "a"), one.vectors, one.lower_bound)),
            "an id is there twice",
        ),
        (
            _each(lambda one: Candidates(("a", "c"), one.vectors, one.lower_bound)),
            "'c' is not among",
        ),
    ],
)
def test_what_an_engine_finds_by_distance_is_checked(spoil: Any, told: str) -> None:
    declared = replace(CAPABILITIES, range_search=True)
    engine = RangeEngine(IndexInfo("photos", 2, "euclidean"), declared)
    index = Index(engine)
    index.upsert(["a", "b"], [[0, 0], [3, 4]])
    assert index.range_search([0, 0], 5.0, within=["a", "b"])[0].ids == ("a", "b")

    engine.spoil = spoil
    with pytest.raises(BackendError, match=told) as caught:
        index.range_search([0, 0], 5.0, within=["a", "b"])
    assert caught.value.operation == "in_range"


def test_a_method_that_is_not_declared_is_not_used() -> None:
    engine = RangeEngine(IndexInfo("photos", 2, "euclidean"))
    engine.spoil = lambda _: None
    index = Index(engine)
    index.upsert(["a", "b"], [[0, 0], [3, 4]])
    assert index.range_search([0, 0], 5.0)[0].ids == ("a", "b")


def test_scans_for_neighbourhoods_are_checked() -> None:
    for call in (
        lambda index: list(index.neighbors(1)),
        lambda index: list(index.neighbors_within(1.0)),
        lambda index: index.duplicates(1.0),
    ):
        with pytest.raises(BackendError, match="NoneType, not Records"):
            call(broken("scan", lambda _: None))
