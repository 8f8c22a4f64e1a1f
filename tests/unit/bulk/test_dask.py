"""Copies on a Dask cluster of two processes, of which one is killed in the middle."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.bulk.conftest import PARTS, RECORDS
from vecbridge import Index, IndexExistsError, Store
from vecbridge.bulk import dask_executor
from vecbridge.transfer import checksum, copy, verify


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    from distributed import LocalCluster

    make: Any = LocalCluster
    started = make(
        n_workers=2,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address=None,
        worker_dashboard_address=None,
        silence_logs=50,
    )
    with started as cluster:
        yield cluster.scheduler_address


def test_a_cluster_copies_as_this_process_does(
    source: Index, target: Store, address: str, tmp_path: Path
) -> None:
    with dask_executor(address) as executor:
        killed = executor.submit(_killed_once, tmp_path / "killed")
        done = copy(source, target, partitions=PARTS, executor=executor)
        assert (done.written, done.checksum) == (RECORDS, checksum(source))
        with target.open_index("photos") as copied:
            assert verify(source, copied, partitions=PARTS, executor=executor).same
            copied.delete(["é0001"])
            copied.upsert(["é0000"], [[9, 9, 9, 9]], {"label": ["x"]})
        # What a worker raises arrives as itself.
        with pytest.raises(IndexExistsError, match="'é0000' of it differs from the source"):
            copy(source, target, partitions=PARTS, resume=True, executor=executor)
        assert killed.result(60) == "again"


def _killed_once(flag: Path) -> str:
    if flag.exists():
        return "again"
    flag.touch()
    os.kill(os.getpid(), signal.SIGKILL)
    return "never"
