"""An engine as the client layer uses it: every answer is checked before it is handed on.

A broken store, or a backend with a defect, may answer with what no caller could make sense of: too
few distances, NaN, records that were not asked for. Such an answer is refused here, where the
message can name the engine. What only a second read could show (an id that was never written) is
not checked. The checks cost a small share of any read: they look at ids and distances, and once
over vectors that are handed on as they are.
"""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NoReturn, cast

import numpy as np
from numpy.typing import NDArray

from vecbridge._client import _validate as validate
from vecbridge._client._operation import traced
from vecbridge._contract._capabilities import Capabilities
from vecbridge._contract._consistency import Consistency
from vecbridge._contract._hits import Candidates, Hits
from vecbridge._contract._protocols import (
    FarIndex,
    PartitionedIndex,
    RangeIndex,
    VectorIndex,
)
from vecbridge._contract._records import Fields, IndexInfo, Records
from vecbridge._contract._scope import IdRange, Scope
from vecbridge._errors import BackendError


@dataclass(frozen=True, kw_only=True)
class Budgets:
    """How much a read may take at a time. No answer depends on it.

    The defaults were measured on one core of a server; a program that has little memory to spare
    gives :class:`vecbridge.Store` or :class:`vecbridge.Index` smaller ones.

    Attributes:
        scan_bytes: vectors of one batch of a scan.
        table_bytes: distances that are held at once while every record is ranked.
        candidate_bytes: vectors that an engine is asked for at once.
        range_hits: hits per query that a range search asks for before it reads every record.
        fetched_values: numbers of listed vectors, per query, that cost less to fetch and to rank
            here than to search among.
        long_list_ids: ids of ``within`` from which on a store in this process is asked how many
            records it has: the list may cost more to look up than the rest costs to search.
        lookup_products: multiplications of a search that take as long as to look up one id there.
    """

    scan_bytes: int = 16 << 20
    table_bytes: int = 32 << 20
    candidate_bytes: int = 32 << 20
    range_hits: int = 4096
    fetched_values: int = 1 << 20
    long_list_ids: int = 4096
    lookup_products: int = 8000


class CheckedEngine:
    """A :class:`vecbridge.VectorIndex` that refuses answers of its engine against the contract."""

    def __init__(self, engine: VectorIndex, budgets: Budgets) -> None:
        self._engine = engine
        self.budgets = budgets

    @property
    def info(self) -> IndexInfo:
        """Name, dimension, metric and fields of the engine's index."""
        return self._engine.info

    @property
    def capabilities(self) -> Capabilities:
        """Return what the engine declares."""
        return self._engine.capabilities

    @property
    def scan_rows(self) -> int:
        """Records whose vectors fit one batch of a scan."""
        return max(1, self.budgets.scan_bytes // (4 * self._engine.info.dimension))

    @traced
    def upsert(
        self, ids: Sequence[str], vectors: NDArray[np.float32], fields: Fields | None = None
    ) -> None:
        """Write records."""
        self._engine.upsert(ids, vectors, fields)

    @traced
    def delete(self, ids: Sequence[str]) -> None:
        """Delete records."""
        self._engine.delete(ids)

    @traced
    def fetch(self, ids: Sequence[str], *, vectors: bool, consistency: Consistency) -> Records:
        """Return the records of the ids asked for, and no other, in their order."""
        found = self._engine.fetch(ids, vectors=vectors, consistency=consistency)
        self._check_records(found, "fetch", vectors=vectors)
        absent = set(found.missing)
        there = tuple(each for each in ids if each not in absent)
        if found.ids != there or len(there) + len(found.missing) != len(ids):
            self._refuse("fetch", "its records and its missing ids are not those asked for")
        return found

    @traced
    def contains(self, ids: Sequence[str], *, consistency: Consistency) -> NDArray[np.bool_]:
        """Return one bool per id."""
        found = self._engine.contains(ids, consistency=consistency)
        if not _is_array(found, np.bool_, (len(ids),)):
            self._refuse("contains", f"it is not {len(ids)} booleans")
        return found

    @traced
    def count(self, scope: Scope) -> int:
        """Return a number of records."""
        found = self._engine.count(scope)
        if type(found) is not int or found < 0:
            self._refuse("count", f"{found!r} is no number of records")
        return found

    @traced
    def scan(
        self, batch_size: int, scope: Scope, ids: IdRange | None, *, vectors: bool
    ) -> Iterator[Records]:
        """Return batches of the size asked for; of a range, its ids in ascending order."""
        pages = self._engine.scan(batch_size, scope, ids, vectors=vectors)
        if not isinstance(pages, Iterable):
            self._refuse("scan", f"it is {type(pages).__name__}, not batches of Records")
        return self._pages(pages, batch_size, ids, vectors=vectors)

    def _pages(
        self, pages: Iterable[Records], batch_size: int, ids: IdRange | None, *, vectors: bool
    ) -> Iterator[Records]:
        last = ""
        for records in pages:
            self._check_records(records, "scan", vectors=vectors)
            if len(records) > batch_size:
                self._refuse("scan", f"a batch has {len(records)} records; {batch_size} were asked")
            if ids is not None and len(records):
                self._check_order(last, records.ids, ids)
                last = records.ids[-1]
            yield records

    @traced
    def partitions(self, count: int, *, consistency: Consistency) -> list[IdRange]:
        """Return ranges that follow one another; only where ``partitions`` is declared."""
        engine = cast(PartitionedIndex, self._engine)
        found = engine.partitions(count, consistency=consistency)
        if not _are(found, IdRange):
            self._refuse("partitions", "it is no list of ranges of ids")
        if not 1 <= len(found) <= count:
            self._refuse("partitions", f"there are {len(found)} ranges; {count} were asked")
        cuts = [each.stop for each in found[:-1]]
        if [None, *cuts] != [each.start for each in found] or found[-1].stop is not None:
            self._refuse("partitions", "its ranges do not hold every id once")
        if None in cuts or any(left >= right for left, right in pairwise(cast("list[str]", cuts))):
            self._refuse("partitions", "its ranges are not in ascending order")
        return found

    @traced
    def search(self, queries: NDArray[np.float32], k: int, scope: Scope) -> list[Hits]:
        """Return at most ``k`` hits per query, each at a distance."""
        found = self._engine.search(queries, k, scope)
        self._check_answers(found, len(queries), Hits, "search")
        for hits in found:
            self._check_ids(hits.ids, "search")
            if len(hits.ids) > k or np.shape(hits.distances) != (len(hits.ids),):
                shape = np.shape(hits.distances)
                self._refuse(
                    "search", f"k is {k}; there are {len(hits.ids)} ids and {shape} distances"
                )
            if np.isnan(hits.distances).any():
                self._refuse("search", "a distance is NaN")
        self._check_scope([hits.ids for hits in found], scope, "search")
        return found

    @traced
    def candidates(self, queries: NDArray[np.float32], k: int, scope: Scope) -> list[Candidates]:
        """Return records for each query, and a lower bound."""
        found = self._engine.candidates(queries, k, scope)
        self._check_candidates(found, len(queries), scope, "candidates")
        return found

    @traced
    def far_candidates(
        self, queries: NDArray[np.float32], k: int, scope: Scope
    ) -> list[Candidates]:
        """Return far records, and a lower bound; only where ``farthest`` is declared."""
        found = cast(FarIndex, self._engine).far_candidates(queries, k, scope)
        self._check_candidates(found, len(queries), scope, "far_candidates")
        return found

    @traced
    def in_range(
        self, queries: NDArray[np.float32], radius: float, scope: Scope
    ) -> list[Candidates]:
        """Return the records within a distance; only where ``range_search`` is declared."""
        found = cast(RangeIndex, self._engine).in_range(queries, radius, scope)
        self._check_candidates(found, len(queries), scope, "in_range")
        return found

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()

    def _span_attributes(self) -> dict[str, str | int]:
        return {
            "db.collection.name": self.info.name,
            "vecbridge.engine": type(self._engine).__name__,
        }

    def _check_candidates(
        self, found: list[Candidates], count: int, scope: Scope, operation: str
    ) -> None:
        self._check_answers(found, count, Candidates, operation)
        for listed in found:
            self._check_ids(listed.ids, operation)
            self._check_vectors(listed.vectors, len(listed.ids), operation)
            if math.isnan(listed.lower_bound):
                self._refuse(operation, "the lower bound is NaN")
        self._check_scope([listed.ids for listed in found], scope, operation)

    def _check_answers(self, found: object, count: int, kind: type[Any], operation: str) -> None:
        if not isinstance(found, list) or len(found) != count or not _are(found, kind):
            self._refuse(operation, f"it is not {count} {kind.__name__}, one per query")

    def _check_records(self, found: object, operation: str, *, vectors: bool) -> None:
        if not isinstance(found, Records):
            self._refuse(operation, f"it is {type(found).__name__}, not Records")
        self._check_ids(found.ids, operation)
        # Vectors that were not asked for may be left out.
        if vectors or not _is_array(found.vectors, np.float32, (len(found), 0)):
            self._check_vectors(found.vectors, len(found), operation)
        lengths = {name: len(column) for name, column in found.fields.items()}
        if lengths != dict.fromkeys(self.info.fields, len(found)):
            self._refuse(operation, f"of {len(found)} records, it has fields {lengths}")

    def _check_ids(self, ids: Sequence[str], operation: str) -> None:
        if len(set(ids)) != len(ids):
            again = next(name for name, count in Counter(ids).items() if count > 1)
            self._refuse(
                operation,
                f"an id is there twice, {again!r}: where another program wrote it, delete it and "
                f"write it again",
            )
        if not {str}.issuperset(map(type, ids)):
            self._refuse(operation, "an id is no string")

    def _check_order(self, last: str, names: Sequence[str], ids: IdRange) -> None:
        if last >= names[0] or not all(map(operator.lt, names, names[1:])):
            self._refuse("scan", "its ids are not in ascending order")
        for name in (names[0], names[-1]):
            if name not in ids:
                self._refuse("scan", f"{name!r} is not in the range of ids that it was to read")

    def _check_scope(self, answers: Sequence[Sequence[str]], scope: Scope, operation: str) -> None:
        if scope.within is None:
            return
        seen = set[str]().union(*answers)
        outside = seen - validate.listed(seen, scope.within)
        if outside:
            self._refuse(
                operation, f"{min(outside)!r} is not among the ids that it was to search within"
            )

    def _check_vectors(self, vectors: object, count: int, operation: str) -> None:
        if not _is_array(vectors, np.float32, (count, self.info.dimension)):
            self._refuse(operation, f"its vectors are not ({count}, {self.info.dimension}) float32")
        if not _all_finite(vectors):
            self._refuse(operation, "a vector holds NaN or infinity")

    def _refuse(self, operation: str, what: str) -> NoReturn:
        name = type(self._engine).__name__
        raise BackendError(
            f"{name} answered {operation!r} on index {self.info.name!r} against the contract: "
            f"{what}. The store or its backend is broken; run the conformance suite on it",
            backend=name,
            operation=operation,
        )


def _is_array(value: object, kind: type[np.generic], shape: tuple[int, ...]) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == kind and value.shape == shape


def _are(values: object, kind: type[Any]) -> bool:
    return isinstance(values, list) and all(isinstance(each, kind) for each in values)


def _all_finite(vectors: Any) -> bool:
    """Return whether no value is NaN or infinite; a sum shows it unless it overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.add.reduce(vectors, axis=None)
    return bool(np.isfinite(total)) or bool(np.isfinite(vectors).all())
