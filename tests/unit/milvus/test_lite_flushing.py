"""When Milvus Lite flushes rows: before many are looked through, and in a long ingest."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecbridge
from vecbridge import Index, Store

pytest.importorskip("milvus_lite")
PAUSE_S = 10.0
"""How long no flush is tried after one has failed."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "v.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with vecbridge.get_backend("milvus", uri=str(path)) as opened:
        yield opened


@pytest.fixture
def index(store: Store) -> Index:
    """One that has been searched, and had nothing to flush."""
    made = store.create_index("photos", dimension=2, metric="euclidean", fields={"n": "integer"})
    assert made.search([1, 2], 1)[0].ids == ()
    return made


def write(index: Index, first: int, count: int) -> None:
    numbers = list(range(first, first + count))
    vectors = np.stack([numbers, np.ones(count)], axis=1)
    index.upsert([f"{number}" for number in numbers], vectors, {"n": numbers})


def segments(path: Path) -> int:
    """Return the number of flushes."""
    return len([found for found in path.rglob("*.parquet") if "data" in found.name])


@pytest.mark.parametrize("read", ["search", "scan"])
def test_many_rows_are_flushed_before_they_are_looked_through(
    index: Index, path: Path, read: str
) -> None:
    def look() -> None:
        if read == "search":
            assert index.search([7, 1], 1)[0].ids == ("7",)
        else:
            assert sum(len(records) for records in index.scan()) > 0

    write(index, 0, 999)
    look()
    assert segments(path) == 0
    write(index, 999, 1)
    look()
    assert segments(path) == 1
    look()
    assert segments(path) == 1
    assert index.count() == 1000


def test_rows_that_are_asked_for_by_key_are_not_waited_for(index: Index, path: Path) -> None:
    write(index, 0, 5000)
    assert index.contains(["7"]).all()
    assert segments(path) == 0


def test_an_ingest_leaves_a_successor_little_to_read(index: Index, path: Path) -> None:
    for turn in range(40):
        write(index, 1000 * turn, 1000)
    assert segments(path) == 1
    assert index.contains(["0", "39999"]).all()


def test_what_a_log_held_is_flushed_before_the_first_search(
    index: Index, path: Path, store: Store
) -> None:
    write(index, 0, 500)
    store.close()
    before = segments(path)
    with vecbridge.get_backend("milvus", uri=str(path)) as opened:
        assert opened.open_index("photos").search([7, 1], 1)[0].ids == ("7",)
    assert segments(path) == max(before, 1)


# Opened again, Milvus Lite leaves the log of before open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_flush_that_failed_is_not_tried_again_for_a_while(
    index: Index, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from milvus_lite.adapter.grpc.servicer import MilvusServicer
    from pymilvus.grpc_gen import common_pb2, milvus_pb2

    later, real = [0.0], time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real() + later[0])
    flush, flushed = MilvusServicer.Flush, []

    def full(servicer: Any, request: Any, context: Any) -> Any:
        flushed.append(list(request.collection_names))
        if len(flushed) > 1:
            return flush(servicer, request, context)
        status = common_pb2.Status(code=1, error_code=1, reason="no space left")
        return milvus_pb2.FlushResponse(status=status)

    monkeypatch.setattr(MilvusServicer, "Flush", full)
    write(index, 0, 1000)
    for _ in range(3):
        assert index.search([7, 1], 1)[0].ids == ("7",)
    assert flushed == [["photos"]]
    assert "'photos'" in caplog.text
    assert "no space left" in caplog.text
    later[0] = PAUSE_S
    for _ in range(2):
        assert index.search([7, 1], 1)[0].ids == ("7",)
    assert flushed == [["photos"]] * 2
