"""Files that somebody else made, or that broke: nothing is guessed from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from vecbridge import Index, InvalidArgumentError, Store
from vecbridge.transfer import export_records, import_records

FORMATS = ["parquet", "npz"]


def written(path: Path, ids: Any, vectors: Any) -> Path:
    parquet.write_table(pa.table({"id": ids, "vector": vectors}), path)
    return path


def test_uneven_lists_are_refused_though_their_sum_is_right(tmp_path: Path, store: Store) -> None:
    vectors = pa.array([[1.0, 2.0], [3.0], [4.0, 5.0, 6.0]], pa.list_(pa.float32()))
    path = written(tmp_path / "uneven.parquet", ["a", "b", "c"], vectors)
    with pytest.raises(InvalidArgumentError, match="not a file of records"):
        import_records(path, store, "uneven")
    assert store.open_index("uneven").count() == 0


@pytest.mark.parametrize(
    ("ids", "vectors"),
    [
        (pa.array([1, 2]), pa.array([[1.0], [2.0]])),
        (pa.array([b"a", b"b"]), pa.array([[1.0], [2.0]])),
        (pa.array(["a", "b"]), pa.array([1.0, 2.0])),
        (pa.array(["a", "b"]), pa.array([["1"], ["2"]])),
    ],
    ids=["ids of numbers", "ids of bytes", "a number as a vector", "vectors of text"],
)
def test_columns_of_other_types_are_refused_before_an_index_is_made(
    ids: Any, vectors: Any, tmp_path: Path, store: Store
) -> None:
    path = written(tmp_path / "other.parquet", ids, vectors)
    with pytest.raises(InvalidArgumentError, match="not a file of records"):
        import_records(path, store, "other")
    assert store.index_names() == []


@pytest.mark.parametrize(
    ("ids", "vectors"),
    [
        (pa.array(["a", "b"], pa.large_string()), pa.array([[1, 0], [0, 1]], pa.list_(pa.int8()))),
        (
            pa.array(["a", "b"]).dictionary_encode(),
            pa.array([[1, 0], [0, 1]], pa.large_list(pa.float64())),
        ),
        (
            pa.array(["a", "b"]),
            pa.array(list(np.eye(2, dtype=np.float16)), pa.list_(pa.float16(), 2)),
        ),
    ],
    ids=["large strings", "a dictionary", "half precision"],
)
def test_columns_that_say_the_same_otherwise_are_taken(
    ids: Any, vectors: Any, tmp_path: Path, store: Store
) -> None:
    path = written(tmp_path / "other.parquet", ids, vectors)
    assert import_records(path, store, "other") == 2
    assert store.open_index("other").fetch(["b", "a"]).vectors.tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize(
    ("suffix", "field"),
    [
        ("parquet", "id"),
        ("parquet", "vector"),
        ("npz", "ids"),
        ("npz", "vectors"),
        ("npz", "about"),
    ],
)
def test_a_field_that_a_format_has_no_room_for_is_refused(
    suffix: str, field: str, tmp_path: Path, store: Store
) -> None:
    index = store.create_index("named", dimension=1, fields={field: "string"})
    index.upsert(["a"], [[1.0]], {field: ["x"]})
    with pytest.raises(InvalidArgumentError, match=f"{field!r}"):
        export_records(index, tmp_path / f"named.{suffix}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_that_broke_in_the_middle_says_so(
    suffix: str, tmp_path: Path, source: Index, store: Store
) -> None:
    path = tmp_path / f"broken.{suffix}"
    export_records(source, path)
    data = bytearray(path.read_bytes())
    # Where the vectors are in either format, and beyond what opening the file reads.
    middle = len(data) * 2 // 3 if suffix == "npz" else len(data) // 4
    data[middle : middle + 64] = bytes(255 - byte for byte in data[middle : middle + 64])
    path.write_bytes(data)
    with pytest.raises(InvalidArgumentError, match="not a file of records"):
        import_records(path, store, "broken")


def test_a_folder_is_no_place_for_records(tmp_path: Path, source: Index) -> None:
    folder = tmp_path / "records.parquet"
    folder.mkdir()
    with pytest.raises(InvalidArgumentError, match="folder"):
        export_records(source, folder)
