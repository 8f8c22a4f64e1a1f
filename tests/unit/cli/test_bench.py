from __future__ import annotations

from pathlib import Path

import pytest

import vecbridge
from tests.unit.cli.conftest import Run
from vecbridge import ConnectionFailedError

SMALL = ("--records", 200, "--dimension", 4)


def test_every_operation_is_timed_in_an_index_that_goes_again(run: Run, folder: Path) -> None:
    found = run("bench", "sklearn", "-o", f"path={folder}", *SMALL, "--json").json
    assert found["written"] == 200
    assert found["rate"] > 0
    assert list(found["searches"]) == [
        "one query",
        "100 queries",
        "one query, filtered to half",
        "one query within 1 %",
    ]
    times = [ms for row in found["searches"].values() for ms in row.values()]
    assert all(ms > 0 for ms in [*times, *found["reads"].values()])
    with vecbridge.get_backend("sklearn", path=folder) as store:
        assert store.index_names() == ["corners"]


def test_the_table_shows_what_the_index_can_be_asked(run: Run, tmp_path: Path) -> None:
    exact = run("bench", "sklearn", *SMALL).out
    assert "sklearn: 200 x 4, cosine, k = 10" in exact
    assert "ranked" not in exact
    words = ("bench", "faiss", "-o", f"path={tmp_path}", "-o", "index=hnsw", *SMALL)
    approximate = run(*words).out
    assert "ranked" in approximate
    assert "The index is approximate" in approximate


def test_a_slow_store_ends_the_writing_and_the_measuring(run: Run) -> None:
    words = ("--records", 2000, "--dimension", 4, "--seconds", 0, "--json")
    found = run("bench", "sklearn", *words).json
    assert found["written"] == 1000
    assert set(found["reads"].values()) == {None}
    assert any("slow" in note for note in found["notes"])
    assert any("not measured" in note for note in found["notes"])


def test_what_was_made_goes_when_the_store_fails(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object, **more: object) -> None:
        raise ConnectionFailedError("gone", backend="sklearn", operation="search")

    monkeypatch.setattr(vecbridge.Index, "search", fail)
    assert run("bench", "sklearn", "-o", f"path={folder}", *SMALL).code == 3
    assert run("list", "sklearn", "-o", f"path={folder}").out == "corners\n"


def test_an_unknown_metric_is_a_usage_error(run: Run) -> None:
    assert run("bench", "sklearn", "--metric", "cosin").code == 2
