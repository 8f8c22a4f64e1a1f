"""The contract: what a store must offer. Nothing here needs to be inherited from."""

# Methods of a protocol have no body, and so return nothing:
# pyright: reportReturnType=false

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._capabilities import Capabilities
from vecbridge._contract._consistency import Consistency
from vecbridge._contract._field_types import FieldType
from vecbridge._contract._hits import Candidates, Hits
from vecbridge._contract._metric import Metric
from vecbridge._contract._records import Fields, IndexInfo, Records
from vecbridge._contract._scope import IdRange, Scope


@runtime_checkable
class VectorIndex(Protocol):
    """A named set of records under one dimension and one metric.

    The client layer (:class:`vecbridge.Index`) stands between the caller and an implementation, so
    an implementation may assume canonical input: ids are valid, distinct strings; vectors are
    C-contiguous finite float32 of shape ``(n, d)``; ``k`` is at least 1 and at most
    ``capabilities.max_k``; batches respect ``capabilities.max_batch_bytes``; ``scope.within``
    holds distinct ids, at least one and no more than ``capabilities.max_within``; ``scope.where``
    is settled and of what ``capabilities.filters`` and ``filters_except`` declare; a level of
    consistency is a declared one. It must not keep or change what it is given, and what it returns
    belongs to the caller.

    With ``vectors=False`` a read need not bring the vectors: they may have the shape ``(n, 0)``.

    Every method raises :class:`vecbridge.BackendError` when the store fails.
    """

    @property
    def info(self) -> IndexInfo:
        """Name, dimension, metric and fields, as the store has them."""

    @property
    def capabilities(self) -> Capabilities:
        """Return what this index can do, read from the live connection."""

    def upsert(
        self, ids: Sequence[str], vectors: NDArray[np.float32], fields: Fields | None = None
    ) -> None:
        """Insert records, or replace them completely. An acknowledged write is kept."""

    def delete(self, ids: Sequence[str]) -> None:
        """Remove records; ids without a record are ignored."""

    def fetch(self, ids: Sequence[str], *, vectors: bool, consistency: Consistency) -> Records:
        """Return records in request order; ids without a record are listed in ``missing``."""

    def contains(self, ids: Sequence[str], *, consistency: Consistency) -> NDArray[np.bool_]:
        """Return whether each id has a record: ``(len(ids),)`` bool."""

    def count(self, scope: Scope) -> int:
        """Return the number of live records in scope; ``scope.within`` is ``None``."""

    def scan(
        self, batch_size: int, scope: Scope, ids: IdRange | None, *, vectors: bool
    ) -> Iterator[Records]:
        """Yield every live record in scope once, at most ``batch_size`` at a time.

        Args:
            batch_size: most records at a time.
            scope: which records; ``scope.within`` is ``None``.
            ids: only records of this range, in ascending order of ids by code point. ``None``:
                all, in any order. An index that does not declare ``capabilities.partitions`` is
                given nothing else.
            vectors: whether the vectors are wanted.
        """

    def search(self, queries: NDArray[np.float32], k: int, scope: Scope) -> list[Hits]:
        """Return the engine's own ranking: ``min(k, candidates)`` hits per query of ``(q, d)``.

        Distances are the contract's (lower is nearer, never squared), as precise as the engine is.
        """

    def candidates(self, queries: NDArray[np.float32], k: int, scope: Scope) -> list[Candidates]:
        """Return per query at least ``min(k, candidates)`` records, the likely best among them.

        An engine chooses for itself how many spare records its precision calls for. The client
        layer asks again with a larger ``k`` where :attr:`Candidates.lower_bound` does not certify
        the answer.
        """

    def close(self) -> None:
        """Release what this index alone holds. Can be called more than once."""


class PartitionedIndex(Protocol):
    """The additional method of an index whose engine reads ranges of ids.

    Used if ``capabilities.partitions`` declares it, as are ranges in ``scan``.
    """

    def partitions(self, count: int, *, consistency: Consistency) -> list[IdRange]:
        """Return at most ``count`` ranges, ascending, with about as many records each.

        Each begins where the one before ends. The first has no lower end, the last no upper end.
        """


class RangeIndex(Protocol):
    """The additional method of an index whose engine searches by distance, not by rank.

    Used if ``capabilities.range_search`` declares it.
    """

    def in_range(
        self, queries: NDArray[np.float32], radius: float, scope: Scope
    ) -> list[Candidates]:
        """Return for each query every record within the distance, and perhaps others.

        An engine that cannot promise that none is missing gives a lower bound of at most
        ``radius``.
        """


class FarIndex(Protocol):
    """The additional method of an index whose engine can list the farthest records.

    Used if ``capabilities.farthest`` declares it.
    """

    def far_candidates(
        self, queries: NDArray[np.float32], k: int, scope: Scope
    ) -> list[Candidates]:
        """Return for each query at least ``min(k, candidates)`` of the likely farthest records.

        Their lower bound is a proven one of *minus* the exact distance of every other record. An
        engine that has no such bound may list no records, with the lower bound ``-inf``.
        """


@runtime_checkable
class Backend(Protocol):
    """A configured store. Connects on first use, never while it is constructed.

    The class is what a package names in the entry-point group ``vecbridge.backends``; it is called
    with one argument, an instance of its ``settings_type``
    (a subclass of :class:`vecbridge.settings.Settings`).
    """

    name: ClassVar[str]
    settings_type: ClassVar[type[Any]]

    def create_index(
        self,
        name: str,
        *,
        dimension: int,
        metric: Metric,
        fields: Mapping[str, FieldType],
        consistency: Consistency | None,
    ) -> VectorIndex:
        """Create an empty index. ``consistency=None`` takes the store's own default.

        Raises:
            IndexExistsError: the name is taken.
        """

    def open_index(self, name: str) -> VectorIndex:
        """Open an existing index, whose schema is read from the store.

        Raises:
            IndexNotFoundError: there is no index of that name.
        """

    def index_names(self) -> list[str]:
        """Return the names of the indexes, sorted."""

    def drop_index(self, name: str) -> None:
        """Remove an index and its records.

        Raises:
            IndexNotFoundError: there is no index of that name.
        """

    def close(self) -> None:
        """Close the connection and what was opened over it. Can be called more than once."""
