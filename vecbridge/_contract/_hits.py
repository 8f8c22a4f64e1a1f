"""The answer to one query: ids and distances, nearest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._records import Value
from vecbridge._errors import InvalidArgumentError

Rows: TypeAlias = Sequence[int] | NDArray[np.integer[Any]]
"""Positions of records in an answer."""


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
        exact: certified to be the beginning of the exact ranking. ``False`` means that the
            membership is the engine's own (an approximate index, ``ranking="native"``), or that a
            scan would have been needed to certify it (``ranking="no-scan"``).

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

    def take(self, rows: Rows) -> Hits:
        """Return the hits at some positions, in the order of the positions.

        The answer says ``exact`` where this one does and the positions are ``0, 1, 2, ...``: other
        hits than the first ones are not the beginning of a ranking.

        Args:
            rows: ``(n,)`` integers; no mask of booleans.

        Raises:
            InvalidArgumentError: the positions are not integers.
        """
        positions = _positions(rows)
        exact = self.exact and np.array_equal(positions, np.arange(len(positions)))
        return Hits(_taken(self.ids, positions), self.distances[positions], exact=exact)

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Hit]:
        return map(Hit, self.ids, self.distances.tolist())

    def __getitem__(self, position: int) -> Hit:
        return Hit(self.ids[position], float(self.distances[position]))

    def __eq__(self, other: object) -> bool:
        """Compare ids, order and distances to the last bit; ``exact`` is not compared."""
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
        lower_bound: a proven lower bound of the exact distance of every record that is *not*
            listed. ``inf`` says that nothing is left out, ``-inf`` that nothing is promised.
    """

    ids: tuple[str, ...]
    vectors: NDArray[np.float32]
    lower_bound: float

    def take(self, rows: Rows) -> Candidates:
        """Return the candidates at some positions, in the order of the positions.

        The lower bound stays as it is. It says nothing of a candidate that is left out: leave out
        only what is not in scope.

        Args:
            rows: ``(n,)`` integers; no mask of booleans.

        Raises:
            InvalidArgumentError: the positions are not integers.
        """
        positions = _positions(rows)
        return Candidates(_taken(self.ids, positions), self.vectors[positions], self.lower_bound)


def _positions(rows: Rows) -> NDArray[np.intp]:
    positions = np.asarray(rows)
    if positions.dtype.kind not in "iu" and positions.size:
        # A mask would be taken for the positions 0 and 1.
        raise InvalidArgumentError(f"rows must be positions, integers; got {positions.dtype}")
    return positions.astype(np.intp, copy=False)


def _taken(ids: tuple[str, ...], positions: NDArray[np.intp]) -> tuple[str, ...]:
    if len(positions) == 1:
        return (ids[positions[0]],)
    # In half of the time that indexing one after the other takes.
    return itemgetter(*positions.tolist())(ids) if len(positions) else ()
