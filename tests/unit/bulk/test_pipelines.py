"""Partitions are read and written in the pipelines of others."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

import vecbridge
from tests.unit.bulk.conftest import DIMENSION, PARTS, RECORDS, shared_store
from vecbridge import Index, InvalidArgumentError, InvalidInputError, UnsupportedError
from vecbridge.bulk import Partition, PartReader, TableWriter, plan
from vecbridge.transfer import checksum


def copied_of(source: Index, path: Path) -> Index:
    return shared_store(path).create_index(
        "photos", dimension=DIMENSION, metric="euclidean", fields=dict(source.info.fields)
    )


def test_a_bag_reads_and_writes_partitions(source: Index, tmp_path: Path) -> None:
    from dask import bag

    made: Any = bag
    copied = copied_of(source, tmp_path / "bag")
    parts = plan(source, PARTS).partitions
    tables = made.from_sequence(parts, npartitions=PARTS).map(PartReader(source))
    labels = tables.map(lambda table: table["label"].drop_null()).map(len)
    assert sum(labels.compute(scheduler="processes", num_workers=2)) == RECORDS // 3
    # One process: this store has one writer.
    written = tables.map(TableWriter(copied)).compute(scheduler="processes", num_workers=1)
    assert written == [RECORDS // PARTS] * PARTS
    assert checksum(copied) == checksum(source)


def test_a_frame_reads_and_writes_partitions(source: Index, tmp_path: Path) -> None:
    import dask
    from dask import dataframe

    engine: Any = dask
    frames: Any = dataframe
    copied = copied_of(source, tmp_path / "frame")
    read, parts = PartReader(source), plan(source, PARTS).partitions

    def frame_of(part: Partition) -> Any:
        return read(part).to_pandas()

    # Otherwise Dask makes text of the vectors.
    with engine.config.set({"dataframe.convert-string": False}):
        frame = frames.from_map(frame_of, parts)
        assert len(frame[frame.label.isna()]) == RECORDS - RECORDS // 3
        pieces = map(engine.delayed(TableWriter(copied)), frame.to_delayed())
        assert sum(engine.compute(*pieces, scheduler="synchronous")) == RECORDS
    assert checksum(copied) == checksum(source)


def test_what_cannot_travel_or_is_no_partition_is_refused(source: Index) -> None:
    inside = vecbridge.get_backend("sklearn").create_index("points", dimension=1)
    for kind in (PartReader, TableWriter):
        with pytest.raises(UnsupportedError, match="in this process alone"):
            pickle.dumps(kind(inside))
        once = pickle.dumps(kind(source))
        assert pickle.dumps(pickle.loads(once)) == once
    with pytest.raises(InvalidArgumentError, match="must be a Partition"):
        PartReader(inside)(None)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError):
        TableWriter(inside)([{"id": "a", "vector": "no"}])
    assert inside.count() == 0
