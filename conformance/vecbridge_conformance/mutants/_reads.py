"""Mutants whose reads are stale, unordered, incomplete or shared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vecbridge import CONSISTENCY_LEVELS, Consistency, Fields, IdRange, Records, Scope
from vecbridge_conformance.mutants._backend import mutant
from vecbridge_conformance.mutants._reference import ReferenceIndex, RowChange, Vectors
from vecbridge_conformance.mutants._shelf import Row


@mutant("fetch-in-server-order", "READ-1", "chroma-core/chroma/issues/907")
class FetchInServerOrder(ReferenceIndex):
    """Records come in the order of insertion, not of the request."""

    def fetch(self, ids: Sequence[str], *, vectors: bool, consistency: Consistency) -> Records:
        order = {row.id: at for at, row in enumerate(self.rows(consistency))}
        names = sorted(ids, key=lambda name: order.get(name, 0))
        return super().fetch(names, vectors=vectors, consistency=consistency)


@mutant("missing-not-told", "READ-2")
class MissingNotTold(ReferenceIndex):
    """Ids without a record are passed over in silence."""

    def fetch(self, ids: Sequence[str], *, vectors: bool, consistency: Consistency) -> Records:
        found = super().fetch(ids, vectors=vectors, consistency=consistency)
        return Records(found.ids, found.vectors, found.fields)


@mutant("vectors-shifted", "READ-1")
class VectorsShifted(ReferenceIndex):
    """Of several records, each comes with its neighbour's vector."""

    def fetch(self, ids: Sequence[str], *, vectors: bool, consistency: Consistency) -> Records:
        found = super().fetch(ids, vectors=vectors, consistency=consistency)
        shifted = np.roll(found.vectors, 1, axis=0)
        return Records(found.ids, shifted, found.fields, found.missing)


@mutant("fields-shifted", "SEARCH-19")
class FieldsShifted(ReferenceIndex):
    """Of several records, each comes with its neighbour's fields."""

    def fetch(self, ids: Sequence[str], *, vectors: bool, consistency: Consistency) -> Records:
        found = super().fetch(ids, vectors=vectors, consistency=consistency)
        fields = {name: [*column[1:], *column[:1]] for name, column in found.fields.items()}
        return Records(found.ids, found.vectors, fields, found.missing)


@mutant("contains-in-server-order", "READ-4")
class ContainsInServerOrder(ReferenceIndex):
    """Answers for the ids in another order than they were asked in."""

    def contains(self, ids: Sequence[str], *, consistency: Consistency) -> NDArray[np.bool_]:
        return super().contains(sorted(ids), consistency=consistency)


@mutant("contains-guessed", "READ-4")
class ContainsGuessed(ReferenceIndex):
    """Of more ids than one request takes, the rest is said to be there."""

    def contains(self, ids: Sequence[str], *, consistency: Consistency) -> NDArray[np.bool_]:
        there = super().contains(ids[:16384], consistency=consistency)
        return np.concatenate([there, np.ones(len(ids) - len(there), dtype=np.bool_)])


@mutant("output-is-the-store", "REC-8", "qdrant/qdrant-client/issues/624")
class OutputIsTheStore(ReferenceIndex):
    """A fetched vector is the stored one: to change it is to change the store."""

    def fetch(self, ids: Sequence[str], *, vectors: bool, consistency: Consistency) -> Records:
        found = super().fetch(ids, vectors=vectors, consistency=consistency)
        if len(found) != 1:
            return found
        stored = next(row for row in self.rows(None) if row.id == found.ids[0])
        return Records(found.ids, stored.vector[np.newaxis], found.fields, found.missing)


@mutant("count-ignores-deletes", "READ-5", "milvus-io/milvus/issues/17193")
class CountIgnoresDeletes(ReferenceIndex):
    """Counts what was ever inserted, deleted or not."""

    _deleted = 0

    def delete(self, ids: Sequence[str]) -> None:
        self._deleted += int(self.contains(ids, consistency="strong").sum())
        super().delete(ids)

    def count(self, scope: Scope) -> int:
        return super().count(scope) + self._deleted


@mutant("count-adds-replacements", "READ-5", "milvus-io/milvus/issues/36222")
class CountAddsReplacements(ReferenceIndex):
    """Counts a replaced record once for each time it was written."""

    _replaced = 0

    def merged(self, rows: list[Row], new: list[Row]) -> list[Row]:
        merged = super().merged(rows, new)
        self._replaced += len(rows) + len(new) - len(merged)
        return merged

    def count(self, scope: Scope) -> int:
        return super().count(scope) + self._replaced


@mutant("scan-pages-overlap", "READ-6", "milvus-io/milvus-lite/issues/366")
class ScanPagesOverlap(ReferenceIndex):
    """A page begins with the last record of the page before."""

    def scan(
        self, batch_size: int, scope: Scope, ids: IdRange | None, *, vectors: bool
    ) -> Iterator[Records]:
        rows = self.selected(scope, ids)
        for start in range(0, len(rows), batch_size):
            yield self._records(rows[max(start - 1, 0) : start + batch_size])


@mutant("scan-pages-gap", "READ-6", "milvus-io/milvus/issues/29406")
class ScanPagesGap(ReferenceIndex):
    """Each further page begins one record too late."""

    def scan(
        self, batch_size: int, scope: Scope, ids: IdRange | None, *, vectors: bool
    ) -> Iterator[Records]:
        rows = self.selected(scope, ids)
        for start in range(0, len(rows), batch_size):
            yield self._records(rows[start + bool(start) : start + batch_size])


@mutant("scan-first-page-only", "READ-6", "milvus-io/milvus/issues/22718")
class ScanFirstPageOnly(ReferenceIndex):
    """A scan ends at the ceiling of one request."""

    def scan(
        self, batch_size: int, scope: Scope, ids: IdRange | None, *, vectors: bool
    ) -> Iterator[Records]:
        yield self._records(self.selected(scope, ids)[:batch_size])


@mutant("scan-ignores-batch-size", "READ-6", "linagora/openrag/pull/594")
class ScanIgnoresBatchSize(ReferenceIndex):
    """A scan gives everything at once, whatever the caller can hold."""

    def scan(
        self, batch_size: int, scope: Scope, ids: IdRange | None, *, vectors: bool
    ) -> Iterator[Records]:
        yield self._records(self.selected(scope, ids))


class _Stale(ReferenceIndex):
    """Searches look at rows as they were before the latest write of some kind."""

    _before: list[Row] | None = None

    def searched(self, consistency: Consistency | None) -> list[Row]:
        return self.rows(consistency) if self._before is None else self._before


@mutant("deleted-still-found", "WRITE-5", "milvus-io/milvus/issues/50194")
class DeletedStillFound(_Stale):
    """Searches go on returning what a delete has removed, though reads by id do not."""

    def delete(self, ids: Sequence[str]) -> None:
        self._before = self.rows(None)
        super().delete(ids)


@mutant("replaced-still-found", "WRITE-2", "milvus-io/milvus/issues/27324")
class ReplacedStillFound(_Stale):
    """The old vector of a replaced record still answers searches."""

    def merged(self, rows: list[Row], new: list[Row]) -> list[Row]:
        merged = super().merged(rows, new)
        old = {row.id: row for row in rows}
        self._before = [old.get(row.id, row) for row in merged]
        return merged


@mutant("session-deletes-unseen", "CONS-2", "milvus-io/milvus/issues/12172")
class SessionDeletesUnseen(ReferenceIndex):
    """Declares session reads, and still shows the process what it has deleted itself."""

    declared: ClassVar = {"consistency": frozenset(CONSISTENCY_LEVELS)}
    _deleted: tuple[Row, ...] = ()

    def delete(self, ids: Sequence[str]) -> None:
        self._deleted += tuple(row for row in super().rows(None) if row.id in ids)
        super().delete(ids)

    def upsert(self, ids: Sequence[str], vectors: Vectors, fields: Fields | None = None) -> None:
        self._deleted = ()
        super().upsert(ids, vectors, fields)

    def rows(self, consistency: Consistency | None) -> list[Row]:
        return super().rows(None) + [*self._deleted] * (consistency == "session")


@mutant("strong-reads-lag", "CONS-1", "zilliztech/memsearch/issues/534")
class StrongReadsLag(ReferenceIndex):
    """Answers a strong read like an eventual one: without the latest write."""

    declared: ClassVar = {"consistency": frozenset(CONSISTENCY_LEVELS)}
    _before: list[Row] | None = None

    def change(self, change: RowChange) -> None:
        self._before = super().rows(None)
        super().change(change)

    def rows(self, consistency: Consistency | None) -> list[Row]:
        if consistency == "strong" and self._before is not None:
            before, self._before = self._before, None
            return before
        return super().rows(None)


@mutant("scan-holds-everything", "READ-7")
class ScanHoldsEverything(ReferenceIndex):
    """A scan fetches all vectors before it gives the first page."""

    def scan(
        self, batch_size: int, scope: Scope, ids: IdRange | None, *, vectors: bool
    ) -> Iterator[Records]:
        return iter(list(super().scan(batch_size, scope, ids, vectors=vectors)))


@mutant("weak-reads-never-converge", "CONS-4", "milvus-io/milvus/issues/47913")
class WeakReadsNeverConverge(ReferenceIndex):
    """An acknowledged write stays invisible to eventual reads, however long they wait."""

    declared: ClassVar = {"consistency": frozenset({"strong", "eventual"})}
    _first: list[Row] | None = None

    def change(self, change: RowChange) -> None:
        super().change(change)
        if self._first is None:
            self._first = super().rows(None)

    def rows(self, consistency: Consistency | None) -> list[Row]:
        if consistency == "eventual" and self._first is not None:
            return self._first
        return super().rows(consistency)


@mutant("count-ignores-the-filter", "READ-9")
class CountIgnoresTheFilter(ReferenceIndex):
    """Counts all records, whatever the filter says."""

    def count(self, scope: Scope) -> int:
        return super().count(replace(scope, where=None))


@mutant("scan-ignores-the-filter", "READ-9")
class ScanIgnoresTheFilter(ReferenceIndex):
    """A scan of a range of ids visits what the filter does not accept."""

    def selected(self, scope: Scope, ids: IdRange | None) -> list[Row]:
        return super().selected(scope if ids is None else replace(scope, where=None), ids)


@mutant("range-without-its-first", "READ-10")
class RangeWithoutItsFirst(ReferenceIndex):
    """A range of ids begins after the id at which it was to begin."""

    def selected(self, scope: Scope, ids: IdRange | None) -> list[Row]:
        rows = super().selected(scope, ids)
        return [row for row in rows if ids is None or row.id != ids.start]


@mutant("range-by-utf-16", "READ-10", "partiql/partiql-lang-kotlin/issues/1346")
class RangeByUtf16(ReferenceIndex):
    """Reads ids in the order of UTF-16, in which U+10000 comes before U+FFFF."""

    def selected(self, scope: Scope, ids: IdRange | None) -> list[Row]:
        rows = super().selected(scope, ids)
        return rows if ids is None else sorted(rows, key=lambda row: row.id.encode("utf-16-be"))


@mutant("ranges-declared-unread", "CAP-11")
class RangesDeclaredUnread(ReferenceIndex):
    """Declares that it reads ranges of ids, and reads everything."""

    def selected(self, scope: Scope, ids: IdRange | None) -> list[Row]:
        return super().selected(scope, None if ids is None else IdRange())


@mutant("partitions-of-one", "READ-11")
class PartitionsOfOne(ReferenceIndex):
    """The first of several ranges has nearly every record, each of the others has one."""

    def partitions(self, count: int, *, consistency: Consistency) -> list[IdRange]:
        names = sorted(row.id for row in self.rows(consistency))
        cuts = names[len(names) - min(count, len(names)) + 1 :]
        return [IdRange(*edge) for edge in pairwise([None, *cuts, None])]
