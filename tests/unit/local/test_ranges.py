"""Ranges of ids: in order, whatever was written and deleted before, and by no look at the rest."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.unit.local.helpers import vectors
from vecbridge import IdRange, field
from vecbridge.filters import settle
from vecbridge.local import LocalStore, LocalTable

SIZE = 3000
"""More ids than are sorted anew by every read."""


@pytest.fixture(params=["memory", "disk"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> LocalTable:
    store = LocalStore(tmp_path if request.param == "disk" else None, backend="test")
    return store.create("t", dimension=4, metric="cosine", fields={"n": "integer"})


def write(table: LocalTable, names: list[str]) -> None:
    table.upsert(names, vectors(len(names)), {"n": [*range(len(names))]})


def found(table: LocalTable, ids: IdRange, size: int = 100) -> list[str]:
    pages = list(table.scan(size, None, ids, vectors=False))
    assert all(len(page) <= size for page in pages)
    assert [len(page) for page in pages[:-1]] == [size] * (len(pages) - 1)
    return [name for page in pages for name in page.ids]


def test_ranges_are_what_is_there_whatever_came_before(table: LocalTable) -> None:
    draw = random.Random(1)
    names = [f"{draw.getrandbits(40):010x}" for _ in range(2 * SIZE)]
    model = set(names[:SIZE])
    write(table, names[:SIZE])
    for step in range(120):
        some = draw.sample(names, draw.choice([1, 2, 30, 400]))
        if step % 3:
            write(table, some)
            model.update(some)
        else:
            table.delete(some)
            model.difference_update(some)
        start, stop = draw.choice([None, *names]), draw.choice([None, *names])
        ids = IdRange(start, stop)
        size = draw.choice([1, 7, 100, 5000])
        assert found(table, ids, size) == sorted(name for name in model if name in ids), step
        if step % 10 == 0:
            cuts = table.partitions(7)
            parts = [[name for name in model if name in each] for each in cuts]
            assert sum(map(len, parts)) == len(model)
            assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_scan_of_a_range_goes_on_as_it_began(table: LocalTable) -> None:
    names = [f"{number:05}" for number in range(SIZE)]
    write(table, names[::2])
    pages = table.scan(100, None, IdRange("00100", "02500"))
    first = next(pages)
    write(table, names[1::2])
    table.delete(names[:1500])
    rest = [name for page in pages for name in page.ids]
    assert [*first.ids, *rest] == names[100:2500:2]
    assert found(table, IdRange("00100", "02500")) == names[1500:2500]


def test_ids_that_a_delete_has_moved_are_found(table: LocalTable) -> None:
    names = [f"{number:05}" for number in range(SIZE)]
    write(table, names)
    assert found(table, IdRange("02000")) == names[2000:]
    write(table, ["later"])
    table.delete(["00001"])
    assert found(table, IdRange("02990")) == [*names[2990:], "later"]
    write(table, ["00001"])
    assert found(table, IdRange(None, "00003")) == names[:3]


def test_a_filter_of_a_range_fills_its_pages(table: LocalTable) -> None:
    names = [f"{number:05}" for number in range(SIZE)]
    write(table, names)
    where = settle(field("n") >= 2000, {"n": "integer"})
    assert not isinstance(where, bool)
    pages = [len(page) for page in table.scan(300, where, IdRange("00100"))]
    assert pages == [300, 300, 300, 100]
    assert table.count(where) == 1000
    bare = next(table.scan(300, where, None, vectors=False))
    assert (len(bare), bare.vectors.shape) == (300, (300, 0))
