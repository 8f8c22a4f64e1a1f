"""Which columns are taken, as what, and what becomes of rows that no index takes."""

from __future__ import annotations

import datetime as dt
import decimal
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from vecbridge import InvalidArgumentError, InvalidInputError, Store
from vecbridge.transfer import checksum, export_records, import_records

UTC = dt.timezone.utc
VECTORS = pa.array([[1.0, 0.0], [0.0, 1.0]])


def taken(store: Store, source: Any, **options: Any) -> dict[str, list[Any]]:
    """The fields of the records that an import makes."""
    import_records(source, store, "made", **options)
    (records,) = store.open_index("made").scan(1000, start="!")
    store.drop_index("made")
    return {"id": list(records.ids), **{name: [*c] for name, c in records.fields.items()}}


def test_columns_are_chosen_renamed_and_left_out(store: Store) -> None:
    table = pa.table(
        {"key": ["x", "y"], "v": VECTORS, "w": VECTORS, "a": [1, 2], "b": [3, 4], "c d": [5, 6]}
    )
    choice: dict[str, Any] = {"id_column": "key", "vector_column": "v"}
    ids = {"id": ["x", "y"]}
    assert taken(store, table, **choice, fields=["a"]) == {**ids, "a": [1, 2]}
    assert taken(store, table, **choice, fields={"a": "n"}) == {**ids, "n": [1, 2]}
    rest = {"*": "*", "c d": "cd"}
    found = taken(store, table, **choice, fields=rest, skip=["w"])
    assert found == {**ids, "a": [1, 2], "b": [3, 4], "cd": [5, 6]}
    with pytest.raises(InvalidArgumentError, match=r"skip names what is not there: \['z'\]"):
        taken(store, table, **choice, skip=["z"])
    with pytest.raises(InvalidArgumentError, match=r"fields of one name: \['n'\]"):
        taken(store, table, **choice, fields={"a": "n", "b": "n"})
    with pytest.raises(InvalidArgumentError, match="fields must be a list"):
        taken(store, table, **choice, fields="a")


@pytest.mark.parametrize("name", ["id", "_id", "ID", "uuid", "key"])
def test_ids_are_found_by_their_name(name: str, store: Store) -> None:
    assert taken(store, pa.table({name: ["x", "y"], "v": VECTORS}))["id"] == ["x", "y"]


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (pa.array([2**62, -1]), ["-1", str(2**62)]),
        (pa.array([2**64 - 1, 0], pa.uint64()), ["0", str(2**64 - 1)]),
        (
            pa.array([bytes(range(16)), bytes(16)], pa.binary(16)),
            ["00000000-0000-0000-0000-000000000000", "00010203-0405-0607-0809-0a0b0c0d0e0f"],
        ),
        (pa.array(["b", "a"], pa.string_view()), ["a", "b"]),
        (pa.array([7, 5]).dictionary_encode(), ["5", "7"]),
    ],
)
def test_integers_and_uuids_become_ids(column: Any, texts: list[str], store: Store) -> None:
    assert taken(store, pa.table({"id": column, "v": VECTORS}))["id"] == texts


@pytest.mark.parametrize(
    "vectors",
    [
        pa.array([[1.0, 0.0], [0.0, 1.0]], pa.list_view(pa.float32())),
        pa.array([[9.0], [1.0, 0.0], [0.0, 1.0], None], pa.list_view(pa.float32())).slice(1, 2),
        pa.ListViewArray.from_arrays([2, 1], [2, 2], pa.array([9.0, 0.0, 1.0, 0.0])),
        pa.array([[1.0, 0.0], [0.0, 1.0]], pa.large_list_view(pa.float64())),
        pa.array([[1.0, 0.0], [0.0, 1.0]], pa.large_list(pa.float16())),
        pa.FixedShapeTensorArray.from_numpy_ndarray(np.eye(2, dtype=np.float32)),
    ],
    ids=lambda vectors: str(vectors.type),
)
def test_vectors_of_every_kind_of_list(vectors: Any, store: Store) -> None:
    import_records(pa.table({"id": ["a", "b"], "v": vectors}), store, "made")
    assert store.open_index("made").fetch(["b", "a"]).vectors.tolist() == [[0, 1], [1, 0]]


def views(values: list[str]) -> Any:
    """A dictionary of views, as polars has its categoricals."""
    indices, texts = pa.array(range(len(values)), pa.uint32()), pa.array(values, pa.string_view())
    return pa.DictionaryArray.from_arrays(indices, texts)


HALF = dt.datetime(2024, 5, 1, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("column", "options", "values"),
    [
        (views(["a", "b"]), {}, ["a", "b"]),
        (pa.array([0.5, None], pa.float16()), {}, [0.5, None]),
        (pa.array([1.1, None], pa.float32()), {}, [float(np.float32(1.1)), None]),
        (pa.array([1.0, None]), {"types": {"f": "integer"}}, [1, None]),
        (pa.array([1, None]), {"types": {"f": "float?"}}, [1.0, None]),
        (pa.array([1, 0], pa.int8()), {"types": {"f": "boolean"}}, [True, False]),
        (pa.array([decimal.Decimal("1.50"), None]), {"types": {"f": "string"}}, ["1.50", None]),
        (pa.array([dt.date(1, 1, 1), dt.date(9999, 12, 31)]), {}, None),
        (pa.array([dt.date(2024, 5, 1)] * 2), {"types": {"f": "string"}}, ["2024-05-01"] * 2),
        (
            pa.array(["2024-05-01T14:30:00+02:00", None], pa.string_view()),
            {"types": {"f": "timestamp"}},
            [HALF, None],
        ),
        (
            pa.array([HALF.replace(tzinfo=None), None], pa.timestamp("s")),
            {"timezone": "Europe/Berlin"},
            [HALF - dt.timedelta(hours=2), None],
        ),
        (pa.array([["a"], None], pa.large_list(pa.string_view())), {}, [["a"], None]),
        (pa.nulls(2), {"types": {"f": "strings"}}, [None, None]),
    ],
)
def test_values_become_what_a_field_holds(
    column: Any, options: dict[str, Any], values: list[Any] | None, store: Store
) -> None:
    found = taken(store, pa.table({"id": ["a", "b"], "v": VECTORS, "f": column}), **options)["f"]
    if values is None:
        values = [dt.datetime(1, 1, 1, tzinfo=UTC), dt.datetime(9999, 12, 31, tzinfo=UTC)]
    assert found == values
    assert list(map(type, found)) == list(map(type, values))


@pytest.mark.parametrize(
    ("column", "options", "told"),
    [
        (pa.array([1.0, 1.5]), {"types": {"f": "integer"}}, "row 1 .* cannot be of type integer"),
        (pa.array([0, 2**53 + 1]), {"types": {"f": "float"}}, "row 1 .* cannot be of type float"),
        (pa.array([0, 2], pa.int8()), {"types": {"f": "boolean"}}, "row 1 .*neither 0 nor 1"),
        (pa.array(["2024-05-01", "soon"]), {"types": {"f": "timestamp"}}, "row 0 .*; .*row 1 .*"),
        (
            pa.array([0, 2**62], pa.timestamp("s", "UTC")),
            {},
            "row 1 .* cannot be of type timestamp",
        ),
        (pa.array([["a"], ["b", None]]), {}, "row 1 .* a value is no string"),
        (pa.array([1, 2]), {"types": {"f": "strings"}}, "cannot be of type strings, as was asked"),
        (pa.array([1, 2]), {"types": {"f": "text"}}, "must be one of string, integer"),
        (pa.array([1, 2]), {"timezone": "Mars/Base"}, "timezone must be the name of one"),
    ],
)
def test_what_would_lose_something_is_refused(
    column: Any, options: dict[str, Any], told: str, store: Store
) -> None:
    with pytest.raises(InvalidInputError, match=told):
        taken(store, pa.table({"id": ["a", "b"], "v": VECTORS, "f": column}), **options)
    assert store.index_names() == []


def bad_rows(folder: Path) -> Path:
    """Two shards; row numbers in the comments are of each."""
    shards = folder / "shards"
    shards.mkdir()
    one = {
        "id": ["a", None, "c", "a", ""],  # 1 has none, 3 is there already, 4 is empty
        "v": [[1.0, 0.0], [1.0, 0.0], [float("inf"), 0.0], [2.0, 0.0], [1.0, 0.0]],  # 2
        "n": [1, 2, 3, 4, 5],
    }
    two = {
        "id": ["c", "a", "d", "e", "f"],  # c is good here; 1 is in the other shard
        "v": [[5.0, 0.0], [1.0, 0.0], [1.0], None, [1.0, 2.0]],  # 2, 3
        "n": [6, 7, 8, 9, 10],
    }
    for name, columns in (("one", one), ("two", two)):
        parquet.write_table(pa.table(columns), shards / f"{name}.parquet")
    return shards


def test_rows_that_no_index_takes_are_left_out_and_listed(tmp_path: Path, store: Store) -> None:
    source, rejects = bad_rows(tmp_path), tmp_path / "left-out.jsonl"
    done = import_records(source, store, "made", on_error="skip", rejects=rejects)
    assert (done.written, done.left_out, done.records) == (3, 7, 3)
    index = store.open_index("made")
    assert index.fetch(["a", "c", "f"]).fields == {"n": [1, 6, 10]}
    listed = [json.loads(line) for line in rejects.read_text().splitlines()]
    found = {(Path(each["source"]).stem, each["row"], each["id"]) for each in listed}
    assert found == {
        ("one", 1, None),
        ("one", 2, "c"),
        ("one", 3, "a"),
        ("one", 4, ""),
        ("two", 1, "a"),
        ("two", 2, "d"),
        ("two", 3, "e"),
    }
    (again,) = [each["reason"] for each in listed if each["row"] == 3 and each["id"] == "a"]
    assert again.startswith("column 'id': row 0 of")


def test_a_dry_run_counts_what_would_be_left_out_and_lists_nothing(
    tmp_path: Path, store: Store
) -> None:
    source, rejects = bad_rows(tmp_path), tmp_path / "left-out.jsonl"
    options: dict[str, Any] = {"on_error": "skip", "rejects": rejects}
    assert import_records(source, store, "made", dry_run=True, **options).left_out == 7
    assert not rejects.exists()
    rejects.write_text("precious")
    with pytest.raises(InvalidArgumentError, match="is there already"):
        import_records(source, store, "made", **options)
    assert (rejects.read_text(), store.index_names()) == ("precious", [])
    assert import_records(source, store, "made", overwrite=True, **options).left_out == 7
    assert len(rejects.read_text().splitlines()) == 7


@pytest.mark.parametrize(
    "options", [{"on_error": "skip"}, {"rejects": "x.jsonl"}, {"on_error": "drop"}]
)
def test_leaving_out_without_a_list_is_refused(
    options: dict[str, Any], tmp_path: Path, store: Store
) -> None:
    with pytest.raises(InvalidArgumentError, match="on_error"):
        import_records(bad_rows(tmp_path), store, "made", **options)


def test_every_row_of_a_batch_may_be_left_out(tmp_path: Path, store: Store) -> None:
    rows = 5000
    ids, bad = [f"r{row}" for row in range(rows)], np.arange(rows) >= 100
    vectors = np.ones((rows, 2))
    vectors[bad] = np.nan
    table = pa.table({"id": ids, "v": vectors.tolist()})
    rejects = tmp_path / "left-out.jsonl"
    done = import_records(
        table, store, "made", on_error="skip", rejects=rejects, batch_bytes=8 * 64
    )
    assert (done.written, done.left_out) == (100, 4900)
    assert store.open_index("made").count() == 100


def test_lines_of_json(tmp_path: Path, store: Store) -> None:
    lines = [
        {"id": 1, "vector": [1, 2], "n": 1, "x": None, "tags": []},
        {"id": 2, "vector": [0.5, 2], "n": 2.5, "x": "text", "tags": ["a"], "late": True},
    ]
    path = tmp_path / "records.jsonl.gz"
    path.write_bytes(gzip.compress("\n\n".join(map(json.dumps, lines)).encode()))
    assert import_records(path, store, "made").written == 2
    found = store.open_index("made").fetch(["2", "1"])
    assert found.vectors.tolist() == [[0.5, 2.0], [1.0, 2.0]]
    assert found.fields == {
        "n": [2.5, 1.0],
        "x": ["text", None],
        "tags": [["a"], []],
        "late": [True, None],
    }


def test_lines_that_are_no_json_can_be_left_out(tmp_path: Path, store: Store) -> None:
    path, rejects = tmp_path / "records.jsonl", tmp_path / "left-out.jsonl"
    path.write_text('{"id": "a", "vector": [1, 0]}\nnot json\n[1]\n{"id": "b", "vector": [0, 1]}')
    done = import_records(path, store, "made", on_error="skip", rejects=rejects)
    assert (done.written, done.left_out) == (2, 2)
    reasons = [json.loads(line)["reason"] for line in rejects.read_text().splitlines()]
    assert ["line 2 is not JSON" in reasons[0], "line 3 is a list" in reasons[1]] == [True, True]


def test_many_lines_of_json_are_the_records_that_were_written(tmp_path: Path, store: Store) -> None:
    index = store.create_index(
        "source", dimension=3, fields={"n": "integer?", "t": "timestamp", "s": "strings"}
    )
    rows = 3000
    index.upsert(
        [f"é{row}" for row in range(rows)],
        np.random.default_rng(1).standard_normal((rows, 3)) * 1e-30,
        {
            "n": [row if row < 2000 else None for row in range(rows)],
            "t": [HALF + dt.timedelta(microseconds=row) for row in range(rows)],
            "s": [["x"] * (row % 3) for row in range(rows)],
        },
    )
    for name in ("records.jsonl", "records.jsonl.gz"):
        assert export_records(index, tmp_path / name) == rows
        import_records(tmp_path / name, store, "back", types={"t": "timestamp"})
        assert checksum(store.open_index("back")) == checksum(index)
        store.drop_index("back")


@pytest.mark.parametrize("ids", ["ids.txt", "ids.json", "ids.npy", "numbers.npy", "a list"])
def test_a_npy_file_beside_its_ids(ids: str, tmp_path: Path, store: Store) -> None:
    np.save(tmp_path / "vectors.npy", np.eye(3))
    names = ["1", "zwei\u2028", "3"]
    (tmp_path / "ids.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    (tmp_path / "ids.json").write_text(json.dumps([1, *names[1:]]))
    np.save(tmp_path / "ids.npy", np.array(names))
    np.save(tmp_path / "numbers.npy", np.array([1, 2, 3]))
    given = names if ids == "a list" else tmp_path / ids
    assert import_records(tmp_path / "vectors.npy", store, "made", ids=given).written == 3
    (found,) = store.open_index("made").scan(9, start="!")
    assert sorted(found.ids) == sorted(["1", "2", "3"] if ids == "numbers.npy" else names)
    with pytest.raises(InvalidArgumentError, match="there are 2 ids, but another number"):
        import_records(tmp_path / "vectors.npy", store, "more", ids=["a", "b"])
    with pytest.raises(InvalidArgumentError, match=r"ids is for the vectors of a \.npy file"):
        import_records(tmp_path / "records.npz", store, "more", ids=["a", "b"])
    with pytest.raises(InvalidArgumentError, match=r"number 1 .* is 'b\\x00'"):
        import_records(tmp_path / "vectors.npy", store, "more", ids=["a", "b\0", "c"])


def test_arrays_of_an_archive_are_chosen_too(tmp_path: Path, store: Store) -> None:
    path = tmp_path / "records.npz"
    times = np.zeros(2, "M8[s]")
    np.savez(path, key=[2, 1], emb=np.eye(2), n=[3, 4], when=times, other=np.eye(2))
    choice: dict[str, Any] = {"vector_column": "emb", "skip": ["when", "other"]}
    assert taken(store, path, **choice) == {"id": ["1", "2"], "n": [4, 3]}
    assert taken(store, path, **choice, fields={"n": "m"}, types={"n": "float"})["m"] == [4.0, 3.0]
    with pytest.raises(InvalidArgumentError, match=r"'when' .*it holds datetime64"):
        taken(store, path, vector_column="emb", skip=["other"])


def test_a_type_that_there_is_none_of_is_told_with_its_column(store: Store) -> None:
    rows = [{"id": "a", "vector": [1.0], "f": "x"}]
    index = store.create_index("there", dimension=1, fields={"f": "string?"})
    kinds: Any = {"f": "strnig"}
    with pytest.raises(InvalidArgumentError, match=r"column 'f'.* string, .* got 'strnig'"):
        import_records(rows, store, "new", types=kinds)
    with pytest.raises(InvalidArgumentError, match=r"column 'f'.* string, .* got 'strnig'"):
        index.upsert_table(rows, types=kinds)
