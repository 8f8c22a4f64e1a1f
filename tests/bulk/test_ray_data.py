"""Ray Data reads partitions of an index, and writes them to a live Milvus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecbridge
from tests.bulk.conftest import Engine, started_ray
from vecbridge.bulk import PartReader, RayExecutor, TableWriter, plan
from vecbridge.transfer import checksum

pytestmark = [
    pytest.mark.bulk,
    pytest.mark.timeout(300),
    # Ray Data sets its own options that it calls deprecated.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
]

RECORDS, PARTS = 6_000, 6


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setenv("HOME", str(tmp_path))
    yield from started_ray()


def test_a_dataset_reads_and_writes_partitions(
    cluster: Engine, tmp_path: Path, milvus_server_uri: str
) -> None:
    from ray import data

    made: Any = data
    with (
        vecbridge.get_backend("sklearn", path=tmp_path / "source") as store,
        vecbridge.get_backend("milvus", uri=milvus_server_uri) as server,
        RayExecutor(cluster.words[1]),
    ):
        source = store.create_index("photos", dimension=8, fields={"label": "string?"})
        vectors = np.random.default_rng(3).standard_normal((RECORDS, 8))
        labels = [None if row % 3 else f"'{row}" for row in range(RECORDS)]
        source.upsert([f"{row:05}" for row in range(RECORDS)], vectors, {"label": labels})
        copied = server.create_index("photos", dimension=8, fields=dict(source.info.fields))
        try:
            read, write = PartReader(source), TableWriter(copied)
            parts = plan(source, PARTS).partitions
            tables = made.range(PARTS, override_num_blocks=PARTS).map_batches(
                lambda rows: read(parts[int(rows["id"][0])]), batch_size=1
            )
            written = tables.map_batches(
                lambda table: {"written": [write(table)]}, batch_format="pyarrow", batch_size=None
            )
            assert written.sum("written") == RECORDS
            assert checksum(copied) == checksum(source)
        finally:
            server.drop_index("photos")
