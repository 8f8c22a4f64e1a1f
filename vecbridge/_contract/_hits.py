"""The answer to one query: ids and distances, nearest first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._values import Value


class Hit(NamedTuple):
    """One record of an answer."""

    id: str
    distance: float


@dataclass(frozen=True, eq=False)
class Hits(Value):
    """The answer to one query, nearest first, ties ordered by id.

    Attributes:
        ids: the records' ids.
        distances: ``(len(ids),)`` float64, never descending; lower is nearer for every metric.
        exact: whether the answer is proven to be the exact ranking of the contract. ``False``
            means that the membership is the engine's own (an approximate index), or that the
            caller asked for ``ranking="native"``.

    Example:
        >>> hits = Hits(("a", "b"), np.array([0.0, 1.5]), exact=True)
        >>> hits[0]
        Hit(id='a', distance=0.0)
        >>> [hit.id for hit in hits]
        ['a', 'b']
    """

    ids: tuple[str, ...]
    distances: NDArray[np.float64]
    exact: bool = False

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Hit]:
        return map(Hit, self.ids, self.distances.tolist())

    def __getitem__(self, position: int) -> Hit:
        return Hit(self.ids[position], float(self.distances[position]))

    def __eq__(self, other: object) -> bool:
        """Same ids, same order, same distances to the last bit; ``exact`` is not compared."""
        if not isinstance(other, Hits):
            return NotImplemented
        return self.ids == other.ids and self.distances.tobytes() == other.distances.tobytes()

    def __hash__(self) -> int:
        return hash((self.ids, self.distances.tobytes()))


@dataclass(frozen=True, eq=False)
class Candidates(Value):
    """Records among which an engine promises the best answers to one query to be.

    Attributes:
        ids: the records' ids, in any order, without duplicates.
        vectors: ``(len(ids), d)`` float32, the stored vectors, bit for bit.
        floor: a proven lower bound of the exact distance of every record that is *not* listed.
            ``inf`` says that nothing is left out, ``-inf`` that nothing is promised.
    """

    ids: tuple[str, ...]
    vectors: NDArray[np.float32]
    floor: float
