"""The answer to one query: ids and distances, nearest first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._field_types import FieldType, FieldValue
from vecbridge._contract._needed import needing
from vecbridge._contract._records import Fields, Rows, Value, positions_of, taken
from vecbridge._contract._tabular import Tabular


class Hit(NamedTuple):
    """One record of an answer: its id, its distance, and the requested fields."""

    id: str
    distance: float
    fields: Mapping[str, FieldValue] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Hits(Value, Tabular):
    """The answer to one query, nearest first, ties ordered by id.

    Attributes:
        ids: the records' ids.
        distances: ``(len(ids),)`` float64, never descending; lower is nearer for every metric.
        exact: certified to be the beginning of the exact ranking. ``False`` means that which
            records are in it is the engine's choice (an approximate index, ``ranking="native"``),
            or that a scan would have been needed to certify it (``ranking="no-scan"``).
        fields: a column of ``len(ids)`` values for each field that was requested with ``fields=``.
        types: the type of each of these fields. An engine need not give them.

    Example:
        >>> hits = Hits(("a", "b"), np.array([0.0, 1.5]), exact=True)
        >>> hits[0]
        Hit(id='a', distance=0.0, fields={})
        >>> [hit.id for hit in hits]
        ['a', 'b']
    """

    ids: tuple[str, ...]
    distances: NDArray[np.float64]
    exact: bool = False
    fields: Fields = field(default_factory=lambda: MappingProxyType({}), repr=False)
    types: Mapping[str, FieldType] = field(default_factory=lambda: MappingProxyType({}), repr=False)

    def take(self, rows: Rows) -> Hits:
        """Return the hits at some positions, in the order of the positions.

        The result is ``exact`` if this answer is and the positions are ``0, 1, 2, ...``: any other
        selection is not the beginning of a ranking.

        Args:
            rows: ``(n,)`` integers, not a boolean mask.

        Raises:
            InvalidArgumentError: the positions are not integers.
        """
        positions = positions_of(rows)
        exact = self.exact and np.array_equal(positions, np.arange(len(positions)))
        columns = {name: [*taken(column, positions)] for name, column in self.fields.items()}
        ids, distances = taken(self.ids, positions), self.distances[positions]
        return Hits(ids, distances, exact, columns, self.types)

    def to_arrow(self) -> Any:
        """Return the hits as a ``pyarrow.Table`` of ids, distances and fields. Needs pyarrow.

        Types are those of the fields, whatever the values; see :attr:`types`. For a field that is
        not listed there, the type is that of its values, or null if there are none.

        Raises:
            MissingDependencyError: pyarrow is not installed.
        """
        with needing("Arrow tables", "pyarrow"):
            from vecbridge._contract import _arrow

        return _arrow.hits_table(self)

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Hit]:
        distances = self.distances.tolist()
        if not self.fields:
            return map(Hit, self.ids, distances)
        rows = (
            dict(zip(self.fields, row, strict=True))
            for row in zip(*self.fields.values(), strict=True)
        )
        return map(Hit, self.ids, distances, rows)

    def __getitem__(self, position: int) -> Hit:
        fields = {name: column[position] for name, column in self.fields.items()}
        return Hit(self.ids[position], float(self.distances[position]), fields)

    def __eq__(self, other: object) -> bool:
        """Compare ids, order and distances to the last bit, and nothing else."""
        if not isinstance(other, Hits):
            return NotImplemented
        return self.ids == other.ids and self.distances.tobytes() == other.distances.tobytes()

    def __hash__(self) -> int:
        return hash((self.ids, self.distances.tobytes()))


@dataclass(frozen=True, eq=False)
class Candidates(Value):
    """The records that an engine offers as answers to one query, and a bound on all others.

    Attributes:
        ids: the records' ids, in any order, without duplicates.
        vectors: ``(len(ids), d)`` float32, the stored vectors, bit for bit.
        lower_bound: a proven lower bound of the exact distance of every record that is *not*
            listed. ``inf`` means that nothing is left out, ``-inf`` that nothing is promised.
    """

    ids: tuple[str, ...]
    vectors: NDArray[np.float32]
    lower_bound: float

    def take(self, rows: Rows) -> Candidates:
        """Return the candidates at some positions, in the order of the positions.

        The lower bound stays as it is. It says nothing about a candidate that is left out, so leave
        out only what is not in scope.

        Args:
            rows: ``(n,)`` integers, not a boolean mask.

        Raises:
            InvalidArgumentError: the positions are not integers.
        """
        positions = positions_of(rows)
        return Candidates(taken(self.ids, positions), self.vectors[positions], self.lower_bound)
