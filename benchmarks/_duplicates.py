"""One backend's duplicates and uniqueness through FiftyOne, in a process of its own.

Run by ``bench_duplicates.py`` with a database of its own in ``FIFTYONE_DATABASE_URI``. Prints JSON:
seconds of each step, peak megabytes beyond what was held before it, how many were kept; and the
peak of the whole process, building the index included. The samples and their embeddings are made
by a process before it, whose memory is not counted.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _measure import memory


def embeddings(count: int, dimension: int) -> Any:
    """Clusters in 48 directions with some noise, one in fifty a near copy of another."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((count // 100 + 1, 48), dtype=np.float32)
    inner = centres[rng.integers(0, len(centres), count)]
    inner += 0.6 * rng.standard_normal((count, 48), dtype=np.float32)
    vectors = inner @ rng.standard_normal((48, dimension), dtype=np.float32)
    vectors += 0.5 * rng.standard_normal((count, dimension), dtype=np.float32)
    copies = rng.choice(count, count // 50, replace=False)
    noise = 0.02 * rng.standard_normal((len(copies), dimension), dtype=np.float32)
    vectors[copies] = vectors[rng.integers(0, count, len(copies))] + noise
    return vectors


def make(name: str, path: Path, count: int, dimension: int) -> None:
    """Return a dataset of so many samples, and a file of their embeddings."""
    import fiftyone as fo

    dataset = fo.Dataset(name, persistent=True, overwrite=True)
    dataset.add_samples([fo.Sample(filepath=f"/none/{number}.png") for number in range(count)])
    np.save(path, embeddings(count, dimension))


def measured(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and the peak of memory beyond what was in use before: the kernel counts again."""
    Path("/proc/self/clear_refs").write_text("5")
    before, start = memory("VmRSS"), time.perf_counter()
    work()
    return time.perf_counter() - start, memory("VmHWM") - before


def main(backend: str, name: str, path: Path, *, unique: bool) -> dict[str, Any]:
    """Build the index and time both questions, or the first."""
    warnings.simplefilter("ignore")
    import fiftyone as fo
    import fiftyone.brain as fob

    fo.config.show_progress_bars = False
    if backend != "sklearn-peer":
        import vecbridge.fiftyone

        vecbridge.fiftyone.enable(backend)
    chosen = "sklearn" if backend == "sklearn-peer" else f"vecbridge_{backend}"
    dataset = fo.load_dataset(name)
    given = np.load(path)
    index = fob.compute_similarity(dataset, embeddings=given, brain_key="key", backend=chosen)
    del given
    built = memory("VmHWM")
    answers: dict[str, Any] = {}
    took, peak = measured(lambda: index.find_duplicates(thresh=0.01))
    answers["duplicates"] = [took, peak, len(index.unique_ids)]
    if unique:
        took, peak = measured(lambda: index.find_unique(len(dataset) // 10))
        answers["unique"] = [took, peak, len(index.unique_ids)]
    answers["whole"] = max(built, memory("VmHWM"))
    fo.delete_dataset(name)
    return answers


if __name__ == "__main__":
    what, name, path, *given = sys.argv[1:]
    if what == "make":
        make(name, Path(path), *map(int, given))
    else:
        print(json.dumps(main(what, name, Path(path), unique=given == ["unique"])))
