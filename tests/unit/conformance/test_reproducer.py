"""A failure comes with a script that does it again when it is pasted."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest

from tests.engine import Engine
from vecbridge import FieldType, IndexExistsError, IndexInfo, IndexNotFoundError, Scope, field
from vecbridge_conformance import Deployment, Harness


@pytest.fixture
def harness() -> Iterator[Harness]:
    used = Harness(Deployment("sklearn"))
    yield used
    used.close()


def run(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_script_does_the_same_calls_and_shows_the_answers(harness: Harness) -> None:
    index = harness.index(dimension=2, metric="euclidean")
    index.upsert(["a", "quote ' and \\ and \n"], np.array([[3, 4], [0, 0.5]], dtype=np.float32))
    index.delete(["nothing"])
    index.search([0, 0], k=2, within=["a"])
    index.count()

    assert run(harness.recorder.script()) == (
        "[Hits(ids=('a',), distances=array([5.]), exact=True)]\n2\n"
    )


def test_fields_filters_and_the_engine_are_written_too(harness: Harness) -> None:
    index = harness.index(dimension=1, metric="euclidean", fields={"size": "integer"})
    index.upsert(["a", "b"], [[1], [2]], {"size": [1, 5]})
    index.search([0], where=field("size") > 1)
    engine = harness.engine(dimension=1, metric="euclidean")
    engine.upsert(["a"], np.ones((1, 1), dtype=np.float32), {})
    engine.count(Scope())

    assert "index.engine.count(Scope(" in harness.recorder.script()
    harness.release(engine)
    del harness.recorder.calls[engine.info.name]
    assert "ids=('b',)" in run(harness.recorder.script())


def test_times_missing_values_and_scopes_are_written_too(harness: Harness) -> None:
    fields: dict[str, FieldType] = {"when": "timestamp?", "tags": "strings"}
    noon = datetime(2026, 11, 29, 12, tzinfo=timezone.utc)
    engine = harness.engine(dimension=1, metric="euclidean")
    engine.upsert(["a"], np.ones((1, 1), dtype=np.float32), {})
    engine.search(np.ones((1, 1), dtype=np.float32), 1, Scope(within=["a"]))
    assert "ids=('a',)" in run(harness.recorder.script())

    index = harness.index(dimension=1, metric="euclidean", fields=fields)
    index.upsert(["a", "b"], [[1], [2]], {"when": [noon, None], "tags": [["x", "x"], []]})
    index.search([0], where=(field("when") <= noon) & field("tags").contains("x"))
    assert "ids=('a',)" in run(harness.recorder.script())


def test_large_arrays_are_kept_in_files(harness: Harness, tmp_path: Path) -> None:
    index = harness.index(dimension=512, metric="euclidean")
    ids = [f"n{number}" for number in range(1000)]
    index.upsert(ids, np.random.default_rng(0).standard_normal((1000, 512)))
    index.count()
    script = harness.recorder.script(tmp_path / "new")

    assert len(script) < 2000
    assert run(script) == "1000\n"


def test_a_secret_is_left_to_the_environment() -> None:
    options = {"uri": "http://127.0.0.1:1", "token": "hidden", "timeout": 2.0}
    recorder = Harness(Deployment("milvus", options)).recorder
    recorder.engine(Engine(info=IndexInfo("a", 2, "cosine")))
    script = recorder.script()

    assert "hidden" not in script
    # The variable from which vecbridge itself takes the setting.
    assert "# First set FIFTYONE_BRAIN_SIMILARITY_MILVUS_TOKEN, which is not shown" in script
    assert "get_backend('milvus', uri='http://127.0.0.1:1', timeout=2.0)" in script
    assert recorder.deployment.shown_options() == {
        "uri": "http://127.0.0.1:1",
        "token": "**********",
        "timeout": "2.0",
    }


def test_arguments_are_kept_as_they_were_given(harness: Harness) -> None:
    index = harness.index(dimension=2, metric="euclidean")
    vectors = np.array([[1, 2]], dtype=np.float32)
    index.upsert(["a"], vectors)
    vectors[:] = 9
    index.fetch(["a"])

    assert "[[1.0, 2.0]]" in harness.recorder.script()


def test_of_many_calls_the_writes_and_the_last_ones_are_written(harness: Harness) -> None:
    index = harness.index(dimension=2, metric="euclidean")
    index.upsert(["a"], [[1, 2]])
    for _ in range(100):
        index.count()
    script = harness.recorder.script()

    assert script.count("index.count()") == 5
    assert "upsert" in script


def test_lists_of_arrays_and_numbers_that_are_none_can_be_pasted(harness: Harness) -> None:
    index = harness.index(dimension=2, metric="euclidean")
    index.upsert(["a", "nan"], [np.array([3, 4], dtype=np.float32), np.zeros(2, dtype=np.float32)])
    index.range_search(np.zeros((1, 2)), float("inf"))

    assert "ids=('nan', 'a')" in run(harness.recorder.script())


def test_an_index_that_is_used_again_is_the_one_made_last(harness: Harness) -> None:
    first = harness.engine(dimension=1)
    harness.engine(dimension=2).count(Scope())
    harness.recorder.engine(first).upsert(["a"], np.ones((1, 1), dtype=np.float32), {})

    assert "dimension=1" in harness.recorder.script()


def test_a_list_of_long_lists_is_kept_in_files(harness: Harness, tmp_path: Path) -> None:
    index = harness.index(dimension=20_000, metric="euclidean")
    index.upsert(["a", "b"], [[1.0] * 20_000, [2.0] * 20_000])
    index.fetch(["a"]).vectors.sum()
    script = harness.recorder.script(tmp_path / "new")

    assert len(script) < 1500
    run(script)


def test_calls_of_the_store_are_in_the_script(harness: Harness) -> None:
    index = harness.index(dimension=2, metric="euclidean")
    index.upsert(["a"], [[1, 2]])
    with pytest.raises(IndexExistsError):
        harness.store.create_index(index.info.name, dimension=3)
    script = harness.recorder.script()

    assert "store.create_index(name, dimension=3)\nstore.drop_index(name)" in script
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert "IndexExistsError" in done.stderr


def test_calls_of_a_store_without_an_index_are_a_script_too(harness: Harness) -> None:
    with pytest.raises(IndexNotFoundError):
        harness.store.open_index("absent")

    assert harness.recorder.script().endswith("print(store.open_index('absent'))")


def test_what_is_under_way_is_known(harness: Harness) -> None:
    index = harness.index(dimension=2, metric="euclidean")
    index.upsert(["a", "b"], [[1, 2], [3, 4]])
    seen: list[str] = []
    for _ in index.neighbors(1, progress=lambda *_: seen.extend(harness.recorder.pending())):
        # Between two of its answers nothing is asked of the store.
        assert harness.recorder.pending() == []
    assert seen[0].startswith(f"index.neighbors of index {index.info.name!r} (for ")


def test_without_an_index_there_is_no_script(harness: Harness) -> None:
    assert harness.recorder.script() == ""
