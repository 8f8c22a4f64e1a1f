"""One similarity backend of FiftyOne at work, in a process of its own. Prints JSON.

Run by ``bench_fiftyone.py`` with a database of its own in ``FIFTYONE_DATABASE_URI``.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

RUNS = 7
DATASET = "benchmark"


def data(count: int, dimension: int) -> Any:
    """Vectors in loose clusters, as embeddings are, with a copy of every fiftieth."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((64, dimension))
    vectors = centres[rng.integers(0, 64, count)] + 0.5 * rng.standard_normal((count, dimension))
    vectors[1::50] = vectors[0::50][: len(vectors[1::50])]
    return vectors.astype(np.float32)


def seconds(work: Callable[[], object], runs: int = RUNS) -> float:
    """Median wall time."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def make_dataset(count: int) -> Any:
    """A dataset whose images nobody reads."""
    import fiftyone as fo

    dataset = fo.Dataset(DATASET, overwrite=True)
    dataset.add_samples([fo.Sample(filepath=f"/none/{number}.png") for number in range(count)])
    return dataset


def measured(backend: Any, options: dict[str, Any], count: int, dimension: int) -> dict[str, float]:
    """Seconds of each piece of work; what a backend cannot do is left out."""
    import fiftyone as fo
    import fiftyone.brain as fob

    vectors, dataset = data(count, dimension), make_dataset(count)
    ids = dataset.values("id")
    start = time.perf_counter()
    index = fob.compute_similarity(
        dataset, embeddings=vectors, brain_key="key", backend=backend, **options
    )
    found = {"create": time.perf_counter() - start}
    dataset.clear_cache()
    secrets = {name: value for name, value in options.items() if name == "uri"}

    def load() -> Any:
        loaded = fo.load_dataset(DATASET).load_brain_results("key", cache=False, **secrets)
        loaded._kneighbors(ids[0], k=1)  # noqa: SLF001
        return loaded

    found["reload"] = seconds(load, 3)
    index = load()
    one, half = dataset[: count // 100], dataset[: count // 2]
    hundred = vectors[:100]

    def inside(view: Any) -> Callable[[], object]:
        def asked() -> None:
            with index.use_view(view):
                index.sort_by_similarity(ids[5], k=25)

        return asked

    works: dict[str, Callable[[], object]] = {
        "sort": lambda: index.sort_by_similarity(ids[7], k=25),
        "least": lambda: index.sort_by_similarity(ids[7], k=25, reverse=True),
        "view1": inside(one),
        "view50": inside(half),
        "hundred": lambda: index._kneighbors(hundred, k=10),  # noqa: SLF001
        "size": lambda: index.reload() or index.index_size,
        "some": lambda: index.get_embeddings(sample_ids=ids[: count // 10]),
        "duplicates": lambda: index.find_duplicates(thresh=1e-3),
    }
    for name, work in works.items():
        try:
            work()
        except Exception:  # noqa: BLE001  # FiftyOne's own cannot do everything
            continue
        found[name] = seconds(work, 1 if name == "duplicates" else RUNS)
    index.cleanup()
    fo.delete_dataset(DATASET)
    return found


def main(column: str, count: int, dimension: int, options: dict[str, Any]) -> dict[str, float]:
    """Measures one backend."""
    warnings.simplefilter("ignore")
    import fiftyone as fo

    import vecbridge.fiftyone

    fo.config.show_progress_bars = False
    if column == "sklearn":
        return measured("sklearn", {"metric": "euclidean"}, count, dimension)
    everything = {"metric": "euclidean", **options}
    if column == "milvus":
        return measured("milvus", everything, count, dimension)
    vecbridge.fiftyone.enable()
    backend = "milvus" if column == "vecbridge_milvus" else column
    return measured(backend, everything, count, dimension)


if __name__ == "__main__":
    print(
        json.dumps(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4])))
    )
