"""Mutants whose reads are stale, unordered, incomplete or shared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vecbridge import Capabilities, Consistency, IndexInfo, Records
from vecbridge_conformance.mutants._reference import ReferenceIndex, RowChange
from vecbridge_conformance.mutants._registry import mutant
from vecbridge_conformance.mutants._shelf import Row, Shelf

Vectors = NDArray[np.float32]


@mutant(
    "fetch-in-server-order",
    link="https://github.com/chroma-core/chroma/issues/907",
    clause="READ-1",
)
class FetchInServerOrder(ReferenceIndex):
    """Records come in the order of insertion, not of the request."""

    def fetch(self, ids: Sequence[str], *, consistency: Consistency | None = None) -> Records:
        order = {row.id: at for at, row in enumerate(self.rows(consistency))}
        return super().fetch(sorted(ids, key=lambda name: order.get(name, 0)))


@mutant(
    "missing-not-told",
    clause="READ-2",
)
class MissingNotTold(ReferenceIndex):
    """Ids without a record are passed over in silence."""

    def fetch(self, ids: Sequence[str], *, consistency: Consistency | None = None) -> Records:
        found = super().fetch(ids)
        return Records(found.ids, found.vectors, found.fields)


@mutant(
    "vectors-shifted",
    clause="READ-1",
)
class VectorsShifted(ReferenceIndex):
    """Of several records, each comes with its neighbour's vector."""

    def fetch(self, ids: Sequence[str], *, consistency: Consistency | None = None) -> Records:
        found = super().fetch(ids)
        vectors = np.roll(found.vectors, 1, axis=0)
        return Records(found.ids, vectors, found.fields, found.missing)


@mutant(
    "contains-in-server-order",
    clause="READ-4",
)
class ContainsInServerOrder(ReferenceIndex):
    """Answers for the ids in another order than they were asked in."""

    def contains(
        self, ids: Sequence[str], *, consistency: Consistency | None = None
    ) -> NDArray[np.bool_]:
        return super().contains(sorted(ids))


@mutant("contains-guessed", clause="READ-4")
class ContainsGuessed(ReferenceIndex):
    """Of more ids than one request takes, the rest is said to be there."""

    def contains(
        self, ids: Sequence[str], *, consistency: Consistency | None = None
    ) -> NDArray[np.bool_]:
        there = super().contains(ids[:16384])
        return np.concatenate([there, np.ones(len(ids) - len(there), dtype=np.bool_)])


@mutant(
    "output-is-the-store",
    link="https://github.com/qdrant/qdrant-client/issues/624",
    clause="REC-8",
)
class OutputIsTheStore(ReferenceIndex):
    """A fetched vector is the stored one: to change it is to change the store."""

    def fetch(self, ids: Sequence[str], *, consistency: Consistency | None = None) -> Records:
        found = super().fetch(ids)
        if len(found) != 1:
            return found
        stored = next(row for row in self.rows(None) if row.id == found.ids[0])
        return Records(found.ids, stored.vector[np.newaxis], found.fields, found.missing)


@mutant(
    "count-ignores-deletes",
    link="https://github.com/milvus-io/milvus/issues/17193",
    clause="READ-5",
)
class CountIgnoresDeletes(ReferenceIndex):
    """Counts what was ever inserted, deleted or not."""

    def __init__(self, info: IndexInfo, shelf: Shelf) -> None:
        super().__init__(info, shelf)
        self._deleted = 0

    def delete(self, ids: Sequence[str]) -> None:
        self._deleted += int(self.contains(ids).sum())
        super().delete(ids)

    def count(self, *, consistency: Consistency | None = None) -> int:
        return super().count() + self._deleted


@mutant(
    "count-adds-replacements",
    link="https://github.com/milvus-io/milvus/issues/36222",
    clause="READ-5",
)
class CountAddsReplacements(ReferenceIndex):
    """Counts a replaced record once for each time it was written."""

    def __init__(self, info: IndexInfo, shelf: Shelf) -> None:
        super().__init__(info, shelf)
        self._replaced = 0

    def merged(self, rows: list[Row], new: list[Row]) -> list[Row]:
        merged = super().merged(rows, new)
        self._replaced += len(rows) + len(new) - len(merged)
        return merged

    def count(self, *, consistency: Consistency | None = None) -> int:
        return super().count() + self._replaced


@mutant(
    "scan-pages-overlap",
    link="https://github.com/milvus-io/milvus-lite/issues/366",
    clause="READ-6",
)
class ScanPagesOverlap(ReferenceIndex):
    """A page begins with the last record of the page before."""

    def scan(self, batch_size: int, *, consistency: Consistency | None = None) -> Iterator[Records]:
        rows = self.rows(consistency)
        for start in range(0, len(rows), batch_size):
            yield self._records(rows[max(start - 1, 0) : start + batch_size])


@mutant(
    "scan-pages-gap",
    link="https://github.com/milvus-io/milvus/issues/29406",
    clause="READ-6",
)
class ScanPagesGap(ReferenceIndex):
    """Each further page begins one record too late."""

    def scan(self, batch_size: int, *, consistency: Consistency | None = None) -> Iterator[Records]:
        rows = self.rows(consistency)
        for start in range(0, len(rows), batch_size):
            yield self._records(rows[start + bool(start) : start + batch_size])


@mutant(
    "scan-first-page-only",
    link="https://github.com/milvus-io/milvus/issues/22718",
    clause="READ-6",
)
class ScanFirstPageOnly(ReferenceIndex):
    """A scan ends at the ceiling of one request."""

    def scan(self, batch_size: int, *, consistency: Consistency | None = None) -> Iterator[Records]:
        yield self._records(self.rows(consistency)[:batch_size])


@mutant(
    "scan-ignores-batch-size",
    link="https://github.com/linagora/openrag/pull/594",
    clause="READ-6",
)
class ScanIgnoresBatchSize(ReferenceIndex):
    """A scan gives everything at once, whatever the caller can hold."""

    def scan(self, batch_size: int, *, consistency: Consistency | None = None) -> Iterator[Records]:
        yield self._records(self.rows(consistency))


class _Stale(ReferenceIndex):
    """Searches look at rows as they were before the latest write of some kind."""

    _before: list[Row] | None = None

    def searched(self, consistency: Consistency | None) -> list[Row]:
        return self.rows(consistency) if self._before is None else self._before


@mutant(
    "deleted-still-found",
    link="https://github.com/milvus-io/milvus/issues/50194",
    clause="WRITE-5",
)
class DeletedStillFound(_Stale):
    """Searches go on returning what a delete has removed, though reads by id do not."""

    def delete(self, ids: Sequence[str]) -> None:
        self._before = self.rows(None)
        super().delete(ids)


@mutant(
    "replaced-still-found",
    link="https://github.com/milvus-io/milvus/issues/27324",
    clause="WRITE-2",
)
class ReplacedStillFound(_Stale):
    """The old vector of a replaced record still answers searches."""

    def merged(self, rows: list[Row], new: list[Row]) -> list[Row]:
        merged = super().merged(rows, new)
        old = {row.id: row for row in rows}
        self._before = [old.get(row.id, row) for row in merged]
        return merged


@mutant(
    "session-deletes-unseen",
    link="https://github.com/milvus-io/milvus/issues/12172",
    clause="CONS-2",
)
class SessionDeletesUnseen(ReferenceIndex):
    """Declares session reads, and still shows the process what it has deleted itself."""

    def __init__(self, info: IndexInfo, shelf: Shelf) -> None:
        super().__init__(info, shelf)
        self._deleted: list[Row] = []

    @property
    def capabilities(self) -> Capabilities:
        return _weaker(super().capabilities)

    def delete(self, ids: Sequence[str]) -> None:
        self._deleted += [row for row in super().rows(None) if row.id in ids]
        super().delete(ids)

    def upsert(self, ids: Sequence[str], vectors: Vectors, fields: object = None) -> None:
        self._deleted.clear()
        super().upsert(ids, vectors, fields)  # type: ignore[arg-type]

    def rows(self, consistency: Consistency | None) -> list[Row]:
        return super().rows(None) + (self._deleted if consistency == "session" else [])


@mutant(
    "strong-reads-lag",
    link="https://github.com/zilliztech/memsearch/issues/534",
    clause="CONS-1",
)
class StrongReadsLag(ReferenceIndex):
    """Answers a strong read like an eventual one: without the latest write."""

    _before: list[Row] | None = None

    @property
    def capabilities(self) -> Capabilities:
        return _weaker(super().capabilities)

    def _change(self, change: RowChange) -> None:
        self._before = super().rows(None)
        super()._change(change)

    def rows(self, consistency: Consistency | None) -> list[Row]:
        if consistency == "strong" and self._before is not None:
            before, self._before = self._before, None
            return before
        return super().rows(None)


def _weaker(capabilities: Capabilities) -> Capabilities:
    levels = frozenset[Consistency]({"strong", "session", "bounded", "eventual"})
    return replace(capabilities, consistency=levels)
