"""Ranges of ids: read by the engine where it declares that it can, else through all ids."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest

import vecbridge
from tests.engine import Engine, make_engine
from vecbridge import BackendError, IdRange, Index, Records, Scope, VectorIndex

IDS = [f"{number:03}" for number in range(100)]


class Ranged(Engine):
    """Reads ranges of ids, as it is told to get wrong."""

    given: IdRange | None = None
    order: Any = staticmethod(sorted)
    cuts: Any = None

    def scan(
        self, batch_size: int, scope: Scope, ids: IdRange | None, *, vectors: bool
    ) -> Iterator[Records]:
        self.calls.append(("scan", batch_size))
        self.given = ids
        names = self.order(name for name in self.records if ids is None or name in ids)
        for start in range(0, len(names), batch_size):
            yield self.page(names[start : start + batch_size])

    def page(self, names: list[str]) -> Records:
        self.calls.append(("page", len(names)))
        return Records(tuple(names), self._matrix(names))

    def partitions(self, count: int, *, consistency: str) -> Any:
        return self.cuts


def filled(kind: type[Engine], **options: Any) -> tuple[Index, Any]:
    made = make_engine(1, **options)
    engine = kind(made.info, made.capabilities)
    index = Index(cast("VectorIndex", engine))
    index.upsert(IDS, [[0]] * len(IDS))
    engine.calls.clear()
    return index, engine


def test_a_page_after_an_id_is_one_read_of_the_engine() -> None:
    index, engine = filled(Ranged, partitions=True)
    page = next(index.scan(10, after="041"))
    assert page.ids == tuple(IDS[42:52])
    assert engine.given == IdRange("041\0", None)
    assert engine.calls == [("scan", 10), ("page", 10)]


def test_an_engine_that_reads_no_ranges_is_asked_for_all_ids_and_for_those_in_the_range() -> None:
    index, engine = filled(Engine)
    pages = list(index.scan(10, start="041", stop="063"))
    assert [name for page in pages for name in page.ids] == IDS[41:63]
    assert [len(page) for page in pages] == [10, 10, 2]
    assert [call for call in engine.calls if call[0] == "fetch"] == [
        ("fetch", 10),
        ("fetch", 10),
        ("fetch", 2),
    ]


@pytest.mark.parametrize(
    ("order", "says"),
    [
        (lambda names: sorted(names, reverse=True), "ascending order"),
        (lambda names: [*sorted(names), IDS[0]], "ascending order"),
        (lambda names: [IDS[0], *sorted(names)], "not in the range"),
        (lambda names: [*sorted(names), IDS[-1]], "not in the range"),
    ],
)
def test_a_range_that_is_read_wrongly_is_refused(order: Any, says: str) -> None:
    index, engine = filled(Ranged, partitions=True)
    engine.order = order
    with pytest.raises(BackendError, match=says):
        list(index.scan(10, start="041", stop="063"))


@pytest.mark.parametrize(
    "cuts",
    [
        None,
        [],
        [("", "b")],
        [IdRange("a", None)],
        [IdRange(None, "a")],
        [IdRange(None, "a"), IdRange("b", None)],
        [IdRange(None, "b"), IdRange("b", "a"), IdRange("a", None)],
        [IdRange(None, "b"), IdRange("b", "b"), IdRange("b", None)],
        [IdRange(None, None), IdRange(None, None)],
        [IdRange(None, each) for each in "abcde"],
    ],
)
def test_partitions_that_do_not_cover_every_id_once_are_refused(cuts: Any) -> None:
    index, engine = filled(Ranged, partitions=True)
    engine.cuts = cuts
    with pytest.raises(BackendError, match="partitions"):
        index.partitions(4)


def test_the_partitions_of_an_engine_are_handed_on() -> None:
    index, engine = filled(Ranged, partitions=True)
    engine.cuts = [IdRange(None, "m"), IdRange("m", None)]
    assert index.partitions(4) == engine.cuts


def test_a_single_partition_is_scanned_in_order_too() -> None:
    store = vecbridge.get_backend("sklearn")
    index = store.create_index("t", dimension=1, metric="euclidean")
    index.upsert(["b", "c", "a"], [[0], [1], [2]])
    (whole,) = index.partitions(1)
    assert "\x01" in whole
    pages = index.scan(start=whole.start, stop=whole.stop)
    assert [name for page in pages for name in page.ids] == ["a", "b", "c"]


def test_vectors_that_are_not_asked_for_may_come_all_the_same() -> None:
    index, _ = filled(Engine)
    assert index.fetch(IDS[:3], vectors=False).vectors.shape == (3, 0)
    assert next(index.scan(7, vectors=False)).vectors.shape == (7, 0)
