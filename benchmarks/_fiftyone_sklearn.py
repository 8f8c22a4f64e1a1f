"""The peer: FiftyOne's own sklearn backend, in a process of its own. Prints JSON seconds.

Run by ``bench_sklearn.py`` with a database of its own in ``FIFTYONE_DATABASE_URI``.
"""

from __future__ import annotations

import json
import sys
import time
import warnings

import numpy as np


def main(count: int, dimension: int) -> dict[str, float]:
    """Time create-and-save, and reloading."""
    warnings.simplefilter("ignore")
    import fiftyone as fo
    import fiftyone.brain as fob

    fo.config.show_progress_bars = False
    dataset = fo.Dataset("benchmark", overwrite=True)
    dataset.add_samples([fo.Sample(filepath=f"/none/{number}.png") for number in range(count)])
    vectors = np.random.default_rng(0).standard_normal((count, dimension)).astype(np.float32)
    start = time.perf_counter()
    fob.compute_similarity(dataset, embeddings=vectors, brain_key="peer", backend="sklearn")
    saved = time.perf_counter()
    dataset.clear_cache()
    loading = time.perf_counter()
    results = fo.load_dataset("benchmark").load_brain_results("peer", cache=False)
    size = results.total_index_size
    loaded = time.perf_counter()
    if size != count:
        raise RuntimeError(f"FiftyOne loaded {size} of {count} vectors")
    fo.delete_dataset("benchmark")
    return {"save": saved - start, "load": loaded - loading}


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))))
