"""Ingest through FiftyOne, in a process of its own: vecbridge, or FiftyOne's own adapter.

Run by ``bench_milvus.py``, with a database of its own in ``FIFTYONE_DATABASE_URI``. Prints seconds.
"""

from __future__ import annotations

import json
import sys
import time
import warnings

import numpy as np


def main(which: str, uri: str, count: int, dimension: int) -> float:
    """Time ``compute_similarity`` with given embeddings."""
    warnings.simplefilter("ignore")
    import fiftyone as fo
    import fiftyone.brain as fob

    if which == "ours":
        import vecbridge.fiftyone

        vecbridge.fiftyone.enable()
    fo.config.show_progress_bars = False
    dataset = fo.Dataset("benchmark", overwrite=True)
    dataset.add_samples([fo.Sample(filepath=f"/none/{number}.png") for number in range(count)])
    vectors = np.random.default_rng(0).standard_normal((count, dimension)).astype(np.float32)
    options = {"backend": "milvus", "uri": uri, "metric": "cosine"}
    # What a first use imports and connects is not counted, for either.
    few = dataset.limit(2)
    fob.compute_similarity(few, embeddings=vectors[:2], brain_key="warm", **options)
    start = time.perf_counter()
    fob.compute_similarity(dataset, embeddings=vectors, brain_key="timed", **options)
    taken = time.perf_counter() - start
    for key in ("warm", "timed"):
        dataset.load_brain_results(key).cleanup()
    fo.delete_dataset("benchmark")
    return taken


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
