"""The model that a store is compared with: a dict, and the definition of the ranking."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from vecbridge import Hits, Metric, Records
from vecbridge.ranking import distances, rank


class Model:
    """What an index must hold, and what it must answer.

    Args:
        dimension: of the index.
        metric: of the index.
    """

    def __init__(self, dimension: int, metric: Metric) -> None:
        self.dimension = dimension
        self.metric: Metric = metric
        self.records: dict[str, NDArray[np.float32]] = {}

    def upsert(self, ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Insert or replaces."""
        self.records.update(zip(ids, np.array(vectors, copy=True), strict=True))

    def delete(self, ids: Iterable[str]) -> None:
        """Remove, and ignore what is not there."""
        for name in ids:
            self.records.pop(name, None)

    def search(
        self, query: NDArray[np.float32], k: int | None, within: Collection[str] | None = None
    ) -> Hits:
        """Return the exact ranking of one query."""
        names = [name for name in self.records if within is None or name in within]
        table = distances(self.metric, query, self.matrix(names))
        order = rank(names, table, k)
        return Hits(tuple(names[row] for row in order.tolist()), table[order], exact=True)

    def matrix(self, ids: Sequence[str]) -> NDArray[np.float32]:
        """Return vectors of records that are there: ``(len(ids), d)``."""
        rows = [self.records[name] for name in ids]
        return np.array(rows, dtype=np.float32).reshape(len(rows), self.dimension)

    def check_records(self, found: Records, ids: Sequence[str]) -> None:
        """Raise where a ``fetch`` of distinct ids did not give what it must."""
        present = tuple(name for name in ids if name in self.records)
        absent = tuple(name for name in ids if name not in self.records)
        expect(found.ids == present, f"asked for {ids}, got records of {found.ids}")
        expect(found.missing == absent, f"asked for {ids}, told that {found.missing} is missing")
        same_bits(found.vectors, self.matrix(present))

    def check_all(self, batches: Iterable[Records]) -> None:
        """Raise where a ``scan`` did not give every record once."""
        parts = list(batches)
        names = [name for part in parts for name in part.ids]
        there = sorted(self.records)
        expect(sorted(names) == there, f"the records are {there}, the scan gave {names}")
        for part in parts:
            same_bits(part.vectors, self.matrix(part.ids))


def same_bits(found: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    """Raise where two arrays of vectors are not equal bit for bit."""
    expect(found.dtype == np.float32, f"vectors are float32; got {found.dtype}")
    expect(found.shape == expected.shape, f"expected shape {expected.shape}, got {found.shape}")
    for row, (got, wanted) in enumerate(zip(found, expected, strict=True)):
        told = f"vector {row}: expected {wanted.tolist()}, got {got.tolist()}"
        expect(got.tobytes() == wanted.tobytes(), told)


def expect(holds: bool, message: str) -> None:  # noqa: FBT001  (it reads as an assertion)
    """Raise ``AssertionError`` where something does not hold, under ``python -O`` too."""
    if not holds:
        raise AssertionError(message)
