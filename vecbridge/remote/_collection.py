"""What the author of a backend writes: the calls of one collection of a store."""

# Methods of a protocol have no body, and so return nothing:
# pyright: reportReturnType=false

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._capabilities import Capabilities
from vecbridge._contract._filters import Operator
from vecbridge._contract._records import Fields, IndexInfo, Records
from vecbridge._contract._scope import IdRange, Scope
from vecbridge.ranking import ScoreForm

ClientT_contra = TypeVar("ClientT_contra", contravariant=True)

NORM = "|v|"
"""Name, in filters that :mod:`vecbridge.remote` makes, of the Euclidean norm of a record's vector.

No field of the contract has such a name.
"""


class Columns(NamedTuple):
    """What of the records a read returns, besides their ids.

    Attributes:
        vectors: the vectors; otherwise they have the shape ``(n, 0)``.
        fields: names of the fields.
    """

    vectors: bool
    fields: tuple[str, ...] = ()


class Nearest(NamedTuple):
    """What a store answers to one query.

    Attributes:
        ids: of the records, in any order, each once.
        scores: ``(n,)`` float64, as the store gives them.
        vectors: ``(n, d)`` float32, the stored ones, bit for bit.
    """

    ids: tuple[str, ...]
    scores: NDArray[np.float64]
    vectors: NDArray[np.float32]


class Page(NamedTuple):
    """A part of a walk over records.

    Attributes:
        records: at most as many as were asked for.
        after: from where the next page goes on; ``None`` where this is the last one.
    """

    records: Records
    after: Any


def id_bounds(ids: IdRange | None, after: str | None = None) -> list[tuple[Operator, str]]:
    r"""Return the comparisons that say that an id is in a range, and after another one.

    No id holds NUL, and few stores take it in what they compare with: none is left in a bound.

    Example:
        >>> id_bounds(IdRange("a", "b\0"), after="aa")
        [('>=', 'a'), ('<=', 'b'), ('>', 'aa')]
    """
    bounds: list[tuple[Operator, str]] = []
    if ids is not None and ids.start is not None:
        start, nul, _ = ids.start.partition("\0")
        bounds.append((">" if nul else ">=", start))
    if ids is not None and ids.stop is not None:
        stop, nul, _ = ids.stop.partition("\0")
        bounds.append(("<=" if nul else "<", stop))
    if after is not None:
        bounds.append((">", after))
    return bounds


class SearchedCollection(Protocol[ClientT_contra]):
    """What a search asks of the records of one index in a store.

    Each method gets a live client, and lets out whatever that raises: the table of errors says what
    it means. It may be called again after it failed. Filters are settled; one may also compare
    :data:`NORM`, with ``<``, ``<=``, ``>``, ``>=`` and ``==``.
    """

    @property
    def info(self) -> IndexInfo:
        """The schema, as the store has it."""

    @property
    def form(self) -> ScoreForm:
        """How the store gives its scores."""

    def count(self, client: ClientT_contra, /, scope: Scope) -> int:
        """Return the number of records in scope."""

    def page(
        self,
        client: ClientT_contra,
        /,
        scope: Scope,
        ids: IdRange | None,
        limit: int,
        after: Any,
        columns: Columns,
    ) -> Page:
        """Return the first records in scope, or those that follow a page.

        Args:
            client: a live one.
            scope: which records.
            ids: of this range alone, in the order of code points, where the capabilities declare
                ``partitions``; ``None`` for all, in any order that stays the same.
            limit: most records of the page.
            after: of the page before; ``None`` for the first one.
            columns: what is wanted of the records.
        """

    def nearest(
        self,
        client: ClientT_contra,
        /,
        queries: NDArray[np.float32],
        limit: int,
        scope: Scope,
        effort: Any,
    ) -> list[Nearest]:
        """Return the ``limit`` nearest records in scope of each query, or all where there are less.

        Args:
            client: a live one.
            queries: ``(q, d)``; of a safe norm, and so not always what the caller asked.
            limit: how many.
            scope: which records.
            effort: one of an approximate collection's efforts; ``None`` to look at every record.
        """


class Collection(SearchedCollection[ClientT_contra], Protocol[ClientT_contra]):
    """The records of one index in a store.

    What its methods are given is as :class:`vecbridge.VectorIndex` says: distinct ids, float32
    vectors, settled filters.

    With less, an index is exact: its searches look at every record. One that does not is an
    :class:`ApproximateCollection`; one that declares ``partitions`` is a
    :class:`PartitionedCollection`.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What the index can do, read from the live store."""

    def put(
        self,
        client: ClientT_contra,
        /,
        ids: Sequence[str],
        vectors: NDArray[np.float32],
        norms: NDArray[np.float64],
        fields: Fields,
    ) -> None:
        """Insert records or replace them whole, all or none."""

    def remove(self, client: ClientT_contra, /, ids: Sequence[str]) -> None:
        """Remove records; ids that are not there are ignored."""

    def get(self, client: ClientT_contra, /, ids: Sequence[str], columns: Columns) -> Records:
        """Return the records of ids, in any order, without those that are not there."""


class PartitionedCollection(Protocol[ClientT_contra]):
    """What a collection has besides where its capabilities declare ``partitions``."""

    def cuts(self, client: ClientT_contra, /, count: int) -> list[str]:
        """Return at most ``count - 1`` ids that cut the records into parts of about one size.

        They ascend by code point.
        """


class ApproximateCollection(SearchedCollection[ClientT_contra], Protocol[ClientT_contra]):
    """What a collection has besides where its capabilities do not declare ``exact``."""

    @property
    def efforts(self) -> Sequence[Any]:
        """The search efforts that are worth trying, least to most: numbers."""

    @property
    def exhaustive(self) -> bool:
        """Whether a search without an effort looks at every record, whatever index there is."""

    def sample(self, client: ClientT_contra, /, count: int) -> NDArray[np.float32]:
        """Return the vectors of some records, each as likely as any other: ``(n, d)``.

        By these, the effort is found that a recall needs.
        """

    def prepare(self, client: ClientT_contra, /, records: int) -> None:
        """Build or rebuild an approximate index, so that it fits a number of records.

        Called before efforts are measured: at the first search, and where the number has grown.
        """
