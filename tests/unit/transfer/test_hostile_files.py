"""Files that were made to mislead, or that broke: each its own error, in bounded memory."""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.lib import format as npy
from pyarrow import parquet

from vecbridge import InvalidArgumentError, InvalidInputError, Store
from vecbridge.transfer import import_records

IDS = np.array(["a", "b"])
VECTORS = np.eye(2, dtype=np.float32)


def saved(array: Any) -> bytes:
    file = io.BytesIO()
    npy.write_array(file, np.asarray(array), allow_pickle=True)
    return file.getvalue()


def declared(shape: tuple[int, ...], descr: Any, data: bytes = b"") -> bytes:
    """An array whose header says this, and which holds that."""
    file = io.BytesIO()
    npy.write_array_header_2_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue() + data


def archive(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return path


GOOD = {"ids.npy": saved(IDS), "vectors.npy": saved(VECTORS)}
LONG_HEADER = b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31) + b" " * 64
DEEP_HEADER = b"\x93NUMPY\x01\x00" + struct.pack("<H", 9000) + b"(" * 9000
MEMBERS: dict[str, tuple[dict[str, bytes], str]] = {
    "no vectors": ({"ids.npy": saved(IDS)}, "no array is known to be the vectors"),
    "no arrays": ({}, "no array is known to be the ids.*\n.*to be the vectors"),
    "a text beside": (GOOD | {"README.txt": b"hello"}, "README.txt"),
    "a path": (GOOD | {"a/b.npy": saved(IDS)}, "a/b.npy"),
    "a path upwards": (GOOD | {"../b.npy": saved(IDS)}, "../b.npy"),
    "ids of no dimension": (GOOD | {"ids.npy": saved("a")}, r"'ids' is of <U1 \(\)"),
    "ids of two dimensions": (
        GOOD | {"ids.npy": saved([["a"], ["b"]])},
        r"'ids' is of <U1 \(2, 1\)",
    ),
    "ids of bytes": (GOOD | {"ids.npy": saved([b"a", b"b"])}, "'ids' is of .S1"),
    "ids of floats": (GOOD | {"ids.npy": saved([1.0, 2.0])}, "'ids' is of float64"),
    "ids of objects": (GOOD | {"ids.npy": saved(IDS.astype(object))}, "'ids' is of object"),
    "vectors of one dimension": (GOOD | {"vectors.npy": saved([1.0, 2.0])}, "'vectors'"),
    "vectors of integers": (GOOD | {"vectors.npy": saved([[1, 0], [0, 1]])}, "'vectors'.*int64"),
    "vectors of no values": (GOOD | {"vectors.npy": saved(np.ones((2, 0)))}, "dimension .* 0"),
    "too many dimensions": (
        {"ids.npy": saved(IDS[:1]), "vectors.npy": saved(np.ones((1, 32769)))},
        "32769",
    ),
    "vectors of complex numbers": (GOOD | {"vectors.npy": saved(VECTORS * 1j)}, "complex"),
    "vectors in Fortran order": (
        GOOD | {"vectors.npy": saved(np.asfortranarray(VECTORS))},
        "Fortran order",
    ),
    "a structured field": (
        GOOD | {"f.npy": saved(np.zeros(2, [("a", "i4"), ("b", "f4")]))},
        "'f' .*: it holds",
    ),
    "a field of times": (
        GOOD | {"f.npy": saved(np.zeros(2, "M8[s]"))},
        "'f' .*it holds datetime64",
    ),
    "a field of pickles": (GOOD | {"f.npy": saved(np.array([{}, {}]))}, "'f' .*never loaded"),
    "a field of another length": (GOOD | {"f.npy": saved([1])}, r"2 ids.*'f' of int64 \(1,\)"),
    "a field of two dimensions": (GOOD | {"f.npy": saved(VECTORS)}, "'f'.*one value per record"),
    "a field of a wide number": (
        GOOD | {"f.npy": saved(np.ones(2, np.longdouble))},
        "'f'.*64 bits",
    ),
    "a field of no name": (GOOD | {".npy": saved([1, 2])}, "array '' .*name of a field"),
    "a name that is none": (GOOD | {"a b.npy": saved([1, 2])}, "'a b'"),
    "what it says of itself is a column": (GOOD | {"about.npy": saved(IDS)}, "'about'"),
    "not an array": (GOOD | {"ids.npy": b"no array"}, "'ids' cannot be read"),
    "an empty array": (GOOD | {"ids.npy": b""}, "'ids' cannot be read"),
    "a cut array": (GOOD | {"ids.npy": saved(IDS)[:-3]}, "'ids' .*and its header says"),
    "an array with an end": (GOOD | {"vectors.npy": saved(VECTORS) + b"x"}, "and its header says"),
    "a header of 2 GB": (GOOD | {"ids.npy": LONG_HEADER}, "its header has"),
    "a header of brackets": (GOOD | {"ids.npy": DEEP_HEADER}, "'ids' cannot be read"),
    "a shape that is absurd": (
        GOOD | {"ids.npy": declared((10**15,), "<U1")},
        "and its header says",
    ),
    "a shape below zero": (GOOD | {"ids.npy": declared((-1,), "<U1")}, "and its header says"),
    "many empty ids": (
        GOOD | {"ids.npy": declared((10**15,), "<U0")},
        "another number of 'vectors'",
    ),
    "a record of 400 MB": (
        GOOD
        | {"ids.npy": declared((0,), "<U1"), "vectors.npy": declared((0, 2), "<f4")}
        | {"f.npy": declared((0,), "<U100000000")},
        "one record takes",
    ),
    "a character that is none": (
        GOOD | {"ids.npy": declared((2,), "<U1", struct.pack("<2I", 65, 0x110000))},
        r"'ids', row 1 .*not of Unicode",
    ),
}


@pytest.mark.parametrize("name", MEMBERS)
def test_an_archive_of_other_members_is_refused_by_what_is_wrong(
    name: str, tmp_path: Path, store: Store
) -> None:
    members, told = MEMBERS[name]
    path = archive(tmp_path / "other.npz", members)
    with pytest.raises(InvalidInputError, match=told) as caught:
        import_records(path, store, "other")
    assert str(path) in str(caught.value)
    assert store.index_names() == []


def test_two_members_of_one_name_are_refused(tmp_path: Path, store: Store) -> None:
    path = archive(tmp_path / "twice.npz", GOOD)
    with zipfile.ZipFile(path, "a") as opened, pytest.warns(UserWarning, match="Duplicate"):
        opened.writestr("ids.npy", saved(IDS[::-1]))
    with pytest.raises(InvalidArgumentError, match="two arrays of the name 'ids'"):
        import_records(path, store, "twice")


def test_an_encrypted_member_is_told(tmp_path: Path, store: Store) -> None:
    path = archive(tmp_path / "secret.npz", GOOD)
    content = path.read_bytes()
    # The bit stands in the flags of each entry: here and at the end.
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.index(mark) + offset
        content = content[:place] + b"\x01" + content[place + 1 :]
    path.write_bytes(content)
    with pytest.raises(InvalidArgumentError, match=r"'ids\.npy' is encrypted"):
        import_records(path, store, "secret")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compression_that_numpy_does_not_write_is_refused(
    method: int, tmp_path: Path, store: Store
) -> None:
    # The dictionary of LZMA may be 4 GB, whatever it holds.
    path = archive(tmp_path / "small.npz", GOOD, method)
    with pytest.raises(InvalidArgumentError, match="compressed by method"):
        import_records(path, store, "small")


@pytest.mark.parametrize(
    ("ids", "vectors", "field"),
    [
        (IDS.astype(">U3"), VECTORS.astype(">f4"), np.array([1, 2], ">i4")),
        (IDS, VECTORS.astype(np.longdouble), np.array([1, 2], np.uint64)),
        (IDS, VECTORS[::-1][::-1], np.array([1, 2], np.int8)),
    ],
    ids=["the other order of bytes", "wide floats", "bytes"],
)
def test_arrays_that_say_the_same_otherwise_are_taken(
    ids: Any, vectors: Any, field: Any, tmp_path: Path, store: Store
) -> None:
    np.savez_compressed(tmp_path / "same.npz", ids=ids, vectors=vectors, number=field)
    assert import_records(tmp_path / "same.npz", store, "same").written == 2
    found = store.open_index("same").fetch(["b", "a"])
    assert found.vectors.tolist() == [[0, 1], [1, 0]]
    assert found.fields == {"number": [2, 1]}


STRINGS = pa.array(["a", "b"])
LISTS = pa.array(VECTORS.tolist(), pa.list_(pa.float32()))
TABLES: dict[str, tuple[list[tuple[str, Any]], str]] = {
    "two columns of one name": (
        [("id", STRINGS), ("vector", LISTS), ("x", STRINGS), ("x", STRINGS)],
        r"several columns of one name: \['x'\]",
    ),
    "two columns of ids": ([("id", STRINGS), ("id", STRINGS), ("vector", LISTS)], "one name"),
    "no vectors": ([("id", STRINGS)], "no column is known to be the vectors"),
    "ids of floats": ([("id", pa.array([1.0, 2.0])), ("vector", LISTS)], "'id' is of double"),
    "ids of bytes": ([("id", pa.array([b"a", b"b"])), ("vector", LISTS)], "'id' is of binary"),
    "numbers as vectors": ([("id", STRINGS), ("vector", pa.array([1.0, 2.0]))], "is of double"),
    "vectors of text": ([("id", STRINGS), ("vector", pa.array([["1"], ["2"]]))], "is of list"),
    "a field of bytes": (
        [("id", STRINGS), ("vector", LISTS), ("x", pa.array([b"a", b"b"]))],
        "'x' is of binary: no type of field",
    ),
    "nested ids": ([("id", pa.array([["a"], ["b"]])), ("vector", LISTS)], "'id' is of list"),
    "ids of floats in a dictionary": (
        [("id", pa.array([1.0, 2.0]).dictionary_encode()), ("vector", LISTS)],
        "'id' is of double",
    ),
    "vectors of vectors": (
        [("id", STRINGS), ("vector", pa.array([[[1.0]], [[2.0]]]))],
        "'vector' is of list",
    ),
    "a nested field": (
        [("id", STRINGS), ("vector", LISTS), ("x", pa.array([{"a": 1}, {"a": 2}]))],
        "'x' is of struct.*--flatten",
    ),
    "a field of lists": ([("id", STRINGS), ("vector", LISTS), ("x", LISTS)], "'x' is of list"),
    "a field of times": (
        [("id", STRINGS), ("vector", LISTS), ("x", pa.array([1, 2], pa.timestamp("s")))],
        "'x' is of timestamp.*--timezone UTC",
    ),
    "a field of nothing": (
        [("id", STRINGS), ("vector", LISTS), ("x", pa.nulls(2))],
        "'x' is of null: nothing says",
    ),
    "a field of no name": (
        [("id", STRINGS), ("vector", LISTS), ("", STRINGS)],
        "column '' .*name of a field",
    ),
    "no records, and no dimension": (
        [("id", STRINGS[:0]), ("vector", LISTS[:0])],
        "nothing says which dimension",
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_other_columns_is_refused_by_what_is_wrong(
    name: str, tmp_path: Path, store: Store
) -> None:
    columns, told = TABLES[name]
    path = tmp_path / "other.parquet"
    names, arrays = zip(*columns, strict=True)
    parquet.write_table(pa.Table.from_arrays(list(arrays), list(names)), path)
    with pytest.raises(InvalidArgumentError, match=told) as caught:
        import_records(path, store, "other")
    assert str(path) in str(caught.value)
    assert store.index_names() == []


@pytest.mark.parametrize(
    "kind",
    [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())],
)
def test_every_kind_of_string_is_a_string(kind: Any, tmp_path: Path, store: Store) -> None:
    path = tmp_path / "texts.parquet"
    texts = STRINGS.cast(kind)
    parquet.write_table(pa.table({"id": texts, "vector": LISTS, "label": texts}), path)
    assert import_records(path, store, "texts").written == 2
    index = store.open_index("texts")
    assert index.info.fields == {"label": "string"}
    assert index.fetch(["b"]).fields == {"label": ["b"]}


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_what_is_no_file_is_told_apart(suffix: str, tmp_path: Path, store: Store) -> None:
    absent, folder, pipe = (tmp_path / f"{name}{suffix}" for name in ("absent", "folder", "pipe"))
    folder.mkdir()
    os.mkfifo(pipe)
    what = "without .parquet files" if suffix == ".parquet" else "is no file"
    for path, told in ((absent, "is not there"), (folder, what), (pipe, "is no file")):
        with pytest.raises(InvalidArgumentError, match=told):
            import_records(path, store, "none")


BOMB = """
import resource, sys
import vecbridge
from pathlib import Path
from vecbridge.transfer import import_records
import pyarrow.parquet
store = vecbridge.get_backend("sklearn")
store.create_index("warm", dimension=2).search([1, 0])
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (300 << 20), resource.RLIM_INFINITY))
try:
    import_records(sys.argv[1], store, "bomb")
except vecbridge.VecbridgeError as error:
    print(type(error).__name__, str(error)[:400])
else:
    print("taken")
"""


def _zeros(path: Path, name: str, size: int, header: bytes) -> None:
    """Adds a member that is small and says that it is large."""
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, allowZip64=True) as opened,
        opened.open(name, "w", force_zip64=True) as file,
    ):
        file.write(header)
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))


def _imported(path: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", BOMB, str(path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


@pytest.mark.slow
def test_ten_fields_of_many_bytes_need_no_memory(tmp_path: Path) -> None:
    """Each is under what one array may have; together they are more than the process gets."""
    path, records = tmp_path / "many.npz", 1 << 11
    archive(
        path,
        {
            "ids.npy": saved(np.array([f"{row:06d}" for row in range(records)])),
            "vectors.npy": saved(np.ones((records, 2), np.float32)),
        },
    )
    width = 5120
    for number in range(10):
        header = declared((records,), f"<U{width}")
        _zeros(path, f"f{number}.npy", 4 * width * records, header)
    assert _imported(path) == "taken"


@pytest.mark.slow
def test_a_bomb_of_equal_ids_is_told_at_once(tmp_path: Path) -> None:
    path, records = tmp_path / "bomb.npz", 1 << 24
    one = np.array(["a"]).tobytes()
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as opened,
        opened.open("ids.npy", "w", force_zip64=True) as file,
    ):
        file.write(declared((records,), "<U1"))
        for _ in range(records >> 18):
            file.write(one * (1 << 18))
    _zeros(path, "vectors.npy", 4 * records, declared((records, 1), "<f4"))
    assert path.stat().st_size < 2_000_000
    told = _imported(path)
    assert told.startswith("DuplicateIdError")
    assert "'a' in rows 0, 1, 2 ..." in told
    assert "were not looked at" in told


@pytest.mark.slow
def test_a_table_of_many_equal_ids_is_told_at_once(tmp_path: Path) -> None:
    path, records = tmp_path / "bomb.parquet", 2_000_000
    table = pa.table(
        {
            "id": pa.DictionaryArray.from_arrays(pa.array(np.zeros(records, np.int32)), ["a" * 99]),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(np.ones(records, np.float32)), 1),
            "x": pa.DictionaryArray.from_arrays(
                pa.array(np.zeros(records, np.int32)), ["x" * 60_000]
            ),
        }
    )
    parquet.write_table(table, path, row_group_size=records)
    assert path.stat().st_size < 2_000_000
    told = _imported(path)
    assert told.startswith(("DuplicateIdError", "InvalidArgumentError"))
    assert str(path) in told


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_files_that_are_damaged_at_random_are_refused_or_right(suffix: str, tmp_path: Path) -> None:
    cases = os.environ.get("VECBRIDGE_DAMAGED_FILES", "300")
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.transfer.damage", str(tmp_path), suffix, cases, "5"],
        check=False,
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["wrong"] == []
    assert found["refused"] + found["taken"] == int(cases)
    # Ours have checksums of every value: what is damaged in them is never taken for a record.
    # Of a Parquet file, that leaves out the description at its end: it may name a field otherwise.
    if suffix == ".npz":
        assert found["ours: other records"] == 0
    assert found["peak_kb"] < 1 << 20
