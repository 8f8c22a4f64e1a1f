"""The cache file between processes: written by one that is killed, and by two at once."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from vecbridge import get_backend

COUNT, DIMENSION = 2500, 8
WRITER = f"""
import sys
import numpy as np
from vecbridge import get_backend
store = get_backend("faiss", index="hnsw", path=sys.argv[1])
index = store.open_index("t")
print("ready", flush=True)
number = 0
while True:
    # Each round grows the index by more than the cache tolerates, so that it is written again.
    ids = [f"{{sys.argv[2]}}-{{number}}-{{row}}" for row in range({COUNT})]
    vectors = np.random.default_rng(number).standard_normal(({COUNT}, {DIMENSION}), np.float32)
    index.upsert(ids, vectors)
    index.search(vectors[:1], 1)
    print(number, flush=True)
    number += 1
"""


def start(folder: Path, name: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(folder), name]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_killed_writers_leave_a_cache_that_is_whole_or_is_not_used(tmp_path: Path) -> None:
    with get_backend("faiss", index="hnsw", path=tmp_path) as store:
        store.create_index("t", dimension=DIMENSION)
    for wait in (0.05, 0.25):
        writers = [start(tmp_path, f"{name}{wait}") for name in "ab"]
        time.sleep(wait)
        for writer in writers:
            writer.kill()
            writer.communicate()
        with (
            get_backend("faiss", index="hnsw", path=tmp_path) as store,
            get_backend("faiss", path=tmp_path) as exact,
        ):
            index, right = store.open_index("t"), exact.open_index("t")
            assert index.count() == right.count()
            for records in right.scan(20):
                found = index.search(records.vectors, 1)
                same = [hits.ids[0] == name for hits, name in zip(found, records.ids, strict=True)]
                assert np.mean(same) > 0.8
                break


def test_another_process_is_seen_by_the_index_that_is_open(tmp_path: Path) -> None:
    vectors = np.random.default_rng(1).standard_normal((COUNT, DIMENSION), dtype=np.float32)
    with get_backend("faiss", index="hnsw", path=tmp_path) as store:
        index = store.create_index("t", dimension=DIMENSION, metric="euclidean")
        index.upsert([f"id{row}" for row in range(COUNT)], vectors)
        assert index.search(vectors[0], 1)[0].ids == ("id0",)
        code = (
            "import sys; from vecbridge import get_backend\n"
            "with get_backend('faiss', index='hnsw', path=sys.argv[1]) as store:\n"
            "    index = store.open_index('t')\n"
            "    index.upsert(['moved'], index.fetch(['id0']).vectors)\n"
            "    index.delete(['id0'])\n"
        )
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
        assert index.search(vectors[0], 1)[0].ids == ("moved",)
