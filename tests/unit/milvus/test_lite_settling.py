"""When Milvus Lite puts rows away: before many are looked through, and in a long ingest."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from vecbridge_milvus._lite_settling import Settling


def request(rows: int = 0, expr: str = "", name: str = "photos") -> Any:
    return SimpleNamespace(db_name="", collection_name=name, num_rows=rows, expr=expr)


@pytest.fixture
def flushed() -> list[str]:
    return []


@pytest.fixture
def settling(flushed: list[str]) -> Settling:
    """One that has seen the collection, and found nothing to put away."""

    def flush(asked: Any, _context: Any) -> str:
        flushed.append(asked.collection_name)
        return ""

    made = Settling(flush)
    made.settle("Search", request(), None)
    flushed.clear()
    return made


def test_what_a_log_held_is_put_away_before_the_first_search(
    settling: Settling, flushed: list[str]
) -> None:
    assert settling.is_due("Search", request(name="another"))
    settling.settle("Search", request(name="another"), None)
    assert flushed == ["another"]
    assert not settling.is_due("Search", request(name="another"))


@pytest.mark.parametrize("method", ["Search", "HybridSearch", "Query"])
def test_many_rows_are_put_away_before_they_are_looked_through(
    settling: Settling, method: str
) -> None:
    settling.note("Upsert", request(999))
    assert not settling.is_due(method, request())
    settling.note("Insert", request(1))
    assert settling.is_due(method, request())


def test_rows_asked_for_by_key_are_not_waited_for(settling: Settling) -> None:
    settling.note("Upsert", request(5000))
    assert not settling.is_due("Query", request(expr='pk in ["a"]'))
    assert not settling.is_due("GetLoadState", request())


def test_an_ingest_leaves_a_successor_little_to_read(
    settling: Settling, flushed: list[str]
) -> None:
    for _ in range(40):
        if settling.is_due("Upsert", request()):
            settling.settle("Upsert", request(), None)
        settling.note("Upsert", request(1000))
    assert flushed == ["photos"]


def test_two_that_wait_put_away_once(settling: Settling, flushed: list[str]) -> None:
    settling.note("Upsert", request(5000))
    settling.settle("Search", request(), None)
    settling.settle("Search", request(), None)
    assert flushed == ["photos"]


def test_what_could_not_be_put_away_is_left_in_peace_for_a_while(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    full = ["no space left"]
    settling = Settling(lambda _asked, _context: full.pop() if full else "")
    settling.settle("Search", request(), None)
    assert "'photos'" in caplog.text
    assert "no space left" in caplog.text
    assert not settling.is_due("Search", request())
    assert settling.is_due("Search", request(name="another"))
    monkeypatch.setattr("vecbridge_milvus._lite_settling._PAUSE_S", 0.0)
    assert settling.is_due("Search", request())
    settling.settle("Search", request(), None)
    assert not settling.is_due("Search", request())
