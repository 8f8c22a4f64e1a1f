"""The file is as large as what is in it, and no larger for long."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np

from tests.unit.local.helpers import contents, named, new_table, reader, vectors
from vecbridge.local import LocalStore

COUNT, DIMENSION = 20_000, 64
VECTOR_BYTES = COUNT * DIMENSION * 4


def size(path: Path) -> int:
    """Bytes of the file after what waits in its log was brought over."""
    connection = sqlite3.connect(path / "records.vecbridge")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.close()
    return (path / "records.vecbridge").stat().st_size


def test_the_file_shrinks_when_records_are_deleted(tmp_path: Path) -> None:
    table = new_table(tmp_path, DIMENSION)
    table.upsert(named(COUNT), vectors(COUNT, DIMENSION))
    whole = size(tmp_path)
    assert whole < 1.3 * VECTOR_BYTES
    table.delete(named(COUNT - 100, start=100))
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 0.1 * whole
    assert size(tmp_path) < 0.1 * whole
    assert contents(table) == contents(reader(tmp_path))
    assert table.count() == 100


def test_the_file_shrinks_when_an_index_is_dropped(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, backend="test")
    for name in ("kept", "dropped"):
        table = store.create(name, dimension=DIMENSION, metric="cosine")
        table.upsert(named(COUNT // 2), vectors(COUNT // 2, DIMENSION))
    before = size(tmp_path)
    store.drop("dropped")
    assert size(tmp_path) < 0.6 * before
    assert store.open("kept").count() == COUNT // 2


def test_overwriting_again_and_again_does_not_grow_the_file_without_end(tmp_path: Path) -> None:
    table = new_table(tmp_path, DIMENSION)
    for seed in range(8):
        table.upsert(named(COUNT // 2), vectors(COUNT // 2, DIMENSION, seed=seed))
    assert size(tmp_path) < 2.5 * (VECTOR_BYTES // 2)
    rows = reader(tmp_path).fetch(["id7"]).vectors
    assert np.array_equal(rows[0], vectors(COUNT // 2, DIMENSION, seed=7)[7])
