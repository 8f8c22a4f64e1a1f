"""Servers that are killed, frozen and emptied; connections that are cut and inherited."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]
import pymilvus
import pytest

import vecbridge
from tests.servers.milvus import MilvusServer, running_milvus
from vecbridge import ConnectionFailedError, Index, OperationTimeoutError, Store

# A round takes some ten seconds, most of them the server's start.
ROUNDS = int(os.environ.get("VECBRIDGE_KILL_ROUNDS", "2"))
FORKING = """
import os, sys, traceback
import vecbridge

uri = sys.argv[1]
with vecbridge.get_backend("milvus", uri=uri, timeout=10) as store:
    index = store.open_or_create_index("forked", dimension=2)
    index.upsert(["parent"], [[1, 2]])
    assert index.contains(["parent"]).all()
    child = os.fork()
    if child == 0:
        try:
            assert index.contains(["parent"], consistency="strong").all()
            index.upsert(["child"], [[3, 4]])
            assert store.open_index("forked").count(consistency="strong") >= 2
            store.close()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    index.upsert(["meanwhile"], [[5, 6]])
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert sorted(index.fetch(["child", "meanwhile", "parent"], consistency="strong").ids) == [
        "child", "meanwhile", "parent"
    ]
    store.drop_index("forked")
print("both")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusServer]:
    """A server to mistreat."""
    with running_milvus(tmp_path_factory.mktemp("mistreated")) as running:
        yield running


@pytest.fixture
def store(server: MilvusServer) -> Iterator[Store]:
    with vecbridge.get_backend("milvus", uri=server.uri) as opened:
        yield opened


class Ingest(threading.Thread):
    """Writes and deletes without end, and notes what was acknowledged."""

    def __init__(self, index: Index) -> None:
        super().__init__(daemon=True)
        self.index = index
        self.live: dict[str, int] = {}
        self.gone: set[str] = set()
        self.failure: BaseException | None = None
        self.longest = 0.0
        self.over = threading.Event()

    def run(self) -> None:
        try:
            while not self.over.is_set():
                started = time.monotonic()
                self._step(len(self.live) + len(self.gone))
                self.longest = max(self.longest, time.monotonic() - started)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.failure = error

    def _step(self, start: int) -> None:
        numbers = range(start, start + 100)
        names = [f"r{number}" for number in numbers]
        self.index.upsert(names, [vector(number) for number in numbers])
        self.live.update(zip(names, numbers, strict=True))
        doomed = names[::10]
        for name in doomed:
            # What is deleted may be gone from now on, and has to be once that is acknowledged.
            del self.live[name]
        self.index.delete(doomed)
        self.gone.update(doomed)

    @property
    def steps(self) -> int:
        return len(self.gone) // 10

    def await_steps(self, more: int, seconds: float = 120.0) -> None:
        goal, deadline = self.steps + more, time.monotonic() + seconds
        while self.steps < goal and self.failure is None:
            assert time.monotonic() < deadline, "the ingest does not go on"
            time.sleep(0.01)
        assert self.failure is None


def vector(number: int) -> list[float]:
    return [float(number % 1000), float(number // 1000), 1.0, 0.5]


@pytest.mark.timeout(60 + 60 * ROUNDS)
def test_a_server_that_is_killed_costs_an_ingest_a_pause(
    server: MilvusServer, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    index = store.create_index("ingested", dimension=4, metric="euclidean")
    ingest = Ingest(index)
    ingest.start()
    for number in range(ROUNDS):
        ingest.await_steps(5)
        time.sleep(0.05 * (number % 7))
        server.kill()
        server.start()
        ingest.await_steps(3)
    ingest.over.set()
    ingest.join(60)
    assert ingest.failure is None
    found = index.fetch(list(ingest.live), consistency="strong")
    back = index.contains(sorted(ingest.gone), consistency="strong").sum()
    print(
        f"{ROUNDS} rounds: acknowledged {len(ingest.live)}, lost {len(found.missing)}, deleted "
        f"{len(ingest.gone)}, back {back}, longest pause {ingest.longest:.1f} s"
    )
    assert not found.missing
    assert not back
    expected = np.array([vector(ingest.live[name]) for name in found.ids], dtype=np.float32)
    np.testing.assert_array_equal(found.vectors, expected)
    assert index.count(consistency="strong") == len(ingest.live)
    waits = [record for record in caplog.records if record.name == "vecbridge.milvus"]
    # Before 2.6, pymilvus sat an outage out by itself, and said nothing.
    silent = pymilvus.__version__.startswith("2.5")
    told = [record for record in waits if record.levelno == logging.WARNING]
    assert silent or len(told) >= ROUNDS
    store.drop_index("ingested")


def test_a_frozen_server_is_told_in_time_and_goes_on(server: MilvusServer, store: Store) -> None:
    made = store.create_index("frozen", dimension=2)
    made.upsert(["a"], [[1, 2]])
    # It is loaded by then, which takes longer than the impatient one waits.
    assert made.count() == 1
    with vecbridge.get_backend("milvus", uri=server.uri, timeout=2) as impatient:
        index = impatient.open_index("frozen")
        server.freeze()
        try:
            started = time.monotonic()
            with pytest.raises(OperationTimeoutError) as late:
                index.count()
            assert time.monotonic() - started < 5
            assert late.value.retryable
        finally:
            server.signal(signal.SIGCONT)
    assert store.open_index("frozen").count() == 1
    store.drop_index("frozen")


def test_a_collection_that_another_client_releases_is_loaded_again(store: Store) -> None:
    index = store.create_index("released", dimension=2)
    index.upsert(["a", "b"], [[1, 2], [3, 4]])
    client: Any = store.backend.client  # type: ignore[attr-defined]
    for action in (index.count, lambda: index.search([1, 2]), lambda: index.fetch(["a"])):
        client.release_collection("released")
        action()
    assert index.count() == 2
    store.drop_index("released")


def test_a_connection_that_is_closed_is_made_again(store: Store) -> None:
    index = store.create_index("cut", dimension=2)
    for _ in range(2):
        store.backend.client.close()  # type: ignore[attr-defined]
        index.upsert(["a"], [[1, 2]])
    assert index.count() == 1
    store.drop_index("cut")


def test_many_threads_use_one_store(store: Store) -> None:
    def work(thread: int) -> int:
        index = store.open_index("threads")
        for turn in range(5):
            names = [f"{thread}-{turn}-{row}" for row in range(20)]
            index.upsert(names, [[thread, turn]] * len(names))
            assert index.contains(names, consistency="session").all()
            index.delete(names[:5])
            index.search([[thread, turn]], k=3, consistency="eventual")
        return 75

    store.create_index("threads", dimension=2, metric="euclidean")
    with ThreadPoolExecutor(8) as threads:
        expected = sum(threads.map(work, range(8)))
    assert store.open_index("threads").count(consistency="strong") == expected
    store.drop_index("threads")


def connections(server: MilvusServer) -> int:
    found = psutil.Process().net_connections("tcp")
    return sum(bool(one.raddr) and one.raddr.port == server.port for one in found)


def test_what_was_opened_is_closed(server: MilvusServer) -> None:
    before = connections(server)
    closed = vecbridge.get_backend("milvus", uri=server.uri)
    closed.index_names()
    assert connections(server) > before
    closed.close()
    forgotten = vecbridge.get_backend("milvus", uri=server.uri)
    forgotten.index_names()
    del forgotten
    deadline = time.monotonic() + 5
    while connections(server) > before:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_store_works_on_both_sides_of_a_fork(server: MilvusServer) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FORKING, server.uri],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stdout.strip() == "both", ran.stderr


# Last, because no test starts the server again.
def test_without_retries_an_outage_is_told_at_once(server: MilvusServer, store: Store) -> None:
    # Loaded by a patient one: the eager one would be told that it takes longer than it waits.
    assert store.create_index("outage", dimension=2).count() == 0
    with vecbridge.get_backend("milvus", uri=server.uri, timeout=3, retry_timeout=0) as eager:
        index = eager.open_index("outage")
        server.kill()
        with pytest.raises(ConnectionFailedError) as gone:
            index.upsert(["a"], [[1, 2]])
        assert gone.value.retryable
        assert gone.value.operation == "upsert"
