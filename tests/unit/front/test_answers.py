"""What an engine answers against the contract is refused by the front, and says what is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from tests.engine import Engine
from vecbridge import BackendError, Candidates, Index, IndexInfo
from vecbridge_conformance._faulty import Fault, FaultyIndex


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
