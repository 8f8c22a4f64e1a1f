"""Files of other programs, and broken ones: nothing is guessed from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from vecbridge import DuplicateIdError, Index, InvalidArgumentError, InvalidInputError, Store
from vecbridge.transfer import export_records, import_records

FORMATS = ["parquet", "npz"]


def written(path: Path, ids: Any, vectors: Any) -> Path:
    parquet.write_table(pa.table({"id": ids, "vector": vectors}), path)
    return path


def test_uneven_lists_are_refused_though_their_sum_is_right(tmp_path: Path, store: Store) -> None:
    vectors = pa.array([[1.0, 2.0], [3.0], [4.0, 5.0, 6.0]], pa.list_(pa.float32()))
    path = written(tmp_path / "uneven.parquet", ["a", "b", "c"], vectors)
    with pytest.raises(InvalidArgumentError, match=r"row 1 .* has 1 value, and 2 are expected"):
        import_records(path, store, "uneven")
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
    assert import_records(path, store, "other").written == 2
    assert store.open_index("other").fetch(["b", "a"]).vectors.tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize(
    ("fields", "suffix", "other"),
    [
        (("id",), ".parquet", ".npz"),
        (("vector",), ".jsonl", ".npz"),
        (("about",), ".npz", ".parquet"),
    ],
)
def test_the_format_that_a_refusal_names_keeps_the_field(
    fields: tuple[str, ...], suffix: str, other: str, tmp_path: Path, store: Store
) -> None:
    index = store.create_index("named", dimension=1, fields=dict.fromkeys(fields, "string"))
    index.upsert(["a"], [[1.0]], {name: ["x"] for name in fields})
    with pytest.raises(InvalidArgumentError, match=f"Choose {other}"):
        export_records(index, tmp_path / f"named{suffix}")
    export_records(index, tmp_path / f"named{other}")
    assert import_records(tmp_path / f"named{other}", store, "back").written == 1
    assert store.open_index("back").fetch(["a"]).fields == {name: ["x"] for name in fields}


def test_where_no_format_has_room_a_copy_is_named(tmp_path: Path, store: Store) -> None:
    index = store.create_index("named", dimension=1, fields={"id": "string", "ids": "string"})
    for suffix in (".parquet", ".npz"):
        with pytest.raises(InvalidArgumentError, match="No format has room"):
            export_records(index, tmp_path / f"named{suffix}")


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
    with pytest.raises(InvalidArgumentError, match="cannot be taken as records"):
        import_records(path, store, "broken")


def test_a_folder_is_no_place_for_records(tmp_path: Path, source: Index) -> None:
    folder = tmp_path / "records.parquet"
    folder.mkdir()
    with pytest.raises(InvalidArgumentError, match="folder"):
        export_records(source, folder)


def repeated(path: Path, ids: list[str]) -> Path:
    """A file of these ids, in several row groups where it can have them."""
    if path.suffix == ".npz":
        np.savez(path, ids=np.array(ids), vectors=np.ones((len(ids), 2), np.float32))
        return path
    table = pa.table({"id": ids, "vector": np.ones((len(ids), 2), np.float32).tolist()})
    parquet.write_table(table, path, row_group_size=3)
    return path


@pytest.mark.parametrize("suffix", FORMATS)
def test_ids_that_a_file_has_twice_are_named_and_nothing_is_changed(
    suffix: str, tmp_path: Path, store: Store
) -> None:
    path = repeated(tmp_path / f"twice.{suffix}", ["a", "b", "c", "d", "b", "e", "f", "a"])
    index = store.create_index("there", dimension=2, metric="cosine")
    index.upsert(["b"], np.array([[3.0, 4.0]]))
    for name in ("there", "new"):
        with pytest.raises(DuplicateIdError, match=r"'a' in rows 0, 7; 'b' in rows 1, 4\."):
            # Every part of the file has each id once.
            import_records(path, store, name, batch_bytes=3 * 12)
    assert store.index_names() == ["there"]
    assert index.fetch(["b"]).vectors.tolist() == [[3.0, 4.0]]
    assert index.count() == 1


@pytest.mark.parametrize("suffix", FORMATS)
def test_many_repeated_ids_are_counted(suffix: str, tmp_path: Path, store: Store) -> None:
    names = [f"id{number}" for number in range(1000)]
    path = repeated(tmp_path / f"doubled.{suffix}", names * 5)
    with pytest.raises(DuplicateIdError, match=r"'id0' in rows 0, 1000, 2000 \.\.\..*997 ids more"):
        import_records(path, store, "doubled")


def test_ids_of_one_hash_are_still_different_ids(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = hash
    monkeypatch.setattr("builtins.hash", lambda it: 7 if isinstance(it, str) else real(it))
    assert (
        import_records(repeated(tmp_path / "few.npz", ["a", "b", "c"]), store, "few").written == 3
    )


def test_a_missing_id_is_told_with_its_row(tmp_path: Path, store: Store) -> None:
    path = written(tmp_path / "none.parquet", ["a", "b", None], [[1.0], [2.0], [3.0]])
    with pytest.raises(InvalidInputError, match=r"'id', row 2 \(counted .* the id is missing"):
        import_records(path, store, "none")
    assert store.index_names() == []


def test_texts_too_wide_for_an_npz_are_refused_and_parquet_takes_them(
    tmp_path: Path, store: Store
) -> None:
    index = store.create_index("told", dimension=1, metric="euclidean", fields={"said": "string"})
    count = 10_000
    said = ["short"] * (count - 1) + ["long" * 15_000]
    index.upsert([str(row) for row in range(count)], np.ones((count, 1)), {"said": said})
    with pytest.raises(InvalidArgumentError, match=r"'said'.*60,000 characters.*\.parquet"):
        export_records(index, tmp_path / "told.npz")
    assert export_records(index, tmp_path / "told.parquet") == count
    assert [each.name for each in tmp_path.iterdir()] == ["told.parquet"]
