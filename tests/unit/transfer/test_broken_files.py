"""Files that cannot be imported: each says what is wrong, and nothing is written."""

from __future__ import annotations

import datetime as dt
import decimal
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from vecbridge import InvalidInputError, SchemaMismatchError, Store
from vecbridge.transfer import checksum, import_records

IDS = pa.array(["a", "b", "c"])
VECTORS = pa.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], pa.list_(pa.float32()))
Make = Callable[[Path], Path]


def table(name: str = "file.parquet", **columns: Any) -> Make:
    def make(folder: Path) -> Path:
        parquet.write_table(pa.table({"id": IDS, "vector": VECTORS, **columns}), folder / name)
        return folder / name

    return make


def content(name: str, data: bytes) -> Make:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return make


def shards(**tables: dict[str, Any]) -> Make:
    def make(folder: Path) -> Path:
        (folder / "shards").mkdir()
        for name, columns in tables.items():
            whole = {"id": IDS, "vector": VECTORS, **columns}
            held = {key: column for key, column in whole.items() if column is not None}
            parquet.write_table(pa.table(held), folder / "shards" / f"{name}.parquet")
        return folder / "shards"

    return make


def cut(folder: Path) -> Path:
    path = table()(folder)
    path.write_bytes(path.read_bytes()[:-200])
    return path


def said_otherwise(folder: Path) -> Path:
    about = {b"vecbridge": json.dumps({"metric": "cosine", "fields": {"kept": "boolean?"}})}
    columns = {"id": IDS, "vector": VECTORS, "kept": pa.array([1, 0, None], pa.int8())}
    parquet.write_table(pa.table(columns).replace_schema_metadata(about), folder / "file.parquet")
    return folder / "file.parquet"


def vectors_alone(folder: Path) -> Path:
    np.save(folder / "file.npy", np.eye(2))
    return folder / "file.npy"


def pickled(folder: Path) -> Path:
    np.savez(folder / "file.npz", ids=np.array(["a", None]), vectors=np.eye(2))
    return folder / "file.npz"


def hive(folder: Path) -> Path:
    (folder / "shards" / "label=cat").mkdir(parents=True)
    return folder / "shards"


GOOD_LINE = b'{"id": "a", "vector": [1, 0]}\n'
NAIVE = pa.array([dt.datetime(2024, 1, 1)] * 3)  # noqa: DTZ001 - without a zone is the point
BROKEN: dict[str, tuple[Make, str]] = {
    "no bytes": (content("file.parquet", b""), "the file cannot be read: Parquet file size is 0"),
    "another format": (content("file.parquet", b"PK\3\4" * 9), "Parquet magic bytes not found"),
    "cut off": (cut, "the file cannot be read: Parquet magic bytes not found"),
    "no ids": (
        shards(one={"id": None, "name": IDS}),
        r"no column is known to be the ids; 'name' could be\. Say which: .* \(--id-column\)",
    ),
    "ids of floats": (table(id=pa.array([1.0, 2.0, 3.0])), "'id' is of double: ids are strings"),
    "no vectors": (shards(one={"vector": None}), "no column is known to be the vectors: vectors"),
    "two columns of vectors": (
        shards(one={"vector": None, "image": VECTORS, "text": VECTORS}),
        r"'image', 'text' could be\. Say which: vector_column= \(--vector-column\)",
    ),
    "uneven vectors": (
        table(vector=pa.array([[1.0, 0.0], [1.0], [1.0, 0.0, 0.0]])),
        r"row 1 .*, id 'b': the vector has 1 value, and 2 are expected; .*row 2 .* has 3 values",
    ),
    "NaN": (
        table(vector=pa.array([[1.0, 0.0], [float("nan"), 1.0], [1.0, 1.0]])),
        r"column 'vector', row 1 \(counted from 0\), id 'b': the vector has NaN or infinity",
    ),
    "no id in a row": (table(id=pa.array(["a", None, "c"])), r"row 1 .* the id is missing"),
    "an id in two shards": (
        shards(one={}, two={"id": pa.array(["d", "b", "e"])}),
        r"'b' in rows 1 of .*one\.parquet, 1 of .*two\.parquet",
    ),
    "shards of other columns": (
        shards(one={}, two={"label": IDS}),
        r"one\.parquet and .*two\.parquet do not have the same columns: only one .* \['label'\]",
    ),
    "shards of other types": (
        shards(one={"x": pa.array([1, 2, 3])}, two={"x": IDS}),
        r"column 'x' is of int64 in .*one\.parquet and of string in .*two\.parquet",
    ),
    "no shards": (hive, r"has folders in it, such as \['label=cat'\].*partitioning='hive'"),
    "what no field holds": (
        table(
            price=pa.array([decimal.Decimal("1.50")] * 3),
            extra=pa.array([[("a", 1)]] * 3, pa.map_(pa.string(), pa.int64())),
            boxes=pa.array([[[1]]] * 3),
            place=pa.array([{"city": "Bonn"}] * 3),
            day=pa.array([1, 2, 3], pa.time64("us")),
        ),
        (
            r"'price' is of decimal.*--type price=string.*\n.*'extra' is of map.*--skip extra.*\n"
            r".*'boxes' is of list<.*\n.*'place' is of struct.*--flatten.*\n.*'day' is of time64"
        ),
    ),
    "times without a zone": (table(taken=NAIVE), "'taken' .* name no time zone.*--timezone UTC"),
    "nanoseconds": (
        table(taken=pa.array([1000, 1001, 2000], pa.timestamp("ns", tz="UTC"))),
        r"'taken', row 1 .* it has nanoseconds, and a timestamp has microseconds; round it",
    ),
    "a name that no field has": (
        table(**{"file name": IDS}),
        r"'file name' .* the name of a field is letters, .* \(--fields '\*,file name=NAME'\)",
    ),
    "what the file says is not so": (
        said_otherwise,
        r"'kept' is of int8: .* integer values, and the file says .* boolean\?; say which",
    ),
    "a line that is no JSON": (
        content("file.jsonl", GOOD_LINE + b'{"id": "b", "vector": [1, 0\n'),
        r"row 1 \(counted from 0\): line 2 is not JSON: Expecting .*, at character 28",
    ),
    "a line that is no object": (
        content("file.jsonl", GOOD_LINE + b'["b", [1, 0]]\n'),
        "line 2 is a list, and no JSON object",
    ),
    "lines that were cut off": (
        content("file.jsonl.gz", gzip.compress(GOOD_LINE * 9)[:-9]),
        "cannot be read: Compressed file ended",
    ),
    "values of two kinds": (
        content("file.jsonl", GOOD_LINE + b'{"id": 7, "vector": [1, 0]}\n'),
        r"key 'id' is of string in row 0 and int64 in row 1: ids .* all of one kind",
    ),
    "vectors alone": (vectors_alone, r"holds only vectors; .* \(--ids ids\.txt\)"),
    "pickles": (pickled, "'ids' is of object .* which are never loaded"),
    "another name": (content("file.csv", b"id,vector\n"), r"are read from \.parquet, \.jsonl"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_says_what_is_wrong_and_nothing_is_written(
    name: str, tmp_path: Path, store: Store
) -> None:
    make, told = BROKEN[name]
    path = make(tmp_path)
    with pytest.raises(InvalidInputError, match=told) as caught:
        import_records(path, store, "new")
    assert path.name in str(caught.value)
    assert store.index_names() == []


@pytest.mark.parametrize(
    ("columns", "error", "told"),
    [
        (
            {"vector": pa.array([[1.0] * 3] * 3, pa.list_(pa.float32(), 3))},
            SchemaMismatchError,
            "the vectors have 3 dimensions, and index 'kept' has 2",
        ),
        ({"vector": pa.array([[1.0] * 3] * 3)}, InvalidInputError, "has 3 values, and 2 are"),
        ({"label": pa.array(["x", None, "y"])}, InvalidInputError, "row 1 .* value is missing"),
        ({"other": IDS}, InvalidInputError, r"has no field 'other'; it has \['label'\]"),
        ({"label": pa.array([1, 2, 3])}, None, None),
        (
            {"label": pa.array([True] * 3)},
            InvalidInputError,
            "cannot be of type string, as the index",
        ),
        ({"label": None}, InvalidInputError, "no column becomes the index's field 'label'"),
    ],
)
def test_a_file_that_does_not_fit_the_index(
    columns: dict[str, Any], error: type[Exception] | None, told: str, tmp_path: Path, store: Store
) -> None:
    index = store.create_index("kept", dimension=2, fields={"label": "string"})
    index.upsert(["a"], [[3.0, 4.0]], {"label": ["old"]})
    before = checksum(index)
    path = shards(one={"label": IDS, **columns})(tmp_path)
    if error is None:
        # Every integer has one text, so nothing is lost.
        assert import_records(path, store, "kept").written == 3
        assert index.fetch(["b"]).fields == {"label": ["2"]}
        return
    with pytest.raises(error, match=told):
        import_records(path, store, "kept")
    assert checksum(index) == before


def test_the_metric_of_an_index_that_is_there_need_not_be_said(
    tmp_path: Path, store: Store
) -> None:
    store.create_index("kept", dimension=2, metric="euclidean")
    path = table()(tmp_path)
    assert import_records(path, store, "kept").written == 3
    with pytest.raises(SchemaMismatchError, match="metric"):
        import_records(path, store, "kept", metric="cosine")
