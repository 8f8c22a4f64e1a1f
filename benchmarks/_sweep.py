"""One cell of the sweep: a backend at one size, in a process of its own.

Run by ``bench_sweep.py``. Prints JSON: for each task its unit, the figures of each side, and how
often each was run. Every side answers the same question about the same vectors, under the
euclidean metric: ours with exact ranking, the peers as they rank.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from _measure import memory, seconds, together
from _sweep_peers import PEERS, K

from vecbridge import Index, get_backend

DEEP = (100, 10_000)
SHARES = (1, 50, 99)
OURS, BLAS, READING = "ours", "BLAS product", "reading the bytes"
READ_BYTES = 256 * 2**20
Found = dict[str, dict[str, Any]]


def bandwidth() -> float:
    """Bytes a second at which all cores together read memory that no cache holds."""
    cores = os.cpu_count() or 1
    parts = np.array_split(np.ones(READ_BYTES // 8, dtype=np.int64), cores)
    with ThreadPoolExecutor(cores) as threads:
        best = min(seconds(lambda: list(threads.map(np.max, parts))) for _ in range(9))
    return READ_BYTES / best


def data(count: int, dimension: int) -> tuple[list[str], Any, Any]:
    """Ids, Gaussian vectors and a hundred queries."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((count, dimension), dtype=np.float32)
    queries = rng.standard_normal((100, dimension), dtype=np.float32)
    return [f"record-{number}" for number in range(count)], vectors, queries


def storing(backend: str, folder: Path, ids: list[str], vectors: Any, one: Any) -> Found:
    """Ingest into files, opening again, and what an open index holds; each once or thrice."""
    peer = PEERS[backend]
    get_backend(backend)
    peer(vectors[:10]).search(one, 1)

    def ingest() -> None:
        with get_backend(backend, path=str(folder), metric="euclidean") as store:
            store.create_index("bench", dimension=vectors.shape[1]).upsert(ids, vectors)

    ingested = {
        OURS: seconds(ingest),
        peer.name: seconds(lambda: peer(vectors).save(folder)),
        "writing the bytes": seconds(lambda: _write(folder / "bytes", vectors)),
    }
    gc.collect()
    before = memory("VmRSS")
    opened = [seconds(lambda: _open_and_ask(backend, folder, one)) for _ in range(3)]
    with get_backend(backend, path=str(folder)) as store:
        index = store.open_index("bench")
        index.search(one, K)
        held = memory("VmRSS") - before
    loaded = peer(vectors[:10])
    reopened = [
        seconds(lambda: (loaded.load(folder), loaded.search(one, K)))  # type: ignore[func-returns-value]
        for _ in range(3)
    ]
    reading = [seconds(lambda: np.fromfile(folder / "bytes", np.float32)) for _ in range(3)]
    openings = {
        OURS: statistics.median(opened),
        peer.name: statistics.median(reopened),
        "reading the file": statistics.median(reading),
    }
    return {
        "ingest": {"unit": "s", "figures": ingested, "repeats": 1},
        "open and ask once": {"unit": "s", "figures": openings, "repeats": 3},
        "memory of an open index": {
            "unit": "MB",
            "figures": {OURS: held, "the vectors": vectors.nbytes / 2**20},
            "repeats": 1,
        },
    }


def _write(path: Path, vectors: Any) -> None:
    with path.open("wb") as file:
        vectors.tofile(file)
        file.flush()
        os.fsync(file.fileno())


def _open_and_ask(backend: str, folder: Path, one: Any) -> None:
    with get_backend(backend, path=str(folder)) as store:
        store.open_index("bench").search(one, K)


class Searches:
    """The searches of one cell, all sides in turn.

    Args:
        index: ours, filled.
        peer: the other library, filled.
        speed: bytes a second at which memory is read.
        wanted: seconds that each task may take.
    """

    def __init__(self, index: Index, peer: Any, speed: float, wanted: float) -> None:
        self._index, self._peer, self._speed, self._wanted = index, peer, speed, wanted

    def plain(self, vectors: Any, queries: Any, k: int) -> dict[str, Any]:
        """Return the nearest of all records."""
        k = min(k, len(vectors))
        return self._compared(
            {
                OURS: lambda: self._index.search(queries, k),
                self._peer.name: lambda: self._peer.search(queries, k),
                BLAS: lambda: vectors @ queries.T,
            },
            vectors.nbytes,
        )

    def within(self, vectors: Any, one: Any, ids: list[str], share: int) -> dict[str, Any]:
        """Return the nearest among a share of them: ours is given ids, the peer row numbers."""
        rows = np.random.default_rng(2).choice(
            len(ids), max(K, len(ids) * share // 100), replace=False
        )
        rows.sort()
        names = [ids[row] for row in rows]
        chosen = vectors[rows]
        return self._compared(
            {
                OURS: lambda: self._index.search(one, K, within=names),
                self._peer.name: lambda: self._peer.within(one, rows),
                BLAS: lambda: chosen @ one.T,
            },
            chosen.nbytes,
        )

    def _compared(self, works: dict[str, Any], size: int) -> dict[str, Any]:
        figures, repeats = together(works, self._wanted)
        found = {name: 1e3 * value for name, value in figures.items()}
        return {
            "unit": "ms",
            "figures": {**found, READING: 1e3 * size / self._speed},
            "repeats": repeats,
        }


def searching(backend: str, ids: list[str], vectors: Any, queries: Any, wanted: float) -> Found:
    """Every search, in memory."""
    index = get_backend(backend, metric="euclidean").create_index(
        "bench", dimension=vectors.shape[1]
    )
    index.upsert(ids, vectors)
    searches = Searches(index, PEERS[backend](vectors), bandwidth(), wanted)
    one = queries[:1]
    found = {
        "one query, k=10": searches.plain(vectors, one, K),
        "100 queries, k=10": searches.plain(vectors, queries, K),
    }
    for k in DEEP:
        found[f"one query, k={k}"] = searches.plain(vectors, one, k)
    for share in SHARES:
        found[f"one query within {share} %"] = searches.within(vectors, one, ids, share)
    return found


def main() -> None:
    """Measures one cell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("backend", choices=list(PEERS))
    parser.add_argument("count", type=int)
    parser.add_argument("dimension", type=int)
    parser.add_argument("wanted", type=float, help="seconds for each task")
    given = parser.parse_args()
    ids, vectors, queries = data(given.count, given.dimension)
    with tempfile.TemporaryDirectory(prefix="vecbridge-") as name:
        found = storing(given.backend, Path(name), ids, vectors, queries[:1])
    found |= searching(given.backend, ids, vectors, queries, given.wanted)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
