"""The sklearn reference against BLAS, and against FiftyOne's own sklearn backend.

FiftyOne is measured where ``FIFTYONE_DATABASE_URI`` names a MongoDB that may be written to.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from _measure import Row, arguments, best_difference, medians, memory, report, seconds

from vecbridge import METRICS, Index, get_backend

HERE = Path(__file__).parent
SAVE_LIMIT = LOAD_LIMIT = 1 / 20
SEARCH_LIMIT = 3.0
MEMORY_LIMIT = 3.0
EXACT_OVERHEAD_MS = 0.5


def data(count: int, dimension: int) -> tuple[list[str], Any]:
    """Ids and Gaussian vectors."""
    vectors = np.random.default_rng(0).standard_normal((count, dimension), dtype=np.float32)
    return [f"record-{number}" for number in range(count)], vectors


def storing(count: int, dimension: int) -> list[Row]:
    """Time creating, saving and reopening, against FiftyOne where it is installed."""
    peer = fiftyone_seconds(count, dimension)
    ids, vectors = data(count, dimension)
    # Importing scikit-learn is no part of saving; FiftyOne's imports are not counted either.
    get_backend("sklearn")
    with tempfile.TemporaryDirectory() as folder:

        def save() -> None:
            with get_backend("sklearn", path=folder) as store:
                index = store.create_index("bench", dimension=dimension)
                index.upsert(ids, vectors)

        def load() -> None:
            with get_backend("sklearn", path=folder) as store:
                index = store.open_index("bench")
                # The first search pays for what is put off until then.
                index.search(vectors[0], 1)

        saved, loaded = seconds(save), seconds(load)
    return [
        Row("create and save", saved, peer.get("save"), "FiftyOne sklearn", "s", SAVE_LIMIT),
        Row("reopen and answer once", loaded, peer.get("load"), "its reload", "s", LOAD_LIMIT),
    ]


def fiftyone_seconds(count: int, dimension: int) -> dict[str, float]:
    """FiftyOne's times, or none where no database was named."""
    if not os.environ.get("FIFTYONE_DATABASE_URI"):
        return {}
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **os.environ,
            "HOME": home,
            "FIFTYONE_DO_NOT_TRACK": "1",
            "FIFTYONE_DATABASE_VALIDATION": "false",
        }
        done = subprocess.run(
            [sys.executable, str(HERE / "_fiftyone_sklearn.py"), str(count), str(dimension)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"FiftyOne could not be measured:\n{done.stderr}")
    times: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return times


def searching(count: int, dimension: int) -> list[Row]:
    """One query and a hundred, against one BLAS product over the same data."""
    ids, vectors = data(count, dimension)
    queries = np.random.default_rng(1).standard_normal((100, dimension), dtype=np.float32)
    rows = []
    for metric in METRICS:
        index = get_backend("sklearn").create_index("bench", dimension=dimension, metric=metric)
        index.upsert(ids, vectors)
        rows += _against_blas(index, metric, vectors, queries)
    return rows


def _against_blas(index: Index, metric: str, vectors: Any, queries: Any) -> list[Row]:
    one = queries[0]
    single = medians(lambda: index.search(one, 10), lambda: vectors @ one, 61)
    batch = medians(lambda: index.search(queries, 10), lambda: queries @ vectors.T, 11)
    added = best_difference(
        lambda: index.search(one, 10), lambda: index.search(one, 10, ranking="native"), 151
    )
    return [
        _ratio(f"{metric}: one query, k=10", single, "matrix-vector"),
        _ratio(f"{metric}: 100 queries, k=10", batch, "matrix product"),
        Row(
            f"{metric}: exact ranking adds",
            1e3 * added,
            EXACT_OVERHEAD_MS,
            "what it may add",
            limit=1.0,
        ),
    ]


def _ratio(work: str, times: tuple[float, float], peer: str) -> Row:
    return Row(work, 1e3 * times[0], 1e3 * times[1], peer, limit=SEARCH_LIMIT)


def peak(count: int, dimension: int) -> list[Row]:
    """Peak memory of creating, saving and searching, in a process of its own."""
    if not Path("/proc/self/status").exists():
        return []
    command = [sys.executable, __file__, "--peak"]
    command += ["--count", str(count), "--dimension", str(dimension)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    grown, whole = json.loads(done.stdout)
    size = count * dimension * 4 / 2**20
    return [
        Row("peak memory beyond the imports", grown, size, "the vectors", "MB", MEMORY_LIMIT),
        Row("peak memory of the whole process", whole, size, "the vectors", "MB"),
    ]


def _peak_of_this_process(count: int, dimension: int) -> list[float]:
    get_backend("sklearn")
    imported = memory("VmRSS")
    ids, vectors = data(count, dimension)
    with (
        tempfile.TemporaryDirectory() as folder,
        get_backend("sklearn", path=folder) as store,
    ):
        index = store.create_index("bench", dimension=dimension)
        index.upsert(ids, vectors)
        index.search(vectors[:1], 10)
        index.search(vectors[:100], 10)
    return [memory("VmHWM") - imported, memory("VmHWM")]


def main() -> None:
    """Measures everything and prints the table."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--peak", action="store_true", help="internal: measure this process")
    options = parser.parse_args()
    size = options.count, options.dimension
    if options.peak:
        print(json.dumps(_peak_of_this_process(*size)))
        return
    rows = storing(*size) + searching(*size) + peak(*size)
    report(f"sklearn reference, {size[0]} x {size[1]} float32", rows, options.json)


if __name__ == "__main__":
    main()
