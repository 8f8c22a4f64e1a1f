"""What a live index can do. What it does not declare, it refuses."""

from __future__ import annotations

from dataclasses import dataclass

from vecbridge._contract._consistency import Consistency
from vecbridge._contract._field_types import FieldType
from vecbridge._contract._filters import FilterOperator

MAX_DIMENSION = 32768
"""The largest dimension of the contract."""


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """Abilities of an index, read from the live connection. No field has a silent default.

    Attributes:
        exact: :meth:`~vecbridge.VectorIndex.candidates` scans every record and proves its lower
            bound, so that exact ranking can be certified. ``False``: an approximate index.
        recall: share of the true nearest records that an approximate index is tuned to find, on
            average; ``None`` where it is exact, or promises no share.
        range_search: the engine searches by distance: the index is a
            :class:`~vecbridge.RangeIndex`. Otherwise the client layer searches again with a larger
            ``k``.
        farthest: the engine lists the farthest records: the index is a
            :class:`~vecbridge.FarIndex`. Otherwise the client layer mirrors the query, or looks at
            every record.
        partitions: the engine reads a range of ids in order without reading the rest, and divides
            itself into ranges: the index is a :class:`~vecbridge.PartitionedIndex`. Otherwise the
            client layer reads all ids for that.
        max_dimension: largest dimension of an index, at most 32768.
        max_k: largest ``k`` of one native search; ``None`` for no limit.
        max_within: most ids in one native ``within`` list; ``None`` for no limit.
        max_batch_bytes: most bytes of vectors, ids and fields in one ``upsert`` to the store;
            ``None`` for no limit.
        field_types: types of the scalar fields that records may carry.
        filters: the operators of a settled filter that the engine evaluates itself. Where a filter
            has others, the client layer evaluates it on the records, and gives the same answer.
        filters_except: exceptions from ``filters``: a field's type and an operator that the engine
            does not evaluate on fields of this type, as in ``("strings", "contains")``. An
            optional type is listed by itself.
        consistency: levels that a read may ask for, after weaker ones are satisfied by stronger.
        durable: an acknowledged write survives the end of the process.
        shared: any number of processes may have the store open, and see each other's writes.
            Otherwise only one process at a time may.
    """

    exact: bool
    recall: float | None
    range_search: bool
    farthest: bool
    partitions: bool
    max_dimension: int
    max_k: int | None
    max_within: int | None
    max_batch_bytes: int | None
    field_types: frozenset[FieldType]
    filters: frozenset[FilterOperator]
    filters_except: frozenset[tuple[FieldType, FilterOperator]]
    consistency: frozenset[Consistency]
    durable: bool
    shared: bool

    @property
    def fields(self) -> bool:
        """Return whether records may carry scalar fields."""
        return bool(self.field_types)
