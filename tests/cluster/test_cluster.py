"""A Milvus cluster: one process a role, two that search, one of them killed under load.

Run with ``make test-cluster``: it needs etcd, which Debian calls etcd-server.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

import vecbridge
from tests.oracle import oracle
from tests.servers.milvus_cluster import MilvusCluster, running_cluster

pytestmark = pytest.mark.cluster

RECORDS, DIMENSION, K = 5000, 32, 10
LONGEST_PAUSE_S = 90.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusCluster]:
    with running_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


def records() -> tuple[list[str], NDArray[np.float32]]:
    vectors = np.random.default_rng(8).standard_normal((RECORDS, DIMENSION)).astype(np.float32)
    return [f"photo '{row}'" for row in range(RECORDS)], vectors


def test_a_cluster_ranks_like_every_other_store(cluster: MilvusCluster) -> None:
    ids, vectors = records()
    queries = vectors[:20] + np.float32(0.1)
    with vecbridge.get_backend("milvus", uri=cluster.uri, shards=2) as store:
        for metric in vecbridge.METRICS:
            index = store.create_index(f"ranked_{metric}", dimension=DIMENSION, metric=metric)
            index.upsert(ids, vectors)
            answers = index.search(queries, K, consistency="strong")
            for query, hits in zip(queries, answers, strict=True):
                expected, distances = oracle(metric, ids, vectors, query, K)
                assert hits.exact
                assert (hits.ids, hits.distances.tolist()) == (expected, distances)
            index.delete(ids[: RECORDS // 2])
            assert index.count(consistency="strong") == RECORDS - RECORDS // 2
            store.drop_index(f"ranked_{metric}")


def test_a_lost_query_node_costs_a_pause_and_no_wrong_answer(cluster: MilvusCluster) -> None:
    ids, vectors = records()
    query = vectors[17]
    stop, pauses = threading.Event(), [0.0]
    wrong: list[vecbridge.Hits] = []
    written: list[str] = []
    failed: list[BaseException] = []
    with vecbridge.get_backend(
        "milvus", uri=cluster.uri, replicas=2, retry_timeout=LONGEST_PAUSE_S
    ) as store:
        index = store.create_index("replicated", dimension=DIMENSION, metric="euclidean")
        index.upsert(ids, vectors)
        expected = index.search(query, K, consistency="strong")[0]

        def search() -> None:
            while not stop.is_set():
                started = time.monotonic()
                hits = index.search(query, K, consistency="strong")[0]
                pauses.append(time.monotonic() - started)
                if hits.ids != expected.ids or index.count(consistency="strong") < RECORDS:
                    wrong.append(hits)

        def write() -> None:
            while not stop.is_set():
                name = f"later {len(written)}"
                index.upsert([name], np.full((1, DIMENSION), 1e3, dtype=np.float32))
                written.append(name)

        def noted(work: Callable[[], None]) -> None:
            try:
                work()
            except vecbridge.VecbridgeError as error:
                failed.append(error)

        threads = [threading.Thread(target=noted, args=(work,)) for work in (search, search, write)]
        for thread in threads:
            thread.start()
        time.sleep(3)
        calm = max(pauses)
        cluster.kill(cluster.query_nodes[0])
        before = len(pauses)
        deadline = time.monotonic() + LONGEST_PAUSE_S
        while len(pauses) < before + 10 and time.monotonic() < deadline:
            time.sleep(0.5)
        time.sleep(5)
        stop.set()
        for thread in threads:
            thread.join()
        print(f"longest search: {calm:.1f} s before the loss, {max(pauses):.1f} s after it")
        assert not failed
        assert not wrong
        assert len(pauses) >= before + 10, "searches did not go on"
        assert index.contains(written, consistency="strong").all()
        assert index.count(consistency="strong") == RECORDS + len(written)
