"""The records that the tests of the FiftyOne integration index, and the stores."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.oracle import oracle_distances

_keys = itertools.count()


_ELSEWHERE = """
import json, os, sys
answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)
import fiftyone as fo
for line in sys.stdin:
    script, arguments = json.loads(line)
    scope = {"arguments": arguments}
    try:
        exec(script, scope)
        answer = [True, scope["answer"]]
    except Exception as error:
        answer = [False, f"{type(error).__name__}: {error}"]
    print(json.dumps(answer), file=answers)
"""


class Elsewhere:
    """Another Python process with FiftyOne, which has never heard of this one's vecbridge."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _ELSEWHERE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, script: str, *arguments: Any) -> Any:
        """Runs a script that takes ``arguments`` and leaves its ``answer``."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([script, arguments]), file=self._process.stdin, flush=True)
        good, answer = json.loads(self._process.stdout.readline())
        if not good:
            raise AssertionError(answer)
        return answer

    def close(self) -> None:
        """Ends the process."""
        self._process.communicate(timeout=30)


@dataclass(frozen=True)
class Case:
    """A backend as FiftyOne names it, and its settings."""

    backend: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Digits:
    """A FiftyOne dataset of digits, with the vectors of its images and of its patches."""

    dataset: Any
    ids: list[str]
    vectors: Any
    patches: dict[str, Any]
    label_ids: list[str]
    label_samples: list[str]

    @property
    def patch_vectors(self) -> Any:
        """Vectors of the patches, in the order of ``label_ids``."""
        return np.concatenate([self.patches[name] for name in self.ids if name in self.patches])

    def row(self, sample_id: str) -> int:
        """The row of a sample's vector."""
        return self.ids.index(sample_id)


def make_digits(folder: Path, count: int) -> Digits:
    """Writes scikit-learn's digits as PNG files, with zero, one or two detections each."""
    import fiftyone as fo
    from PIL import Image
    from sklearn.datasets import load_digits

    source = load_digits()
    samples = []
    for number in range(count):
        path = folder / f"{number:04d}.png"
        Image.fromarray((source.images[number] * 15).astype(np.uint8)).save(path)
        boxes = [[0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 0.5, 1.0]][: number % 3]
        found = [fo.Detection(label=str(side), bounding_box=box) for side, box in enumerate(boxes)]
        samples.append(
            fo.Sample(
                filepath=str(path),
                digit=fo.Classification(label=str(source.target[number])),
                halves=fo.Detections(detections=found),
            )
        )
    dataset = fo.Dataset(f"digits_{next(_keys)}", persistent=False)
    dataset.add_samples(samples)
    ids = dataset.values("id")
    labels = dict(zip(ids, dataset.values("halves.detections.id"), strict=True))
    return Digits(
        dataset,
        ids,
        source.data[:count].astype(np.float32),
        {
            name: source.images[row][:, : 4 * len(labels[name])]
            .reshape(len(labels[name]), -1)[:, :32]
            .astype(np.float32)
            for row, name in enumerate(ids)
            if labels[name]
        },
        [label for name in ids for label in labels[name]],
        [name for name in ids for _ in labels[name]],
    )


def new_run(digits: Digits, case: Case, **options: Any) -> Any:
    """Computes a similarity index under a key of its own."""
    import fiftyone.brain as fob

    key = options.pop("brain_key", f"run_{next(_keys)}")
    everything = {"backend": case.backend, "brain_key": key, **case.options, **options}
    return fob.compute_similarity(digits.dataset, **everything)


def ranked(
    metric: str,
    ids: Sequence[str],
    vectors: Any,
    queries: Any,
    aggregation: str = "mean",
    *,
    reverse: bool = False,
) -> list[tuple[str, float]]:
    """The oracle's ranking of everything by several queries: ids and distances."""
    queries = np.atleast_2d(queries)
    if aggregation == "mean":
        queries = np.float32(np.mean(queries, axis=0, dtype=np.float64))[None]
    table = [oracle_distances(metric, query, vectors).tolist() for query in queries]
    columns = list(zip(*table, strict=True))
    reduce: dict[str, Callable[[Any], float]] = {
        "mean": lambda column: column[0],
        "post-mean": lambda column: sum(column) / len(column),
        "post-min": min,
        "post-max": max,
    }
    sign = -1.0 if reverse else 1.0
    pairs = [(name, reduce[aggregation](column)) for name, column in zip(ids, columns, strict=True)]
    return sorted(pairs, key=lambda pair: (sign * pair[1], pair[0]))
