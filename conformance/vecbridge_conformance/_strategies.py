"""What hypothesis draws: ids that collide and hurt, vectors with ties and near ties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from vecbridge import METRICS, Metric
from vecbridge_conformance._data import HOSTILE_IDS

DIMENSION = 3

_EVEN = np.float32(1.0)
_COORDINATES = (
    0.0,
    1.0,
    -1.0,
    2.0,
    -2.0,
    -0.0,
    float(np.nextafter(_EVEN, np.float32(2))),
    float(np.nextafter(_EVEN, np.float32(0))),
    1000.0,
    float(np.nextafter(np.float32(1000), np.float32(2000))),
    1e-20,
    3e17,
)


@dataclass(frozen=True)
class Drawn:
    """Records: distinct ids and a vector each."""

    ids: list[str]
    vectors: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ids)

    def part(self, positions: Sequence[int]) -> Drawn:
        """Return some of the records, in the order given."""
        rows = list(positions)
        return Drawn([self.ids[row] for row in rows], self.vectors[rows])


def ids() -> st.SearchStrategy[str]:
    """Return ids, of which any two are equal, or nearly so, more often than by chance."""
    characters = st.characters(codec="utf-8", exclude_characters="\0")
    return st.one_of(
        st.text("ab", min_size=1, max_size=2),
        st.sampled_from(HOSTILE_IDS),
        st.text(characters, min_size=1, max_size=6),
    )


def lattice() -> st.SearchStrategy[list[float]]:
    """Return vectors of small integers, with which float32 computes without rounding."""
    whole = st.integers(-2, 2).map(float)
    return st.lists(whole, min_size=DIMENSION, max_size=DIMENSION)


def vector() -> st.SearchStrategy[list[float]]:
    """Return vectors among which ties, near ties, zeros and far apart norms are common."""
    rough = st.lists(st.sampled_from(_COORDINATES), min_size=DIMENSION, max_size=DIMENSION)
    return st.one_of(lattice(), rough)


def records(
    *,
    least: int = 1,
    most: int = 12,
    vectors: st.SearchStrategy[list[float]] | None = None,
) -> st.SearchStrategy[Drawn]:
    """Return a strategy of between ``least`` and ``most`` records."""
    return st.lists(
        st.tuples(ids(), vector() if vectors is None else vectors),
        min_size=least,
        max_size=most,
        unique_by=lambda pair: pair[0],
    ).map(_drawn)


def queries(
    *, most: int = 4, vectors: st.SearchStrategy[list[float]] | None = None
) -> st.SearchStrategy[NDArray[np.float32]]:
    """Return a batch of queries: ``(1 .. most, 3)`` float32."""
    rows = st.lists(vector() if vectors is None else vectors, min_size=1, max_size=most)
    return rows.map(_matrix)


def metrics() -> st.SearchStrategy[Metric]:
    """Return a metric."""
    return st.sampled_from(METRICS)


def _drawn(pairs: list[tuple[str, list[float]]]) -> Drawn:
    return Drawn([name for name, _ in pairs], _matrix([row for _, row in pairs]))


def _matrix(rows: Any) -> NDArray[np.float32]:
    return np.array(rows, dtype=np.float32).reshape(-1, DIMENSION)
