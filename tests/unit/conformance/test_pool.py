"""The indexes of a run: few at a time, emptied where making one is slow, dropped at last."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import vecbridge
from vecbridge_conformance import Deployment, Harness, OtherProcess
from vecbridge_conformance import _pool as pool
from vecbridge_conformance._pool import IndexPool, Schema


def schema(dimension: int) -> Schema:
    return Schema(dimension, "euclidean", (), "strong")


@pytest.fixture
def store() -> Iterator[vecbridge.Store]:
    with vecbridge.get_backend("sklearn") as used:
        yield used


def test_a_slow_index_is_emptied_and_used_again(store: vecbridge.Store) -> None:
    indexes = IndexPool(store, slow_from_s=-1.0)
    first = indexes.take(schema(2))
    first.upsert(["told", "not told"], [[1, 2], [3, 4]])
    name = first.info.name
    indexes.give_back(schema(2), name, first, ["told"])

    again = indexes.take(schema(2))
    assert (again.info.name, again.count()) == (name, 0)


def test_only_so_many_are_kept(store: vecbridge.Store) -> None:
    indexes = IndexPool(store, slow_from_s=-1.0)
    for dimension in range(1, 3 * pool._MOST_KEPT):
        taken = indexes.take(schema(dimension))
        indexes.give_back(schema(dimension), taken.info.name, taken)

    assert len(store.index_names()) == pool._MOST_KEPT
    indexes.close()
    assert store.index_names() == []


def test_an_index_of_another_schema_is_not_used_again(store: vecbridge.Store) -> None:
    indexes = IndexPool(store, slow_from_s=-1.0)
    taken = indexes.take(schema(2))
    store.drop_index(taken.info.name)
    store.create_index(taken.info.name, dimension=3, metric="euclidean")
    indexes.give_back(schema(2), taken.info.name, taken)

    assert indexes.take(schema(2)).info.name != taken.info.name
    assert taken.info.name not in store.index_names()


def test_what_nobody_told_of_is_deleted_too(store: vecbridge.Store) -> None:
    indexes = IndexPool(store, slow_from_s=-1.0)
    for _ in range(2):
        taken = indexes.take(schema(2))
        assert taken.count() == 0
        taken.upsert(["nobody told"], [[1, 2]])
        indexes.give_back(schema(2), taken.info.name, taken)

    assert len(store.index_names()) == 1


def test_folders_and_processes_leave_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    harness = Harness(Deployment("sklearn"))
    (harness.folder() / "file").touch()
    assert OtherProcess(divmod, 7, 2).result() == (3, 1)
    with pytest.raises(ZeroDivisionError):
        OtherProcess(divmod, 1, 0).result()
    with pytest.raises(RuntimeError, match="no answer"):
        OtherProcess(os._exit, 3).result()
    late: Any = OtherProcess(time.sleep, 60)
    with pytest.raises(TimeoutError):
        late.result(timeout=0.1)
    harness.close()

    assert list(tmp_path.iterdir()) == []
