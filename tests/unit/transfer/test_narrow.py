"""An import or a copy into an index that holds less changes nothing unless all of it fits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecbridge
from tests.narrow import narrow_store
from vecbridge import InvalidArgumentError, InvalidIdError, Store
from vecbridge.transfer import checksum, copy, export_records, import_records

FIELDS: dict[str, Any] = {"name": "string", "size": "integer", "share": "float"}
MISFITS = [
    ("name", "toolong", "'name' holds strings of at most 5 bytes of UTF-8"),
    ("name", "日本", "'name' holds strings of at most 5 bytes of UTF-8"),
    ("size", 128, "'size' holds integers from -128 to 127; got '128'"),
    ("share", 0.1, r"'share' holds finite floats of 32 bits \(float\(numpy.float32\(x\)\)"),
    ("share", 1e300, "'share' holds finite floats of 32 bits"),
    ("share", 1e-300, "'share' holds finite floats of 32 bits"),
    ("ids", "12345678", "ids must be at most 7 bytes of UTF-8 in this index.* has 8: '12345678'"),
]


def columns(count: int = 1000) -> dict[str, list[Any]]:
    tenth = float(np.float32(0.1))
    return {
        "ids": [f"r{row}" for row in range(count)],
        "name": ["日é"] * count,
        "size": [127] * count,
        "share": [tenth] * count,
    }


def filled(store: Store, name: str, table: dict[str, list[Any]]) -> vecbridge.Index:
    index = store.create_index(name, dimension=2, metric="euclidean", fields=FIELDS)
    count = len(table["ids"])
    index.upsert(table["ids"], np.ones((count, 2)), {each: table[each] for each in FIELDS})
    return index


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize(("column", "value", "said"), MISFITS)
def test_what_does_not_fit_is_named_and_nothing_is_changed(
    tmp_path: Path, column: str, value: object, said: str, there: bool, suffix: str
) -> None:
    table = columns()
    table[column][998] = value
    path = tmp_path / f"photos{suffix}"
    export_records(filled(vecbridge.get_backend("sklearn"), "wide", table), path)
    with narrow_store() as store:
        before = checksum(filled(store, "kept", columns(3)))
        target = "kept" if there else "new"
        wanted = InvalidIdError if column == "ids" else InvalidArgumentError
        with pytest.raises(wanted, match=said) as told:
            import_records(path, store, target, batch_bytes=2048)
        if column == "ids":
            column = "ids" if suffix == ".npz" else "id"
        for word in (str(path), f"{column!r}", "row 998 ", repr(table["ids"][998])):
            assert word in str(told.value)
        assert store.index_names() == ["kept"]
        assert checksum(store.open_index("kept")) == before


def test_what_fits_is_imported(tmp_path: Path) -> None:
    wide = filled(vecbridge.get_backend("sklearn"), "wide", columns())
    export_records(wide, tmp_path / "photos.npz")
    with narrow_store() as store:
        assert import_records(tmp_path / "photos.npz", store, "new").written == 1000
        assert checksum(store.open_index("new")) == checksum(wide)


@pytest.mark.parametrize(("column", "value", "said"), MISFITS)
def test_a_copy_that_does_not_fit_writes_nothing(column: str, value: object, said: str) -> None:
    table = columns()
    table[column][998] = value
    wide = vecbridge.get_backend("sklearn")
    source = vecbridge.Store(wide.backend, budgets=vecbridge.Budgets(scan_bytes=10 * 2 * 4))
    filled(wide, "photos", table)
    wanted = InvalidIdError if column == "ids" else InvalidArgumentError
    with narrow_store() as store:
        with pytest.raises(wanted, match=said):
            copy(source.open_index("photos"), store)
        assert store.open_index("photos").count() == 0
        filled(wide, "fitting", columns())
        assert copy(source.open_index("fitting"), store).written == 1000
        assert copy(store.open_index("fitting"), wide, "back").written == 1000
