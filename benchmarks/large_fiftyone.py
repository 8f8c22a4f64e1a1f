"""A FiftyOne dataset of real size, indexed from a field in bounded memory.

``python -m benchmarks.large_fiftyone --samples 1000000 --backend faiss -o path=vectors``

It makes a dataset that is not kept, in the database that FiftyOne is configured to use.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

_BATCH = 20_000
_FIELD = "vector"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the flow, and print what each step took.

    Returns:
        The exit status.
    """
    given = _parser().parse_args(arguments)
    import fiftyone as fo

    import vecbridge.fiftyone

    vecbridge.fiftyone.enable()
    dataset = fo.Dataset(persistent=False)
    try:
        with _told("make the dataset"):
            _fill(dataset, given.samples, given.dimension)
        _measure(dataset, given.backend, dict(given.option))
    finally:
        dataset.delete()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large_fiftyone")
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=32)
    parser.add_argument("--backend", default="milvus", help="as compute_similarity names it")
    parser.add_argument(
        "--option", "-o", metavar="KEY=VALUE", type=_setting, action="append", default=[]
    )
    return parser


def _setting(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("a setting is KEY=VALUE")
    return key, value


def _fill(dataset: Any, samples: int, dimension: int) -> None:
    """Add samples that have a vector and no image: nothing here reads one.

    FiftyOne makes the first, and MongoDB the others like it, which takes a twentieth of the time.
    """
    import fiftyone as fo
    from bson import ObjectId
    from fiftyone.core.utils import serialize_numpy_array

    random = np.random.default_rng(5)
    dataset.add_sample(fo.Sample(filepath="/nowhere/0.png", **{_FIELD: np.zeros(dimension)}))
    collection = dataset._sample_collection  # noqa: SLF001 - nothing public adds documents
    pattern = collection.find_one()
    collection.delete_one({"_id": pattern["_id"]})
    for start in range(0, samples, _BATCH):
        count = min(_BATCH, samples - start)
        vectors = random.standard_normal((count, dimension)).astype(np.float32)
        collection.insert_many(
            [
                {
                    **pattern,
                    "_id": ObjectId(),
                    "filepath": f"/nowhere/{start + number}.png",
                    "_rand": random.random(),
                    _FIELD: serialize_numpy_array(vector),
                }
                for number, vector in enumerate(vectors)
            ]
        )
    dataset.reload()


def _measure(dataset: Any, backend: str, options: dict[str, str]) -> None:
    import fiftyone.brain as fob

    with _told("compute_similarity") as rate:
        index = fob.compute_similarity(
            dataset,
            embeddings=_FIELD,
            brain_key="large",
            backend=backend,
            progress=True,
            **options,
        )
        rate(len(dataset))
    try:
        first = dataset.first().id
        with _told("load_brain_results"):
            index = dataset.load_brain_results("large", cache=False, **options)
        with _told("sort_by_similarity, k=25"):
            index.sort_by_similarity(first, k=25)
        with _told("the same again"):
            index.sort_by_similarity(first, k=25)
        with index.use_view(dataset.take(len(dataset) // 100, seed=5)), _told("a view of 1 %"):
            index.sort_by_similarity(first, k=25)
    finally:
        index.delete()


@contextmanager
def _told(what: str) -> Iterator[Callable[[int], None]]:
    counted: list[int] = []
    before = time.perf_counter()
    yield counted.append
    seconds = time.perf_counter() - before
    rate = f", {counted[0] / seconds:,.0f} samples/s" if counted else ""
    sys.stdout.write(f"{what}: {seconds:,.2f} s{rate}; peak memory {_peak():.2f} GB\n")
    sys.stdout.flush()


def _peak() -> float:
    """Return the most memory that this process has held, in GB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


if __name__ == "__main__":
    sys.exit(main())
