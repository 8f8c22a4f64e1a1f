"""Copies to a live Milvus whose workers, nodes and program are killed: one digest in the end."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]
import pytest

import vecbridge
from tests.bulk.conftest import Engine
from vecbridge import Store
from vecbridge.transfer import checksum

pytestmark = [pytest.mark.bulk, pytest.mark.timeout(900)]

RECORDS, DIMENSION, PARTS = 60_000, 64, 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source")
    vectors = np.random.default_rng(3).standard_normal((RECORDS, DIMENSION)).astype(np.float32)
    with vecbridge.get_backend("sklearn", path=path) as store:
        index = store.create_index("photos", dimension=DIMENSION, metric="cosine")
        index.upsert([f"photo '{row}'" for row in range(RECORDS)], vectors)
    return path


@pytest.fixture
def target(milvus_server_uri: str) -> Iterator[Store]:
    with vecbridge.get_backend("milvus", uri=milvus_server_uri) as store:
        yield store
        for name in store.index_names():
            store.drop_index(name)


class Command:
    """``vecbridge copy``, run by a shell's rules: its output is read when it has ended."""

    def __init__(self, engine: Engine, folder: Path, uri: str, *more: str) -> None:
        words = ["copy", "sklearn:photos", "milvus:photos", "-f", f"path={folder}"]
        words += ["-t", f"uri={uri}", "--partitions", str(PARTS), "--json", *engine.words, *more]
        self._running = subprocess.Popen(
            [sys.executable, "-m", "vecbridge.cli", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.process = psutil.Process(self._running.pid)

    def await_records(self, store: Store, least: int) -> None:
        """Wait until the copy has begun to arrive."""
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            assert self._running.poll() is None, self.ended()
            if "photos" in store.index_names():
                with store.open_index("photos") as index:
                    if index.count(consistency="strong") >= least:
                        return
            time.sleep(0.02)
        raise AssertionError("nothing arrives")

    def ended(self) -> Any:
        """What it said, as JSON."""
        out, err = self._running.communicate(timeout=600)
        assert self._running.returncode == 0, err
        return json.loads(out)

    def kill(self) -> None:
        """End it as a power failure would; its own processes end by themselves."""
        mine = self.process.children(recursive=True)
        self.process.kill()
        self._running.communicate()
        _, left = psutil.wait_procs(mine, timeout=30)
        assert left == []


def test_a_worker_is_killed(
    engine: Engine, folder: Path, target: Store, milvus_server_uri: str
) -> None:
    command = Command(engine, folder, milvus_server_uri)
    command.await_records(target, 1)
    engine.kill_worker(command.process)
    said = command.ended()
    assert (said["written"], said["skipped"], said["partitions"]) == (RECORDS, 0, PARTS)
    assert_is_the_source(target, folder, said["checksum"]["digest"])


def test_a_node_is_killed(
    engine: Engine, folder: Path, target: Store, milvus_server_uri: str
) -> None:
    if engine.kill_node is None:
        pytest.skip("a pool of processes has no nodes")
    command = Command(engine, folder, milvus_server_uri)
    command.await_records(target, 1)
    engine.kill_node()
    said = command.ended()
    assert (said["written"], said["partitions"]) == (RECORDS, PARTS)
    assert_is_the_source(target, folder, said["checksum"]["digest"])


def test_the_program_is_killed_and_goes_on(
    engine: Engine, folder: Path, target: Store, milvus_server_uri: str
) -> None:
    command = Command(engine, folder, milvus_server_uri)
    command.await_records(target, RECORDS // 4)
    command.kill()
    said = Command(engine, folder, milvus_server_uri, "--resume").ended()
    assert said["written"] + said["skipped"] == RECORDS
    assert said["skipped"] >= RECORDS // 4
    assert_is_the_source(target, folder, said["checksum"]["digest"])


def assert_is_the_source(target: Store, folder: Path, digest: str) -> None:
    with (
        vecbridge.get_backend("sklearn", path=folder) as store,
        store.open_index("photos") as source,
        target.open_index("photos") as copied,
    ):
        assert checksum(copied) == checksum(source)
        assert checksum(source).digest == digest
