"""Every kind of bad value, at every kind of place in a file: named, and nothing is changed.

Each case makes a file whose records are good but for one value, and imports it over an index that
is not there, and over one that is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from vecbridge import InvalidInputError, Store
from vecbridge.transfer import checksum, import_records

RECORDS = 70
DIMENSION = 3
BATCH = 32
PLACES = (0, 1, BATCH - 1, BATCH, BATCH + 1, 50, 2 * BATCH - 1, 2 * BATCH, 2 * BATCH + 1, 68, 69)
FIELDS: dict[str, Any] = {"text": "string", "number": "integer", "weight": "float"}


def _columns() -> dict[str, list[Any]]:
    vectors = np.random.default_rng(3).standard_normal((RECORDS, DIMENSION))
    return {
        "ids": [f"n{row:02d}" for row in range(RECORDS)],
        "vectors": vectors.tolist(),
        "text": [f"text {row}" for row in range(RECORDS)],
        "number": list(range(RECORDS)),
        "weight": [row / 7 for row in range(RECORDS)],
    }


@dataclass(frozen=True)
class Bad:
    """One kind of bad value.

    Attributes:
        column: where it stands.
        value: it.
        types: of columns that can hold it, where the usual ones cannot.
        says: a word of the reason.
        optional: an index that is made for the file takes it.
    """

    column: str
    value: Any
    says: str
    types: dict[str, Any] = field(default_factory=dict)
    optional: bool = False


def _npz(path: Path, columns: dict[str, list[Any]], bad: Bad) -> None:
    arrays: dict[str, Any] = {name: np.array(column) for name, column in columns.items()}
    for name, dtype in bad.types.items():
        arrays[name] = np.array(columns[name], dtype=dtype)
    np.savez(path, **arrays)


def _parquet(path: Path, columns: dict[str, list[Any]], bad: Bad) -> None:
    types = {
        "ids": pa.string(),
        "vectors": pa.list_(pa.float64()),
        "text": pa.string(),
        "number": pa.int64(),
        "weight": pa.float64(),
        **bad.types,
    }
    arrays = {name: pa.array(column, types[name]) for name, column in columns.items()}
    arrays["id"], arrays["vector"] = arrays.pop("ids"), arrays.pop("vectors")
    parquet.write_table(pa.table(arrays), path, row_group_size=40)


EVERYWHERE = {
    "NaN in a vector": Bad("vectors", [1.0, float("nan"), 1.0], "NaN"),
    "infinity in a vector": Bad("vectors", [1.0, 1.0, float("-inf")], "infinity"),
    "too large for float32": Bad("vectors", [1e39, 1.0, 1.0], "float32"),
    "an empty id": Bad("ids", "", "empty"),
    "an id of 513 bytes": Bad("ids", "é" * 256 + "x", "512"),
    "an id with NUL": Bad("ids", "a\0b", "NUL"),
    "a text with NUL": Bad("text", "a\0b", "NUL"),
    "a text of 65 536 bytes": Bad("text", "é" * 32768, "65535"),
    "an integer of 65 bits": Bad("number", 2**63, "64 bits"),
    "NaN in a field": Bad("weight", float("nan"), "finite"),
    "infinity in a field": Bad("weight", float("inf"), "finite"),
}
NPZ = EVERYWHERE | {
    "an integer of 65 bits": Bad("number", 2**63, "64 bits", {"number": np.uint64}),
    "an id with a lone surrogate": Bad("ids", "a\ud800", "UTF-8"),
    "a text with a lone surrogate": Bad("text", "\udc80", "UTF-8"),
}
PARQUET = EVERYWHERE | {
    "an integer of 65 bits": Bad("number", 2**63, "64 bits", {"number": pa.uint64()}),
    "no id": Bad("ids", None, "missing"),
    "no vector": Bad("vectors", None, "missing"),
    "a short vector": Bad("vectors", [1.0], "1 value"),
    "a long vector": Bad("vectors", [1.0] * 5, "5 values"),
    "an empty vector": Bad("vectors", [], "0 values"),
    "a hole in a vector": Bad("vectors", [1.0, None, 2.0], "missing"),
    "a hole in a vector of integers": Bad(
        "vectors", [1, None, 2], "missing", {"vectors": pa.list_(pa.int64())}
    ),
    "no text": Bad("text", None, "missing", optional=True),
    "no number": Bad("number", None, "missing", optional=True),
    "no weight": Bad("weight", None, "missing", optional=True),
    "no text in a dictionary": Bad(
        "text",
        None,
        "missing",
        {"text": pa.dictionary(pa.int32(), pa.string())},
        optional=True,
    ),
    "no vector of a fixed length": Bad(
        "vectors", None, "missing", {"vectors": pa.list_(pa.float32(), DIMENSION)}
    ),
    "NaN in half precision": Bad(
        "vectors",
        np.array([1, np.nan, 1], np.float16),
        "NaN",
        {"vectors": pa.list_(pa.float16(), DIMENSION)},
    ),
}
CASES = [
    *(pytest.param(".npz", _npz, bad, id=f"npz: {name}") for name, bad in NPZ.items()),
    *(pytest.param(".parquet", _parquet, bad, id=f"parquet: {n}") for n, bad in PARQUET.items()),
]


def _halved(columns: dict[str, list[Any]], bad: Bad) -> None:
    kind = bad.types.get("vectors")
    if kind is not None and pa.types.is_integer(kind.value_type):
        columns["vectors"] = [[round(9 * each) for each in row] for row in columns["vectors"]]
    if kind is not None and kind.value_type == pa.float16():
        columns["vectors"] = [np.array(row, np.float16) for row in columns["vectors"]]


def _refused(path: Path, store: Store, bad: Bad, row: int, name: str) -> list[str]:
    """What is wrong with how a file is refused; nothing should be."""
    kept = store.open_or_create_index(
        "kept", dimension=DIMENSION, metric="euclidean", fields=FIELDS
    )
    columns = _columns()
    vectors = np.zeros((RECORDS, DIMENSION), np.float32)
    kept.upsert(columns["ids"], vectors, {field: columns[field] for field in FIELDS})
    before, wrong = checksum(kept), []
    for target in ("kept",) if bad.optional else ("new", "kept"):
        try:
            import_records(
                path, store, target, metric="euclidean", batch_bytes=4 * DIMENSION * BATCH
            )
            wrong.append("taken")
        except InvalidInputError as error:  # noqa: PERF203 - two of them
            column = {"ids": "id", "vectors": "vector"}.get(bad.column, bad.column)
            shown = bad.column if path.suffix == ".npz" else column
            wanted = [str(path), f"{shown!r}", f"row {row} ", bad.says, "counted from 0"]
            if bad.column != "ids":
                wanted.append(repr(name))
            wrong += [f"no {word!r} in {error}" for word in wanted if word not in str(error)]
        except Exception as error:  # noqa: BLE001 - any other is what is looked for
            wrong.append(f"raw {error!r}")
    if store.index_names() != ["kept"]:
        wrong.append("an index was left")
        store.drop_index("new")
    if checksum(kept) != before:
        wrong.append("the index was changed")
    return wrong


@pytest.mark.slow
@pytest.mark.parametrize(("suffix", "write", "bad"), CASES)
def test_a_bad_value_anywhere_is_named_and_nothing_is_changed(
    suffix: str, write: Callable[..., None], bad: Bad, tmp_path: Path, store: Store
) -> None:
    found: dict[int, list[str]] = {}
    for row in PLACES:
        columns = _columns()
        _halved(columns, bad)
        columns[bad.column][row] = bad.value
        path = tmp_path / f"row{row}{suffix}"
        write(path, columns, bad)
        if wrong := _refused(path, store, bad, row, columns["ids"][row]):
            found[row] = wrong
    assert found == {}


@pytest.mark.parametrize(("suffix", "write"), [(".npz", _npz), (".parquet", _parquet)])
def test_an_id_in_two_rows_is_named_wherever_they_are(
    suffix: str, write: Callable[..., None], tmp_path: Path, store: Store
) -> None:
    for first in PLACES:
        for second in PLACES:
            if first >= second:
                continue
            columns = _columns()
            columns["ids"][second] = columns["ids"][first]
            path = tmp_path / f"twice{suffix}"
            bad = Bad("ids", columns["ids"][first], f"rows {first}, {second}")
            write(path, columns, bad)
            with pytest.raises(InvalidInputError) as caught:
                import_records(path, store, "new", batch_bytes=4 * DIMENSION * BATCH)
            told = str(caught.value)
            assert f"{bad.value!r} in rows {first}, {second}." in told
            assert str(path) in told
            assert store.index_names() == []
