"""A FiftyOne dataset of real size, indexed in bounded memory, killed on the way and gone on.

``python -m benchmarks.large_fiftyone --samples 1000000 --backend faiss -o path=vectors``

The vectors are in a field of the samples or, with ``--array FILE``, in a file that is mapped. With
``--kills``, processes of their own index them, and are killed on the way.

It makes a dataset that is not kept, in the database that FiftyOne is configured to use.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BATCH = 20_000
_FIELD = "vector"
_KEY = "large"
_CLUSTERS = 1000
_COPIES = 500
"""One of so many samples is a near duplicate of the one before it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the flow, and print what each step took.

    Returns:
        The exit status.
    """
    given = _parser().parse_args(arguments)
    import fiftyone as fo

    import vecbridge.fiftyone

    vecbridge.fiftyone.enable()
    if given.index is not None:
        _index(fo.load_dataset(given.index), given)
        return 0
    dataset = fo.Dataset(persistent=False)
    try:
        with _told("make the dataset"):
            _fill(dataset, given.samples, given.dimension, given.array)
        _measure(dataset, given)
    finally:
        dataset.delete()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large_fiftyone")
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=32)
    parser.add_argument("--backend", default="milvus", help="as compute_similarity names it")
    parser.add_argument("--metric", default="cosine")
    parser.add_argument("--array", type=Path, metavar="FILE.npy", help="keep the vectors here")
    parser.add_argument("--kills", type=int, default=0, help="how often indexing is killed")
    parser.add_argument("--duplicates", type=float, metavar="THRESH", help="find them too")
    parser.add_argument("--index", metavar="DATASET", help=argparse.SUPPRESS)
    parser.add_argument("--killed-at", type=int, help=argparse.SUPPRESS)
    parser.add_argument(
        "--option", "-o", metavar="KEY=VALUE", type=_setting, action="append", default=[]
    )
    return parser


def _setting(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("a setting is KEY=VALUE")
    return key, value


def _fill(dataset: Any, samples: int, dimension: int, array: Path | None) -> None:
    """Add samples that have a vector and no image: nothing here reads one.

    FiftyOne makes the first, and MongoDB the others like it, which takes a twentieth of the time.
    """
    import fiftyone as fo
    from bson import ObjectId
    from fiftyone.core.utils import serialize_numpy_array

    random = np.random.default_rng(5)
    own = {_FIELD: np.zeros(dimension)} if array is None else {}
    dataset.add_sample(fo.Sample(filepath="/nowhere/0.png", **own))
    collection = dataset._sample_collection  # noqa: SLF001 - nothing public adds documents
    pattern = collection.find_one()
    collection.delete_one({"_id": pattern["_id"]})
    mapped: NDArray[Any] | None = None
    if array is not None:
        shape = samples, dimension
        mapped = np.lib.format.open_memmap(array, "w+", dtype=np.float32, shape=shape)
    for start, vectors in _vectors(random, samples, dimension):
        stop = start + len(vectors)
        if mapped is not None:
            mapped[start:stop] = vectors
        collection.insert_many(
            [
                {
                    **pattern,
                    "_id": ObjectId(),
                    "filepath": f"/nowhere/{start + number}.png",
                    "_rand": random.random(),
                    **({_FIELD: serialize_numpy_array(vector)} if mapped is None else {}),
                }
                for number, vector in enumerate(vectors)
            ]
        )
    dataset.reload()


def _vectors(
    random: np.random.Generator, samples: int, dimension: int
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Give vectors as models make them: in clusters, with few directions that matter."""
    spectrum = np.arange(1, dimension + 1, dtype=np.float32) ** -0.5
    centers = random.standard_normal((_CLUSTERS, dimension), dtype=np.float32) * spectrum
    for start in range(0, samples, _BATCH):
        count = min(_BATCH, samples - start)
        vectors = random.standard_normal((count, dimension), dtype=np.float32) * spectrum
        vectors += centers[random.integers(0, _CLUSTERS, count)]
        copies = np.arange(1, count, _COPIES)
        noise = random.standard_normal((len(copies), dimension), dtype=np.float32)
        vectors[copies] = vectors[copies - 1] + 0.01 * noise * spectrum
        yield start, vectors


def _measure(dataset: Any, given: argparse.Namespace) -> None:
    options = dict(given.option)
    for kill in range(1, given.kills + 1):
        at = given.samples * kill // (given.kills + 1)
        with _told(f"compute_similarity, killed at {at:,}"):
            _in_a_process(dataset.name, given, at)
    with _told("compute_similarity, to its end") as rate:
        if given.kills:
            sys.stdout.write(_in_a_process(dataset.name, given, None))
        else:
            _index(dataset, given)
        rate(len(dataset))
    dataset.reload()
    with _told("load_brain_results"):
        index = dataset.load_brain_results(_KEY, cache=False, **options)
    try:
        _query(dataset, index, given.duplicates)
    finally:
        index.delete()


def _in_a_process(name: str, given: argparse.Namespace, killed_at: int | None) -> str:
    """Index the dataset in a process of its own, and return what it prints."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.large_fiftyone", "--index", name]
    command += ["--backend", given.backend, "--metric", given.metric]
    command += [part for key, value in given.option for part in ("-o", f"{key}={value}")]
    command += ["--array", str(given.array)] if given.array else []
    command += ["--killed-at", str(killed_at)] if killed_at is not None else []
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != (0 if killed_at is None else -signal.SIGKILL):
        raise RuntimeError(f"{json.dumps(command)} ended with {done.returncode}")
    return done.stdout


def _index(dataset: Any, given: argparse.Namespace) -> None:
    import fiftyone.brain as fob

    def watched(bar: Any) -> None:
        if given.killed_at is not None and bar.iteration >= given.killed_at:
            os.kill(os.getpid(), signal.SIGKILL)

    with _told("indexing alone"):
        fob.compute_similarity(
            dataset,
            embeddings=_FIELD if given.array is None else np.load(given.array, mmap_mode="r"),
            brain_key=_KEY,
            backend=given.backend,
            metric=given.metric,
            progress=watched,
            **dict(given.option),
        )


def _query(dataset: Any, index: Any, duplicates: float | None) -> None:
    from fiftyone import ViewField

    first = dataset.first().id
    for what in ("sort_by_similarity, k=25", "the same again"):
        with _told(what):
            index.sort_by_similarity(first, k=25)
    for share in (100, 2):
        # Each sample has such a number; a filter of it reads all samples, as most filters do.
        with index.use_view(dataset.match(ViewField("_rand") < 1 / share)):
            for what in (f"a view of {100 // share} %", "the same again"):
                with _told(what):
                    index.sort_by_similarity(first, k=25)
    if duplicates is not None:
        with _told(f"find_duplicates, thresh={duplicates}"):
            index.find_duplicates(thresh=duplicates)
        sys.stdout.write(f"{len(index.duplicate_ids):,} duplicates\n")


@contextmanager
def _told(what: str) -> Iterator[Callable[[int], None]]:
    counted: list[int] = []
    before = time.perf_counter()
    yield counted.append
    seconds = time.perf_counter() - before
    rate = f", {1e6 * seconds / counted[0]:,.1f} us a sample" if counted else ""
    sys.stdout.write(f"{what}: {seconds:,.2f} s{rate}; peak memory {_peak()}\n")
    sys.stdout.flush()


def _peak() -> str:
    """Return the most memory that this process has held, and of it what is not a mapped file."""
    unit = 1 if sys.platform == "darwin" else 1024
    whole = f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9:.2f} GB"
    status = Path("/proc/self/status")
    if not status.exists():
        return whole
    anonymous = int(status.read_text().split("RssAnon:")[1].split()[0]) * 1024
    return f"{whole}, {anonymous / 1e9:.2f} GB of it now no mapped file"


if __name__ == "__main__":
    sys.exit(main())
