"""Mutants that forget an index, mix two up, or never let go of one."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace

from vecbridge import (
    Capabilities,
    Consistency,
    FieldType,
    IndexInfo,
    IndexNotFoundError,
    Metric,
)
from vecbridge_conformance.mutants._backend import ReferenceBackend
from vecbridge_conformance.mutants._reference import ReferenceIndex
from vecbridge_conformance.mutants._registry import mutant
from vecbridge_conformance.mutants._shelf import MemoryShelf, Row, Shelf, Table, Tables


@mutant(
    "metric-forgotten-at-open",
    link="https://github.com/milvus-io/milvus/issues/28317",
    clause="INDEX-4",
)
class MetricForgottenAtOpen(ReferenceBackend):
    """An index is opened with the default metric, whatever it was made with."""

    def open_index(self, name: str) -> ReferenceIndex:
        info = super().open_index(name).info
        return self.opened(replace(info, metric="cosine"))


@mutant(
    "dimension-forgotten-at-open",
    link="https://github.com/microsoft/graphrag/pull/2378",
    clause="INDEX-4",
)
class DimensionForgottenAtOpen(ReferenceBackend):
    """An index is opened with the dimension of the configured default."""

    def open_index(self, name: str) -> ReferenceIndex:
        info = super().open_index(name).info
        return self.opened(replace(info, dimension=info.dimension + 1))


@mutant(
    "consistency-forgotten-at-open",
    clause="CONS-6",
)
class ConsistencyForgottenAtOpen(ReferenceBackend):
    """The level that an index was made with is lost, and reads fall back to the weakest."""

    def open_index(self, name: str) -> ReferenceIndex:
        info = super().open_index(name).info
        return self.opened(replace(info, consistency="eventual"))


class _NeverSaved(ReferenceIndex):
    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, durable=True, shared=True)


@mutant(
    "index-not-persisted",
    link="https://github.com/milvus-io/milvus/issues/15440",
    clause="WRITE-7",
)
class IndexNotPersisted(ReferenceBackend):
    """Declares to be durable, and keeps everything in memory."""

    index_type = _NeverSaved

    def new_shelf(self) -> Shelf:
        return MemoryShelf()


class _SavedWithoutRows(ReferenceIndex):
    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, durable=True, shared=True)


@mutant(
    "empty-after-restart",
    link="https://github.com/basicmachines-co/basic-memory/pull/1174",
    clause="WRITE-7",
)
class EmptyAfterRestart(ReferenceBackend):
    """After a restart the index is there, and its records are not loaded."""

    index_type = _SavedWithoutRows

    def __init__(self, settings: object) -> None:
        super().__init__(settings)  # type: ignore[arg-type]
        self._loaded: set[str] = set()

    def create_index(
        self,
        name: str,
        *,
        dimension: int,
        metric: Metric,
        fields: Mapping[str, FieldType],
        consistency: Consistency | None,
    ) -> ReferenceIndex:
        self._loaded.add(name)
        return super().create_index(
            name, dimension=dimension, metric=metric, fields=fields, consistency=consistency
        )

    def open_index(self, name: str) -> ReferenceIndex:
        found = super().open_index(name)
        if name in self._loaded:
            return found
        fresh = MemoryShelf()
        fresh.change(lambda tables: tables.update({name: Table(found.info)}))
        return self.index_type(found.info, fresh)


class _ReadTwice(_SavedWithoutRows):
    def rows(self, consistency: Consistency | None) -> list[Row]:
        rows = super().rows(consistency)
        segment = len(rows) // 2
        return rows[:segment] + rows[:segment] + rows[2 * segment :]


@mutant("segment-read-twice", clause="WRITE-7")
class SegmentReadTwice(ReferenceBackend):
    """Opening reads one segment of the records twice and leaves another out; the count is right."""

    index_type = _SavedWithoutRows

    def __init__(self, settings: object) -> None:
        super().__init__(settings)  # type: ignore[arg-type]
        self._made: set[str] = set()

    def create_index(
        self,
        name: str,
        *,
        dimension: int,
        metric: Metric,
        fields: Mapping[str, FieldType],
        consistency: Consistency | None,
    ) -> ReferenceIndex:
        self._made.add(name)
        return super().create_index(
            name, dimension=dimension, metric=metric, fields=fields, consistency=consistency
        )

    def open_index(self, name: str) -> ReferenceIndex:
        found = super().open_index(name)
        return found if name in self._made else _ReadTwice(found.info, self._shelf)


@mutant(
    "create-overwrites",
    link="https://github.com/chroma-core/chroma/issues/2390",
    clause="INDEX-3",
)
class CreateOverwrites(ReferenceBackend):
    """Making an index under a name that is taken replaces what was there."""

    def create_index(
        self,
        name: str,
        *,
        dimension: int,
        metric: Metric,
        fields: Mapping[str, FieldType],
        consistency: Consistency | None,
    ) -> ReferenceIndex:
        with contextlib.suppress(IndexNotFoundError):
            self.drop_index(name)
        return super().create_index(
            name, dimension=dimension, metric=metric, fields=fields, consistency=consistency
        )


@mutant(
    "open-creates",
    clause="INDEX-4",
)
class OpenCreates(ReferenceBackend):
    """Opening an index that is not there makes an empty one."""

    def open_index(self, name: str) -> ReferenceIndex:
        try:
            return super().open_index(name)
        except IndexNotFoundError:
            return self.create_index(
                name, dimension=4, metric="cosine", fields={}, consistency=None
            )


@mutant(
    "drop-keeps-records",
    link="https://github.com/NodeDB-Lab/nodedb/issues/139",
    clause="INDEX-7",
)
class DropKeepsRecords(ReferenceBackend):
    """An index that is made under the name of a dropped one has its records."""

    def __init__(self, settings: object) -> None:
        super().__init__(settings)  # type: ignore[arg-type]
        self._dropped: Tables = {}

    def drop_index(self, name: str) -> None:
        self._dropped[name] = self._found(name)
        super().drop_index(name)

    def opened(self, info: IndexInfo) -> ReferenceIndex:
        old = self._dropped.pop(info.name, None)
        if old is not None:
            self._shelf.change(lambda tables: tables.update({info.name: Table(info, old.rows)}))
        return super().opened(info)


@mutant(
    "drop-of-missing-passes",
    clause="INDEX-7",
)
class DropOfMissingPasses(ReferenceBackend):
    """Dropping an index that is not there reports success."""

    def drop_index(self, name: str) -> None:
        with contextlib.suppress(IndexNotFoundError):
            super().drop_index(name)


@mutant(
    "index-names-unsorted",
    clause="INDEX-6",
)
class IndexNamesUnsorted(ReferenceBackend):
    """Indexes are listed in the order of a hash."""

    def index_names(self) -> list[str]:
        return super().index_names()[::-1]


class _Undying(ReferenceIndex):
    def close(self) -> None:
        """Change nothing."""


@mutant(
    "use-after-close",
    clause="INDEX-10",
)
class UseAfterClose(ReferenceBackend):
    """A closed index goes on answering, from a connection without an owner."""

    index_type = _Undying


@mutant("own-columns-named", clause="REC-9")
class OwnColumnsNamed(ReferenceBackend):
    """At open, a column that the backend keeps for itself is taken for one of the caller's."""

    def open_index(self, name: str) -> ReferenceIndex:
        info = super().open_index(name).info
        return self.opened(replace(info, unsupported={"norm": "float"}))
