"""Hits with fields while records go away, and writes by filter that break off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import vecbridge
from vecbridge import (
    BackendError,
    Budgets,
    Consistency,
    Index,
    PartialWriteError,
    Records,
    field,
)
from vecbridge.local import LocalIndex

IDS = [f"{number:02}" for number in range(20)]
VECTORS = np.arange(20, dtype=np.float32)[:, np.newaxis]


class Fleeting(LocalIndex):
    """Loses records one after the other, each just before it would be fetched."""

    leaving: list[str]

    def fetch(self, ids: Sequence[str], *, vectors: bool, consistency: Consistency) -> Records:
        if self.leaving:
            self.delete([self.leaving.pop()])
        return super().fetch(ids, vectors=vectors, consistency=consistency)


class Failing(LocalIndex):
    """Takes so many writes, and no more."""

    writes: int

    def upsert(self, *args: Any) -> None:
        if not self.writes:
            raise BackendError("the disk is full", backend="test", operation="upsert")
        self.writes -= 1
        super().upsert(*args)


def over(kind: type[Any], **state: Any) -> Index:
    with_fields: Any = {"n": "integer", "label": "string"}
    backend: Any = vecbridge.get_backend("sklearn").backend
    made = backend.create_index(
        "t", dimension=1, metric="euclidean", fields=with_fields, consistency=None
    )
    engine = kind(backend.store.open("t"), made.capabilities, "test")
    vars(engine).update(state)
    index = Index(engine, budgets=Budgets(scan_bytes=5 * 4))
    engine.writes = 100
    index.upsert(IDS, VECTORS, {"n": [*range(20)], "label": [*IDS]})
    vars(engine).update(state)
    return index


def test_a_hit_that_is_deleted_before_its_fields_are_read_is_searched_for_again() -> None:
    index = over(Fleeting, leaving=["00"])
    (hits,) = index.search([0], 3, fields=["n"])
    assert hits.ids == ("01", "02", "03")
    assert (hits.fields["n"], hits.exact) == ([1, 2, 3], True)


def test_a_hit_that_is_lost_again_and_again_is_left_out_and_nothing_is_called_exact() -> None:
    index = over(Fleeting, leaving=["02", "01", "00"])
    (hits,) = index.search([0], 3, fields=["n"])
    assert hits.ids == ("03", "04")
    assert (hits.fields["n"], hits.exact) == ([3, 4], False)


def test_fields_of_many_hits_are_read_in_batches_that_fit_the_budget() -> None:
    index = over(LocalIndex)
    for hits in index.search(VECTORS, None, fields=True):
        assert hits.fields["n"] == [int(name) for name in hits.ids]
        assert hits.fields["label"] == [*hits.ids]
        taken = hits.take([3, 1])
        assert [hit.fields["label"] for hit in taken] == [*taken.ids] == [hits.ids[3], hits.ids[1]]


def test_an_update_that_breaks_off_says_what_is_written() -> None:
    index = over(Failing, writes=2)
    with pytest.raises(PartialWriteError) as caught:
        index.update_fields(IDS, {"n": [-1] * 20})
    assert (list(caught.value.written), list(caught.value.unknown)) == (IDS[:10], IDS[10:])
    assert index.count(where=field("n") == -1) == 10

    index = over(Failing, writes=0)
    with pytest.raises(BackendError, match="disk is full"):
        index.update_fields(IDS, {"n": [-1] * 20})
    assert index.count(where=field("n") == -1) == 0


def test_an_update_of_nothing_writes_nothing() -> None:
    index = over(Failing, writes=0)
    index.update_fields([], {"n": []})
    index.update_fields(IDS, {})
    assert index.count(where=field("n") == 3) == 1


def test_the_values_of_each_answer_are_its_own() -> None:
    fields: Any = {"tags": "strings"}
    index = vecbridge.get_backend("sklearn").create_index("t", dimension=1, fields=fields)
    index.upsert(["a"], [[1]], {"tags": [["x"]]})
    index.upsert(["b", "c"], [[2], [4]], {"tags": [["x"], ["x"]]})
    for answers in (
        index.search([[1], [1]], 1, fields=True),
        [hits for name, hits in index.neighbors(1, fields=True) if name != "b"],
    ):
        values: list[Any] = [hits.fields["tags"][0] for hits in answers]
        values[0].append("y")
        assert values[1] == ["x"]
    assert index.fetch(["a"]).fields["tags"] == [["x"]]
