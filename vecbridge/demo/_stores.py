"""The same index on several stores, queried through FiftyOne."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from vecbridge import Hits, Index

if TYPE_CHECKING:
    import fiftyone as fo

DISTANCE_FIELD = "distance"
_BATCH = 256


@dataclass(frozen=True)
class Choice:
    """A store, in the words of a FiftyOne user: a backend's name and its settings."""

    title: str
    brain_key: str
    backend: str
    options: dict[str, Any]

    @property
    def settings(self) -> str:
        """Return what a user types to choose the store."""
        pairs = {"backend": self.backend, **self.options}.items()
        return ", ".join(f"{name}={value!r}" for name, value in pairs)


@dataclass
class Outcome:
    """The answers of one store, and the seconds that they took."""

    choice: Choice
    neighbours: list[list[tuple[str, float]]]
    rankings: list[Hits]
    seconds: dict[str, float] = field(default_factory=dict)

    def same_ranking(self, other: Outcome) -> bool:
        """Return whether ids, order and distances are the same, to the last bit."""
        return self.neighbours == other.neighbours and self.rankings == other.rankings


def choices(folder: Path) -> list[Choice]:
    """Return the three stores of the demo: one word of configuration each."""
    return [
        Choice("Milvus Lite", "on_milvus", "milvus", {"uri": str(folder / "digits.db")}),
        Choice(
            "scikit-learn, on disk",
            "on_sklearn",
            "vecbridge_sklearn",
            {"path": str(folder / "sklearn")},
        ),
        Choice("in memory", "in_memory", "vecbridge_sklearn", {"path": ":memory:"}),
    ]


def run(
    dataset: fo.Dataset, embeddings: NDArray[np.float32], choice: Choice, queries: list[str], k: int
) -> Outcome:
    """Build the index on a store and ask it, through FiftyOne and in one batch.

    ``embeddings`` are in the dataset's order; of ``k`` neighbours, one is the query itself.
    """
    import fiftyone.brain as fob

    started = time.perf_counter()
    index = fob.compute_similarity(
        dataset,
        embeddings=embeddings,
        brain_key=choice.brain_key,
        backend=choice.backend,
        metric="cosine",
        **choice.options,
    )
    built = time.perf_counter()
    neighbours = [_neighbours(dataset, query, choice.brain_key, k) for query in queries]
    asked = time.perf_counter()
    rankings = _rank_all(index.index, embeddings, k)
    batched = time.perf_counter()
    seconds = {
        "build": built - started,
        "query": (asked - built) / len(queries),
        "batch": batched - asked,
    }
    return Outcome(choice, neighbours, rankings, seconds)


def _rank_all(index: Index, embeddings: NDArray[np.float32], k: int) -> list[Hits]:
    starts = range(0, len(embeddings), _BATCH)
    blocks = track(starts, description=f"Asking all {len(embeddings)} in batches", transient=True)
    return [hits for at in blocks for hits in index.search(embeddings[at : at + _BATCH], k)]


def _neighbours(dataset: fo.Dataset, query: str, brain_key: str, k: int) -> list[tuple[str, float]]:
    view = dataset.sort_by_similarity(query, k=k, brain_key=brain_key, dist_field=DISTANCE_FIELD)
    ids, distances = view.values(["id", DISTANCE_FIELD])
    return list(zip(ids, distances, strict=True))
