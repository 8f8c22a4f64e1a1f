"""Fields of every type, copied and through files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

import vecbridge
from vecbridge import Index, InvalidInputError, UnsupportedError
from vecbridge.fields import FIELD_TYPES, FieldType
from vecbridge.transfer import checksum, copy, export_records, import_records, verify
from vecbridge_conformance.suite.test_semantics_field_types import random_rows

FIELDS: dict[str, FieldType] = {kind.replace("?", "_o"): kind for kind in FIELD_TYPES}
ROWS = random_rows(FIELDS, 60, seed=5)
COLUMNS = {name: [row[name] for row in ROWS] for name in FIELDS}
IDS = [f"r{number:02}" for number in range(len(ROWS))]


@pytest.fixture
def index() -> Index:
    made = vecbridge.get_backend("sklearn").create_index("a", dimension=2, fields=FIELDS)
    made.upsert(IDS, np.arange(120).reshape(-1, 2), COLUMNS)
    return made


def assert_the_same(found: Index, index: Index) -> None:
    assert dict(found.info.fields) == FIELDS
    assert dict(found.fetch(IDS).fields) == COLUMNS
    assert checksum(found) == checksum(index)


def test_a_copy_has_them(index: Index) -> None:
    target = vecbridge.get_backend("sklearn")
    copy(index, target, "b")
    assert_the_same(target.open_index("b"), index)
    assert verify(index, target.open_index("b")).same


def test_a_checksum_tells_values_apart(index: Index) -> None:
    before = checksum(index)
    row = next(row for row in ROWS if row["timestamp_o"] is not None)
    index.update_fields([IDS[ROWS.index(row)]], {"timestamp_o": [None]})
    assert checksum(index) != before


def test_parquet_keeps_them(index: Index, tmp_path: Path) -> None:
    path = tmp_path / "records.parquet"
    export_records(index, path)
    target = vecbridge.get_backend("sklearn")
    import_records(path, target, "b")
    assert_the_same(target.open_index("b"), index)


def test_npz_refuses_what_no_array_holds(index: Index, tmp_path: Path) -> None:
    path = tmp_path / "records.npz"
    with pytest.raises(UnsupportedError, match="parquet"):
        export_records(index, path)
    assert not path.exists()


def test_npz_says_that_a_field_may_be_missing(tmp_path: Path) -> None:
    store = vecbridge.get_backend("sklearn")
    index = store.create_index("a", dimension=1, fields={"n": "integer?"})
    index.upsert(["a"], [[1.0]], {"n": [1]})
    with pytest.raises(UnsupportedError, match=r"field 'n'.* may be missing: choose \.parquet"):
        export_records(index, tmp_path / "records.npz")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pa.array([1_000], pa.timestamp("ns", tz="Europe/Berlin")), "timestamp"),
        (pa.array([1], pa.timestamp("s", tz="UTC")), "timestamp"),
        (pa.array([["a", "b"]], pa.large_list(pa.large_string())), "strings"),
        (pa.array([1_001], pa.timestamp("ns", tz="UTC")), None),
        (pa.array([1], pa.timestamp("us")), None),
        (pa.array([[1]], pa.list_(pa.int64())), None),
        (pa.array([["a", None]], pa.list_(pa.string())), None),
    ],
)
def test_files_of_other_programs(column: Any, kind: str | None, tmp_path: Path) -> None:
    path = tmp_path / "records.parquet"
    vectors = pa.array([[1.0, 2.0]], pa.list_(pa.float32()))
    parquet.write_table(pa.table({"id": ["a"], "vector": vectors, "f": column}), path)
    target = vecbridge.get_backend("sklearn")
    if kind is None:
        with pytest.raises(InvalidInputError):
            import_records(path, target, "b")
        assert target.index_names() == []
        return
    import_records(path, target, "b")
    found = target.open_index("b")
    assert found.info.fields["f"] == kind
    (value,) = found.fetch(["a"]).fields["f"]
    assert value == (["a", "b"] if kind == "strings" else column[0].as_py())
