"""``vecbridge search`` and ``count``, with filters and fields."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest

import vecbridge
from tests.unit.cli.conftest import Run
from vecbridge import FieldType, FieldValue

CORNERS = ("search", "sklearn", "corners")


@pytest.fixture
def kinds(tmp_path: Path) -> Path:
    """A store with an index of two records: a value of each type, and none."""
    path = tmp_path / "kinds"
    noon = datetime(2026, 11, 29, 12, tzinfo=timezone.utc)
    values: dict[str, tuple[FieldType, FieldValue]] = {
        "label": ("string?", "[red]"),
        "tags": ("strings?", ["x, y", "é"]),
        "taken": ("timestamp?", noon),
        "ok": ("boolean?", True),
        "size": ("integer?", 7),
    }
    with vecbridge.get_backend("sklearn", path=path) as store:
        index = store.create_index(
            "photos",
            dimension=2,
            metric="euclidean",
            fields={name: kind for name, (kind, _) in values.items()},
        )
        columns = {name: [value, None] for name, (_, value) in values.items()}
        index.upsert(["full", "bare"], [[0, 0], [3, 4]], columns)
    return path


def test_the_others_nearest_to_a_record_are_found(run: Run, folder: Path) -> None:
    words = (*CORNERS, "--id", "[b]", "-k", 2, "-o", f"path={folder}")
    (hits,) = run(*words, "--json").json
    assert hits == {"ids": ["c", "d"], "distances": [3.0, 4.0], "exact": True, "fields": {}}
    assert "[b]" in run(*CORNERS, "--id", "a", "-o", f"path={folder}").out
    (farthest,) = run(*words, "--farthest", "--json").json
    assert farthest["ids"] == ["a", "d"]


def test_a_record_outside_of_the_filter_is_searched_with(run: Run, folder: Path) -> None:
    words = ("--id", "a", "-k", 2, "--where", 'name in ["B", "C", "D"]', "-o", f"path={folder}")
    (hits,) = run(*CORNERS, *words, "--json").json
    assert (hits["ids"], hits["exact"]) == (["d", "c"], True)


def test_a_search_says_how_sure_it_has_to_be(run: Run, folder: Path) -> None:
    words = (*CORNERS, "--id", "[b]", "-k", 2, "-o", f"path={folder}")
    for ranking, exact in (("exact", True), ("certified", True), ("native", False)):
        (hits,) = run(*words, "--ranking", ranking, "--json").json
        assert (hits["ids"], hits["exact"]) == (["c", "d"], exact)
    assert "not certified" in run(*words, "--ranking", "native").out
    assert run(*words, "--ranking", "fast").code == 2
    assert run(*words, "--ranking", "native", "--farthest").code == 2


def test_vectors_of_a_file_are_searched_with(run: Run, folder: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "queries.npy", np.array([[0.0, 0.0], [3.0, 0.5]]))
    words = (*CORNERS, "--vector-file", tmp_path / "queries.npy", "-k", 1)
    answers = run(*words, "-o", f"path={folder}", "--json").json
    assert [hits["ids"] for hits in answers] == [["a"], ["d"]]
    assert "Query 1" in run(*words, "-o", f"path={folder}").out


def test_a_vector_is_given_in_words(run: Run, folder: Path) -> None:
    words = (*CORNERS, "-k", 1, "-o", f"path={folder}", "--json", "--vector")
    (hits,) = run(*words, "-1, 3e0").json
    assert hits["ids"] == ["c"]
    for wrong, said in (("1,x", "'x' is not a number"), ("1", "dimension"), ("nan,1", "nan")):
        ran = run(*words, wrong)
        assert ran.code == 2
        assert said in json.loads(ran.err)["error"]["message"].lower()


@pytest.mark.parametrize(
    "given", [(), ("--id", "a", "--vector", "1,2"), ("--vector", "1,2", "--vector-file", "q.npy")]
)
def test_one_query_is_given(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("q.npy", np.zeros((1, 2)))
    ran = run(*CORNERS, *given, "-o", f"path={folder}")
    assert (ran.code, "one of --id, --vector and --vector-file" in ran.err) == (2, True)


def test_a_record_that_is_not_there(run: Run, folder: Path) -> None:
    ran = run(*CORNERS, "--id", "z", "-o", f"path={folder}")
    assert (ran.code, "has no record with the id 'z'" in ran.err) == (2, True)


def test_a_file_that_holds_no_vectors(run: Run, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "no.npy").write_text("text")
    ran = run(*CORNERS, "--vector-file", tmp_path / "no.npy", "-o", f"path={folder}")
    assert (ran.code, "not a .npy file" in ran.err) == (2, True)


def test_an_archive_is_no_file_of_vectors(run: Run, folder: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "several.npz", ids=np.array(["a"]))
    ran = run(*CORNERS, "--vector-file", tmp_path / "several.npz", "-o", f"path={folder}")
    assert (ran.code, "several arrays" in ran.err) == (2, True)


def test_fields_are_shown_in_the_order_in_which_they_are_asked_for(run: Run, kinds: Path) -> None:
    words = ("search", "sklearn", "photos", "--vector", "0,0", "-o", f"path={kinds}", "--fields")
    head, full, bare = run(*words, "taken,tags, label,ok,size").out.splitlines()
    assert head.split() == ["id", "taken", "tags", "label", "ok", "size", "distance"]
    when, tags = "2026-11-29T12:00:00+00:00", '["x, y", "é"]'
    assert full.split() == ["1", "full", when, *tags.split(), "[red]", "true", "7", "0"]
    assert bare.split() == ["2", "bare", "5"]
    (hits,) = run(*words, "label,taken,tags,ok,size", "--json").json
    assert hits["fields"] == {
        "label": ["[red]", None],
        "taken": [when, None],
        "tags": [["x, y", "é"], None],
        "ok": [True, None],
        "size": [7, None],
    }
    ran = run(*words, "labl")
    assert (ran.code, "has no field 'labl'" in ran.err) == (2, True)


def test_a_filter_leaves_records_out(run: Run, kinds: Path) -> None:
    words = ("search", "sklearn", "photos", "--vector", "0,0", "-o", f"path={kinds}", "--json")
    for where, ids in (("ok == true", ["full"]), ("ok is missing", ["bare"])):
        (hits,) = run(*words, "--where", where).json
        assert hits["ids"] == ids
    (hits,) = run(*words, "--where", "ok is missing", "--farthest").json
    assert hits["ids"] == ["bare"]


def test_records_are_counted(run: Run, kinds: Path) -> None:
    words = ("count", "sklearn", "photos", "-o", f"path={kinds}")
    assert run(*words).out == "2\n"
    assert run(*words, "--where", 'tags contains "é"', "--json").json == {"records": 1}
    taken = 'taken == timestamp("2026-11-29T13:00:00+01:00")'
    assert run(*words, "--where", taken).out == "1\n"


WRONG = """\
expected a comparison (==, !=, <, in, contains, starts with, between, is missing, ...); found =
    label = "cat"
          ^
    equality is written ==\
"""


@pytest.mark.parametrize(
    "command", [("count",), ("delete",), ("search", "--vector", "0,0")], ids=lambda words: words[0]
)
def test_the_whole_message_about_a_filter_is_shown(
    run: Run, kinds: Path, command: tuple[str, ...]
) -> None:
    name, *more = command
    words = (name, "sklearn", "photos", *more, "--where", 'label = "cat"', "-o", f"path={kinds}")
    ran = run(*words)
    assert (ran.code, ran.out, ran.err) == (2, "", f"error {WRONG}\n")
    ran = run(*words, "--json")
    error = {"type": "FilterSyntaxError", "message": WRONG, "exit_code": 2}
    assert (ran.code, ran.out, json.loads(ran.err)) == (2, "", {"error": error})


def test_a_filter_that_the_index_refuses(run: Run, kinds: Path) -> None:
    ran = run("count", "sklearn", "photos", "--where", "labl == 1", "-o", f"path={kinds}")
    assert (ran.code, "labl" in ran.err, "Traceback" in ran.err) == (2, True, False)


def test_stored_text_does_not_drive_the_terminal(run: Run, tmp_path: Path) -> None:
    with vecbridge.get_backend("sklearn", path=tmp_path) as store:
        index = store.create_index("t", dimension=1, metric="euclidean", fields={"s": "string"})
        index.upsert(["c\n", "c"], [[1], [2]], {"s": ["\x1b[2Jwiped", "é"]})
    words = ("search", "sklearn", "t", "--vector", "0", "--fields", "s", "-o", f"path={tmp_path}")
    shown = run(*words).out
    assert "\x1b" not in shown
    assert "\\x1b[2Jwiped" in shown
    assert "c\\n" in shown
    assert "é" in shown
