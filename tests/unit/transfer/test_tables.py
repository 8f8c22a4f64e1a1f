"""One table, as five programs write it each in its own way, gives the same records."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tools.foreign_tables import LABELS, TOOLS, columns, vectors
from vecbridge import Store
from vecbridge.transfer import checksum, import_records

DATA = Path(__file__).parents[2] / "data" / "tables"
ROWS, DIMENSION = 30, 4


def expected(tool: str) -> dict[str, list[Any]]:
    """The fields of the records, by the rules of the page *Import what you have*."""
    fields = columns(ROWS)
    del fields["id"]
    place = fields.pop("place")
    if tool == "datasets":
        # A class label is its number in Parquet.
        fields["label"] = [LABELS.index(each) for each in fields["label"]]
    if tool == "arrow":
        fields["taken"] = [
            each.replace(microsecond=each.microsecond // 1000 * 1000) for each in fields["taken"]
        ]
    midnight = dt.time(tzinfo=dt.timezone.utc)
    fields["day"] = [dt.datetime.combine(each, midnight) for each in fields["day"]]
    fields["place_city"] = [each["city"] for each in place]
    fields["place_height"] = [each["height"] for each in place]
    return fields


@pytest.mark.parametrize("tool", TOOLS)
def test_every_value_of_a_file_arrives(tool: str, store: Store) -> None:
    done = import_records(DATA / f"{tool}.parquet", store, "photos", flatten=True)
    assert (done.written, done.left_out, done.dimension) == (ROWS, 0, DIMENSION)
    assert done.id_column[0] == "id"
    assert done.vector_column[0] == "embedding"
    index = store.open_index("photos")
    assert dict(index.info.fields) == {
        "label": "integer" if tool == "datasets" else "string",
        "name": "string?",
        "count": "integer?",
        "score": "float?",
        "kept": "boolean",
        "taken": "timestamp",
        "day": "timestamp",
        "tags": "strings",
        "place_city": "string?",
        "place_height": "float",
    }
    found = index.fetch([str(each) for each in columns(ROWS)["id"]])
    assert found.missing == ()
    assert np.array_equal(found.vectors, vectors(ROWS, DIMENSION))
    assert dict(found.fields) == expected(tool)


def test_the_files_of_all_but_one_program_are_the_same_records(store: Store) -> None:
    sums = set()
    for tool in TOOLS:
        skip = ["label", "taken"]
        import_records(DATA / f"{tool}.parquet", store, tool, flatten=True, skip=skip)
        sums.add(checksum(store.open_index(tool)))
    assert len(sums) == 1


def test_a_dry_run_says_what_would_be_made_and_writes_nothing(store: Store) -> None:
    path = DATA / "polars.parquet"
    done = import_records(path, store, "photos", skip=["place"], dry_run=True)
    assert (done.written, done.records) == (0, ROWS)
    assert [each.kind for each in done.columns if each.field == "count"] == ["integer?"]
    assert [each.missing for each in done.columns if each.field == "count"] == [4]
    assert done.sample is not None
    assert done.sample.ids == tuple(map(str, columns(ROWS)["id"][:10]))
    assert np.array_equal(done.sample.vectors, vectors(ROWS, DIMENSION)[:10])
    assert store.index_names() == []
