from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.unit.cli.conftest import Run


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A file of another program: its columns have names of their own, and one is a struct."""
    table = {
        "key": pa.array([1, 2, 3]),
        "emb": pa.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]),
        "text": pa.array([[1.0], [2.0], [3.0]]),
        "label": pa.array(["cat", None, "dog"]).dictionary_encode(),
        "taken": pa.array(["2024-05-01T12:00:00Z", None, None]),
        "place": pa.array([{"city": "Bonn"}, {"city": "Ulm"}, {"city": None}]),
    }
    parquet.write_table(pa.table(table), tmp_path / "photos.parquet")
    return tmp_path / "photos.parquet"


def test_what_a_file_would_make_is_shown_and_nothing_is_written(
    run: Run, photos: Path, tmp_path: Path
) -> None:
    store = ("-o", f"path={tmp_path / 'store'}")
    words = ("import", photos, "sklearn", "photos", "--vector-column", "emb", *store)
    chosen = ("--fields", "*,label=kind", "--skip", "text", "--type", "taken=timestamp")
    shown = run(*words, *chosen, "--flatten", "--dry-run").out
    assert "would write 3 records of 2 dimensions" in shown
    for words_of_row in (
        ("emb", "vector", "2 x float32"),
        ("taken", "timestamp?"),
        ("place.city", "place_city", "string?"),
    ):
        assert any(all(word in line for word in words_of_row) for line in shown.splitlines())
    assert "1  [1, 0]  kind=cat  taken=2024-05-01T12:00:00+00:00  place_city=Bonn" in shown
    assert run("list", "sklearn", *store).out == ""
    plan = run(*words, *chosen, "--flatten", "--dry-run", "--json").json
    assert (plan["records"], plan["dimension"], plan["left_out"]) == (3, 2, 0)
    assert plan["columns"][0] == {
        "column": "label",
        "type": "dictionary<values=string, indices=int32, ordered=0>",
        "field": "kind",
        "kind": "string?",
        "missing": 1,
    }
    assert plan["sample"][0]["taken"] == "2024-05-01T12:00:00+00:00"
    assert "3 records" in run(*words, *chosen, "--flatten").out
    assert run("count", "sklearn", "photos", "--where", 'place_city == "Ulm"', *store).out == "1\n"


def test_all_that_is_wrong_is_said_at_once(run: Run, photos: Path, tmp_path: Path) -> None:
    store = ("-o", f"path={tmp_path / 'store'}")
    ran = run("import", photos, "sklearn", "photos", "--skip", "x", *store)
    assert ran.code == 2
    said = " ".join(ran.err.split())
    for words in ("--skip place", "--flatten", "skip names what is not there", "--vector-column"):
        assert words in said
    ran = run("import", photos, "sklearn", "photos", "--type", "taken", *store)
    assert (ran.code, "--type is COLUMN=TYPE" in ran.err) == (2, True)


def test_rows_that_are_left_out_are_listed(run: Run, tmp_path: Path) -> None:
    store = ("-o", f"path={tmp_path / 'store'}")
    path, rejects = tmp_path / "some.jsonl", tmp_path / "left-out.jsonl"
    lines = [{"id": "a", "vector": [1, 0]}, {"id": "", "vector": [1, 0]}, {"id": "c"}]
    path.write_text("\n".join(map(json.dumps, lines)))
    words = ("import", path, "sklearn", "some", *store)
    assert run(*words).code == 2
    skipping = (*words, "--on-error", "skip", "--rejects", rejects)
    assert f"1 records from {path}; 2 left out, listed in {rejects}" in run(*skipping).out
    assert [json.loads(line)["row"] for line in rejects.read_text().splitlines()] == [1, 2]
    ran = run(*skipping)
    assert (ran.code, "--force" in ran.err) == (2, True)
    assert run(*skipping, "--force", "--json").json == {
        "records": 1,
        "index": "some",
        "left_out": 2,
    }


def test_vectors_beside_their_ids(run: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "vectors.npy", np.eye(2))
    (tmp_path / "ids.txt").write_text("a\nb\n")
    words = ("import", tmp_path / "vectors.npy", "sklearn", "some")
    ran = run(*words, "--ids", tmp_path / "ids.txt", "-o", f"path={tmp_path / 'store'}", "--json")
    assert ran.json == {"records": 2, "index": "some"}
    assert "--ids ids.txt" in " ".join(run(*words).err.split())


@pytest.mark.parametrize("name", ["corners.jsonl", "corners.jsonl.gz"])
def test_lines_of_json_are_written_and_read(
    run: Run, folder: Path, tmp_path: Path, name: str
) -> None:
    store = ("-o", f"path={folder}")
    words = ("export", "sklearn", "corners", tmp_path / name, *store)
    assert run(*words, "--json").json["records"] == 4
    assert "is there already" in run(*words).err
    again = ("import", tmp_path / name, "sklearn", "again", "--metric", "euclidean", *store)
    assert run(*again, "--json").json["records"] == 4
    same = ("sklearn:corners", "sklearn:again", "-f", store[1], "-t", store[1])
    assert run("verify", *same, "--json").json["same"] is True
