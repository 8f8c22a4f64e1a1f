"""Reads that another node answers than the one that was waited for, which is behind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.servers.milvus_wire import Wire
from vecbridge import Consistency, Index

READS: dict[str, Callable[[Index, Consistency], bool]] = {
    "fetch": lambda index, level: not index.fetch(["a"], consistency=level).missing,
    "contains": lambda index, level: bool(index.contains(["a"], consistency=level).all()),
    "count": lambda index, level: index.count(consistency=level) == 1,
    "scan": lambda index, level: [len(part) for part in index.scan(consistency=level)] == [1],
    "search": lambda index, level: index.search(np.ones(2), 3, consistency=level)[0].ids == ("a",),
}
"""Whether a read sees the one record."""


@pytest.fixture
def index(make_index: Callable[..., Index], wire: Wire) -> Index:
    made = make_index(dimension=2, metric="euclidean")
    # Its first read looks whether the collection is loaded, and how it is searched.
    made.search(np.ones(2), 1)
    wire.nodes = 3
    return made


@pytest.mark.parametrize("way", READS)
def test_a_strong_read_sees_what_was_written_whichever_node_answers(index: Index, way: str) -> None:
    for _ in range(4):
        index.upsert(["a"], [[1, 2]])
        assert READS[way](index, "strong")
        index.delete(["a"])
        assert not READS[way](index, "strong")


@pytest.mark.parametrize("way", READS)
def test_a_session_read_sees_its_own_writes_whichever_node_answers(index: Index, way: str) -> None:
    index.upsert(["a"], [[1, 2]])
    assert [READS[way](index, "session") for _ in range(5)] == [True] * 5


@pytest.mark.parametrize("way", READS)
def test_weaker_reads_are_really_weak_so_the_others_prove_something(index: Index, way: str) -> None:
    index.upsert(["a"], [[1, 2]])
    assert not all(READS[way](index, "eventual") for _ in range(4))
