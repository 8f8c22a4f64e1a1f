"""Tables into an index, and records, hits and scans as tables."""

from __future__ import annotations

import datetime as dt
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pytest

import vecbridge
from vecbridge import (
    ClosedError,
    DimensionError,
    Hits,
    Index,
    InvalidArgumentError,
    InvalidVectorError,
    Records,
    Store,
)

UTC = dt.timezone.utc
IDS = [f"é{row}" for row in range(5)]
VECTORS = np.arange(10, dtype=np.float32).reshape(5, 2)
FIELDS: dict[str, list[Any]] = {
    "text": ["a", "", "ö", None, "e"],
    "number": [2**53 + 1, None, -1, 0, 2**63 - 1],
    "weight": [0.1, None, 1e300, -0.0, 5e-324],
    "kept": [True, None, False, True, False],
    "at": [dt.datetime(1, 1, 1, tzinfo=UTC), None, *[dt.datetime(2024, 1, 2, tzinfo=UTC)] * 3],
    "tags": [["x", ""], None, [], ["y"], ["z"]],
}
KINDS: dict[str, Any] = {
    "text": "string?",
    "number": "integer?",
    "weight": "float?",
    "kept": "boolean?",
    "at": "timestamp?",
    "tags": "strings?",
}


@pytest.fixture
def store() -> Iterator[Store]:
    with vecbridge.get_backend("sklearn") as opened:
        yield opened


@pytest.fixture
def index(store: Store) -> Index:
    return store.create_index("made", dimension=2, metric="euclidean", fields=KINDS)


def arrow() -> Any:
    flat = pa.FixedSizeListArray.from_arrays(pa.array(VECTORS.reshape(-1)), 2)
    return pa.table({"id": IDS, "vector": flat, **FIELDS})


def rows() -> list[dict[str, Any]]:
    columns: dict[str, Any] = {"id": IDS, "vector": list(VECTORS), **FIELDS}
    return [{name: column[row] for name, column in columns.items()} for row in range(5)]


class Streamed:
    """What only gives a stream, as frames of other libraries do, and only once."""

    def __init__(self) -> None:
        self.reader = arrow().to_reader(max_chunksize=2)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.reader.__arrow_c_stream__(requested_schema)


def frame() -> Any:
    return arrow().to_pandas(types_mapper=pd.ArrowDtype)


TABLES: dict[str, Callable[[], Any]] = {
    "a table of Arrow": arrow,
    "a record batch": lambda: arrow().combine_chunks().to_batches()[0],
    "a reader": lambda: arrow().to_reader(max_chunksize=2),
    "a dataset": lambda: pyarrow.dataset.dataset(arrow()),
    "a stream": Streamed,
    "a frame of pandas": frame,
    "records": rows,
    "records that come once": lambda: iter(rows()),
    "records without what is missing": lambda: [
        {name: value for name, value in row.items() if value is not None} for row in rows()
    ],
}


def assert_held(index: Index) -> None:
    found = index.fetch(IDS)
    assert found.missing == ()
    assert found.vectors.tobytes() == VECTORS.tobytes()
    assert dict(found.fields) == FIELDS
    assert str(found.fields["weight"][3]) == "-0.0"


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_of_any_kind_is_written(kind: str, index: Index) -> None:
    told: list[tuple[str, int, int]] = []
    done = index.upsert_table(TABLES[kind](), progress=lambda *each: told.append(each))
    assert (done.written, done.left_out, index.count()) == (5, 0, 5)
    assert_held(index)
    assert (told[0][0], told[-1]) == ("checking", ("importing", 5, 5))


def test_more_records_than_are_kept_in_memory(index: Index) -> None:
    count = 5000
    given = ({"id": str(row), "vector": [row, 0.5 if row % 999 else 1]} for row in range(count))
    assert index.upsert_table(given).written == count
    assert index.fetch(["4999"]).vectors.tolist() == [[4999.0, 0.5]]
    assert index.fetch(["999"]).fields == {name: [None] for name in KINDS}


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"id": ["a"]}, "got builtins.dict"),
        ("rows.parquet", "got builtins.str"),
        (7, "got builtins.int"),
        (["a"], "number 0 .* is a str"),
        ([{"id": "a", "vector": [1, 2], 3: 4}], "names of values are strings; got 3"),
        ([{"id": "a", "vector": [1, 2], "other": 1}], r"no field 'other'; it has \["),
        (pa.table({"id": ["a"], "vector": [[1.0, 2.0]]}), "becomes the index's field 'text'"),
        (pd.DataFrame({"id": ["a"], "x": [object()]}), "the pandas DataFrame cannot be taken"),
        ([{"id": "a", "vector": [1, 2]}, {"id": "a", "vector": [1, 2]}], "'a' in rows 0, 1"),
    ],
)
def test_what_is_no_such_table_is_refused(table: Any, told: str, index: Index) -> None:
    with pytest.raises(vecbridge.InvalidInputError, match=told):
        index.upsert_table(table)
    assert index.count() == 0


def test_a_lazy_frame_says_how_to_get_one(index: Index) -> None:
    class LazyFrame:
        def collect(self) -> None: ...

    with pytest.raises(InvalidArgumentError, match=r"LazyFrame\. Give its \.collect\(\)"):
        index.upsert_table(LazyFrame())


def test_vectors_of_another_length(index: Index) -> None:
    flat = pa.FixedSizeListArray.from_arrays(pa.array([1.0, 2.0, 3.0]), 3)
    with pytest.raises(DimensionError, match="have 3 dimensions, and index 'made' has 2"):
        index.upsert_table(pa.table({"id": ["a"], "vector": flat, **{n: [None] for n in KINDS}}))


def test_one_bad_row_among_many_stops_all_of_them(index: Index, tmp_path: Path) -> None:
    bad = rows()
    bad[3]["vector"] = [float("nan"), 1.0]
    bad[4]["number"] = 2**63 - 1
    with pytest.raises(InvalidVectorError, match=r"the records, key 'vector', row 3 .* 'é3'"):
        index.upsert_table(bad)
    assert index.count() == 0
    rejects = tmp_path / "left-out.jsonl"
    assert index.upsert_table(bad, on_error="skip", rejects=rejects).written == 4
    assert len(rejects.read_text().splitlines()) == 1


def test_records_come_back_as_a_table(index: Index) -> None:
    index.upsert_table(arrow())
    table = index.fetch(IDS).to_arrow()
    assert table.column_names == ["id", "vector", *FIELDS]
    assert table.drop_columns(["vector"]).to_pydict() == {"id": IDS, **FIELDS}
    assert table["vector"].type == pa.list_(pa.float32(), 2)
    assert np.array(table["vector"].to_pylist(), np.float32).tobytes() == VECTORS.tobytes()
    assert index.fetch(IDS, vectors=False).to_arrow().column_names == ["id", *FIELDS]
    index.delete(IDS)
    assert index.upsert_table(table).written == 5
    assert_held(index)


def test_a_data_frame_rounds_no_integer(index: Index) -> None:
    index.upsert_table(arrow())
    frame = index.fetch(IDS).to_pandas()
    assert str(frame["number"].dtype) == "Int64"
    assert frame["number"].tolist() == [2**53 + 1, pd.NA, -1, 0, 2**63 - 1]
    assert str(frame["kept"].dtype) == "boolean"
    assert frame["at"].tolist()[2] == FIELDS["at"][2]
    assert frame["vector"][1].tolist() == [2.0, 3.0]


def test_hits_come_back_as_a_table(index: Index) -> None:
    index.upsert_table(arrow())
    (hits,) = index.search([0.0, 1.0], k=2, fields=["text"])
    table = hits.to_arrow()
    assert table.to_pydict() == {
        "id": ["é0", "é1"],
        "distance": hits.distances.tolist(),
        "text": ["a", ""],
    }
    assert hits.to_pandas()["distance"].tolist() == hits.distances.tolist()
    assert pa.table(hits) == table
    assert Hits((), np.empty(0)).to_arrow().column_names == ["id", "distance"]


def test_types_of_tables_are_those_of_the_fields_and_not_of_the_values(index: Index) -> None:
    index.upsert_table(arrow())
    known = {name: index.scan().to_arrow().schema.field(name).type for name in FIELDS}
    for name, values in FIELDS.items():
        without = [each for each, value in zip(IDS, values, strict=True) if value is None]
        answers: list[Any] = [
            index.fetch(without),
            index.fetch(IDS).take([]),
            index.fetch(["nowhere"]),
            *index.search(VECTORS, within=without, fields=True),
            *index.search(VECTORS[:1], within=[], fields=True),
            *index.search(VECTORS[:1], where=vecbridge.field("text") == "none", fields=True),
            *index.range_search(VECTORS, 0.0, within=without, fields=True),
            index.search_aggregated(VECTORS, within=[], aggregation="post-min", fields=True),
            *(hits for _, hits in index.neighbors(1, within=without, fields=True)),
            *(hits for _, hits in index.neighbors_within(0.0, fields=True)),
        ]
        for answer in [*answers, *map(pickle.loads, map(pickle.dumps, answers))]:
            assert answer.to_arrow().schema.field(name).type == known[name], (name, answer)
    assert str(index.fetch(["é1"]).to_pandas()["number"].dtype) == "Int64"
    both = index.search(VECTORS[:2], k=1, fields=True)
    assert pa.concat_tables([hits.to_arrow() for hits in both]).num_rows == 2


def test_a_scan_comes_back_as_a_table(index: Index) -> None:
    index.upsert_table(arrow())
    assert [len(batch) for batch in index.scan(2, start="!").to_reader()] == [2, 2, 1]
    table = index.scan(2, start="!").to_arrow()
    assert table.drop_columns(["vector"]).to_pydict() == {"id": IDS, **FIELDS}
    assert len(index.scan(where=vecbridge.field("number") > 0).to_pandas()) == 2
    some = index.scan(fields=["kept"], vectors=False).to_arrow()
    assert some.schema.names == ["id", "kept"]
    # The types are the index's, also where there is no value to tell them by.
    index.delete(IDS)
    assert index.scan().to_arrow().schema == table.schema
    index.upsert_table(table)
    assert_held(index)
    assert pa.RecordBatchReader.from_stream(index.scan()).read_all().num_rows == 5


def test_a_table_of_a_scan_ends_with_its_index(index: Index) -> None:
    index.upsert_table(arrow())
    reader = index.scan(1).to_reader()
    reader.read_next_batch()
    index.close()
    with pytest.raises(ClosedError):
        reader.read_next_batch()


@pytest.mark.parametrize("name", ["id", "distance", "vector"])
def test_fields_that_a_table_has_no_room_for_are_refused(name: str, store: Store) -> None:
    index = store.create_index("named", dimension=1, fields={name: "string"})
    index.upsert(["a"], [[1.0]], {name: ["x"]})
    refused: list[Callable[[], Any]] = []
    if name != "distance":
        refused += [lambda: index.scan().to_arrow(), lambda: index.fetch(["a"]).to_arrow()]
    if name != "vector":
        refused += [index.search([1.0], fields=True)[0].to_arrow]
    for call in refused:
        with pytest.raises(InvalidArgumentError, match=f"of these names.*{name}"):
            call()


COLUMNS: dict[str, Callable[[list[Any]], Any]] = {
    "a series": lambda values: pd.Series(values, dtype=object),
    "an extension array": pd.array,
    "an Arrow array": pa.array,
    "a chunked array": lambda values: pa.chunked_array([pa.array(values)]),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_columns_of_data_frames_are_fields(kind: str, index: Index) -> None:
    columns = {name: COLUMNS[kind](values) for name, values in FIELDS.items() if name != "tags"}
    index.upsert(pa.array(IDS).to_pylist(), VECTORS, {**columns, "tags": FIELDS["tags"]})
    assert_held(index)


def test_what_pandas_has_for_missing_values_is_missing(index: Index) -> None:
    frame = pd.DataFrame({"text": pd.Categorical(["a", None]), "weight": [0.5, None]})
    frame["at"] = pd.to_datetime([None, "2024-01-02T00:00:00Z"], utc=True)
    rest = {name: [None, None] for name in ("number", "kept", "tags")}
    index.upsert(["a", "b"], VECTORS[:2], {**dict(frame.items()), **rest})
    found = index.fetch(["a", "b"]).fields
    assert (found["text"], found["weight"]) == (["a", None], [0.5, None])
    assert found["at"] == [None, FIELDS["at"][2]]


WITHOUT_ARROW = """
import sys
sys.modules["pyarrow"] = None
import numpy as np, vecbridge
index = vecbridge.get_backend("sklearn").create_index("a", dimension=1)
index.upsert(["a"], [[1.0]])
for call in (
    lambda: index.upsert_table([{"id": "a", "vector": [1.0]}]),
    lambda: index.scan().to_arrow(),
    lambda: index.fetch(["a"]).to_pandas(),
    lambda: index.search([1.0])[0].to_arrow(),
):
    try:
        call()
    except vecbridge.MissingDependencyError as error:
        print(error)
"""


def test_what_is_missing_is_named_with_how_to_install_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_ARROW], check=True, capture_output=True, text=True
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert all("pip install 'vecbridge[parquet]'" in line for line in lines)


def test_records_made_by_hand_have_tables_too() -> None:
    records = Records(("a",), np.ones((1, 2), np.float32), {"tags": [["x"]], "n": [None]})
    assert records.to_arrow().schema.types[2:] == [pa.list_(pa.string()), pa.null()]
