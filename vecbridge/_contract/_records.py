"""Records, and what is known of the index that holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._consistency import Consistency
from vecbridge._contract._field_types import FieldType, FieldValue
from vecbridge._contract._limits import MAX_ID_BYTES, FieldLimits
from vecbridge._contract._metric import Metric
from vecbridge._contract._needed import needing
from vecbridge._contract._tabular import Tabular
from vecbridge._errors import InvalidArgumentError

Fields: TypeAlias = Mapping[str, Sequence[FieldValue]]
"""Columns of values of scalar fields, one value per record."""

T = TypeVar("T")
Rows: TypeAlias = Sequence[int] | NDArray[np.integer[Any]]
"""Positions of records in an answer."""


class Value:
    """Base of a frozen dataclass that pickles and copies, with read-only mappings and arrays.

    A read-only mapping does not pickle by itself. An array that was handed over out of band, as
    object stores do, arrives read-only, while the contract makes it the receiver's own (REC-8).
    """

    def __getstate__(self) -> dict[str, Any]:
        return {
            name: _ReadOnly(value) if isinstance(value, MappingProxyType) else value
            for name, value in vars(self).items()
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Not by assignment, which a frozen class refuses.
        vars(self).update({name: _received(value) for name, value in state.items()})


@dataclass(frozen=True)
class IndexInfo(Value):
    """Name, schema and default consistency of an index.

    Attributes:
        name: its name in the backend.
        dimension: length of its vectors.
        metric: how distance is measured in it.
        fields: name and type of each scalar field that its records carry.
        consistency: level of reads that do not name one.
        unsupported: columns of its records that no field type can express, each with what it holds,
            such as ``{"note": "JSON"}``. Reads do not return them, and an ``upsert`` erases them
            unless they are ``kept``; so a write or a copy that would lose them is refused. Empty in
            every index that vecbridge created.
        required: the names in ``unsupported`` without which the store accepts no new record.
        kept: whether an ``upsert`` of an existing id keeps the columns in ``unsupported``.
        unwritable: why nothing but deletes can be written to it; empty if writes are possible.
        limits: by name, the limits of the fields that hold less than their type allows.
        max_id_bytes: longest id that can be written, in bytes of UTF-8.
        integer_ids: whether ids are the decimal digits of integers of 64 bits.
    """

    name: str
    dimension: int
    metric: Metric
    fields: Mapping[str, FieldType] = field(default_factory=lambda: MappingProxyType({}))
    consistency: Consistency = "strong"
    unsupported: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    required: frozenset[str] = frozenset()
    kept: bool = False
    unwritable: str = ""
    limits: Mapping[str, FieldLimits] = field(default_factory=lambda: MappingProxyType({}))
    max_id_bytes: int = MAX_ID_BYTES
    integer_ids: bool = False

    def __hash__(self) -> int:
        # A mapping has no hash of its own, and equality does not look at the order of the fields.
        fields = frozenset(self.fields.items())
        return hash((self.name, self.dimension, self.metric, fields, self.consistency))


@dataclass(frozen=True, eq=False)
class Records(Value, Tabular):
    """Records as columns.

    Attributes:
        ids: their ids.
        vectors: ``(len(ids), d)`` float32, the caller's own.
        fields: one column of ``len(ids)`` values for each scalar field of the index.
        missing: the requested ids that were not found, in request order.
        types: the type of each of the fields. An engine need not give them.
    """

    ids: tuple[str, ...]
    vectors: NDArray[np.float32]
    fields: Fields = field(default_factory=lambda: MappingProxyType({}))
    missing: tuple[str, ...] = ()
    types: Mapping[str, FieldType] = field(default_factory=lambda: MappingProxyType({}), repr=False)

    def take(self, rows: Rows) -> Records:
        """Return the records at some positions, in the order of the positions.

        Args:
            rows: ``(n,)`` integers, not a boolean mask.

        Raises:
            InvalidArgumentError: the positions are not integers.
        """
        positions = positions_of(rows)
        columns = {name: [*taken(column, positions)] for name, column in self.fields.items()}
        ids = taken(self.ids, positions)
        return Records(ids, self.vectors[positions], columns, types=self.types)

    def to_arrow(self) -> Any:
        """Return the records as a ``pyarrow.Table`` of ids, vectors and fields. Needs pyarrow.

        Types are those of the fields, whatever the values; see :attr:`types`. For a field that is
        not listed there, the type is that of its values, or null if there are none.

        Raises:
            MissingDependencyError: pyarrow is not installed.
        """
        with needing("Arrow tables", "pyarrow"):
            from vecbridge._contract import _arrow

        return _arrow.records_table(self)

    def __len__(self) -> int:
        return len(self.ids)


def encodable(text: str) -> bool:
    """Return whether a string has a form in UTF-8; one with a lone surrogate has none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def positions_of(rows: Rows) -> NDArray[np.intp]:
    """Return positions as an array of integers, and refuse anything else."""
    positions = np.asarray(rows)
    if positions.dtype.kind not in "iu" and positions.size:
        # A mask would be taken for the positions 0 and 1.
        raise InvalidArgumentError(f"rows must be positions, integers; got {positions.dtype}")
    return positions.astype(np.intp, copy=False)


def taken(values: Sequence[T], positions: NDArray[np.intp]) -> tuple[T, ...]:
    """Return the values at some positions."""
    if len(positions) == 1:
        return (values[positions[0]],)
    # In half of the time that indexing one after the other takes.
    return itemgetter(*positions.tolist())(values) if len(positions) else ()


class _ReadOnly:
    """The content of a read-only mapping."""

    def __init__(self, mapping: MappingProxyType[str, Any]) -> None:
        self.content = dict(mapping)


def _received(value: object) -> object:
    if isinstance(value, _ReadOnly):
        return MappingProxyType(value.content)
    if isinstance(value, np.ndarray) and not value.flags.writeable:
        return value.copy()
    return value
