"""Changes of a dataset, and what an index of it has to hold after them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from tests.live.fiftyone.cases import Digits, make_digits


def grown(own: Digits, folder: Path, count: int = 7) -> list[str]:
    """Adds samples, and returns their ids."""
    folder.mkdir()
    more = make_digits(folder, count=count)
    return list(own.dataset.add_samples([sample.copy() for sample in more.dataset]))


def changed_files(own: Digits, ids: list[str]) -> None:
    """Gives samples another picture."""
    for name in ids:
        path = Path(own.dataset[name].filepath)
        other = Path(own.dataset[own.ids[-1]].filepath).read_bytes()
        path.write_bytes(other)
        os.utime(path, ns=(1, 1 + path.stat().st_mtime_ns))


def embedded(models: Any, view: Any) -> dict[str, bytes]:
    """What the model makes of the media of each sample now."""
    vectors = view.compute_embeddings(models.PatchModel())
    return dict(
        zip(
            view.values("id"),
            (row.tobytes() for row in np.asarray(vectors, np.float32)),
            strict=True,
        )
    )


def held(index: Any) -> dict[str, bytes]:
    """What the index holds of each record."""
    vectors, samples, labels = index.get_embeddings()
    names = samples if labels is None else labels
    return dict(zip(names.tolist(), (row.tobytes() for row in vectors), strict=True))
