"""Mutants that forget an index, mix two up, never let go of one, or tell too much."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from pydantic import ConfigDict

from vecbridge import Consistency, IndexInfo, IndexNotFoundError
from vecbridge_conformance.mutants._backend import (
    MutantSettings,
    ReferenceBackend,
    ReferenceSettings,
    mutant,
)
from vecbridge_conformance.mutants._reference import ReferenceIndex, RowChange
from vecbridge_conformance.mutants._shelf import Row, Shelf, Table, Tables


@mutant("metric-forgotten-at-open", "INDEX-4", "milvus-io/milvus/issues/28317")
class MetricForgottenAtOpen(ReferenceBackend):
    """An index is opened with the default metric, whatever it was made with."""

    def open_index(self, name: str) -> ReferenceIndex:
        info = super().open_index(name).info
        return self.opened(replace(info, metric="cosine"))


@mutant("dimension-forgotten-at-open", "INDEX-4", "microsoft/graphrag/pull/2378")
class DimensionForgottenAtOpen(ReferenceBackend):
    """An index is opened with the dimension of the configured default."""

    def open_index(self, name: str) -> ReferenceIndex:
        info = super().open_index(name).info
        return self.opened(replace(info, dimension=info.dimension + 1))


@mutant("consistency-forgotten-at-open", "CONS-6")
class ConsistencyForgottenAtOpen(ReferenceBackend):
    """The level that an index was made with is lost, and reads fall back to the weakest."""

    def open_index(self, name: str) -> ReferenceIndex:
        info = super().open_index(name).info
        return self.opened(replace(info, consistency="eventual"))


class _SaysDurable(ReferenceIndex):
    declared: ClassVar = {"durable": True, "shared": True}


@mutant("index-not-persisted", "WRITE-7", "milvus-io/milvus/issues/15440")
class IndexNotPersisted(ReferenceBackend):
    """Declares to be durable, and keeps everything in memory."""

    index_type = _SaysDurable

    def new_shelf(self) -> Shelf:
        return Shelf()


class _Restarting(ReferenceBackend):
    """Knows which indexes it has made itself, and did not find."""

    index_type = _SaysDurable

    def __init__(self, settings: ReferenceSettings) -> None:
        super().__init__(settings)
        self.made: set[str] = set()

    def add(self, tables: Tables, info: IndexInfo) -> None:
        super().add(tables, info)
        self.made.add(info.name)


@mutant("empty-after-restart", "WRITE-7", "basicmachines-co/basic-memory/pull/1174")
class EmptyAfterRestart(_Restarting):
    """After a restart the index is there, and its records are not loaded."""

    def open_index(self, name: str) -> ReferenceIndex:
        found = super().open_index(name)
        if name in self.made:
            return found
        fresh = Shelf()
        fresh.change(lambda tables: tables.update({name: Table(found.info)}))
        return self.index_type(found.info, fresh)


class _ReadTwice(_SaysDurable):
    def rows(self, consistency: Consistency | None) -> list[Row]:
        rows = super().rows(consistency)
        segment = len(rows) // 2
        return rows[:segment] + rows[:segment] + rows[2 * segment :]


@mutant("segment-read-twice", "WRITE-7")
class SegmentReadTwice(_Restarting):
    """Opening reads one segment of the records twice and leaves another out; the count is right."""

    def open_index(self, name: str) -> ReferenceIndex:
        found = super().open_index(name)
        return found if name in self.made else _ReadTwice(found.info, self._shelf)


@mutant("create-overwrites", "INDEX-3", "chroma-core/chroma/issues/2390")
class CreateOverwrites(ReferenceBackend):
    """Making an index under a name that is taken replaces what was there."""

    def add(self, tables: Tables, info: IndexInfo) -> None:
        tables.pop(info.name, None)
        super().add(tables, info)


@mutant("open-creates", "INDEX-4")
class OpenCreates(ReferenceBackend):
    """Opening an index that is not there makes an empty one."""

    def open_index(self, name: str) -> ReferenceIndex:
        try:
            return super().open_index(name)
        except IndexNotFoundError:
            return self.create_index(
                name, dimension=4, metric="cosine", fields={}, consistency=None
            )


@mutant("drop-keeps-records", "INDEX-7", "NodeDB-Lab/nodedb/issues/139")
class DropKeepsRecords(ReferenceBackend):
    """An index that is made under the name of a dropped one has its records."""

    def __init__(self, settings: ReferenceSettings) -> None:
        super().__init__(settings)
        self._dropped: Tables = {}

    def drop_index(self, name: str) -> None:
        self._dropped[name] = self._found(name)
        super().drop_index(name)

    def opened(self, info: IndexInfo) -> ReferenceIndex:
        old = self._dropped.pop(info.name, None)
        if old is not None:
            self._shelf.change(lambda tables: tables.update({info.name: Table(info, old.rows)}))
        return super().opened(info)


class _ByName(ReferenceIndex):
    def is_same(self, table: Table) -> bool:
        return True


@mutant("found-by-name-alone", "INDEX-7")
class FoundByNameAlone(ReferenceBackend):
    """An index that was opened before a drop writes to the one that is made under its name."""

    index_type = _ByName


@mutant("drop-of-missing-passes", "INDEX-7")
class DropOfMissingPasses(ReferenceBackend):
    """Dropping an index that is not there reports success."""

    def drop_index(self, name: str) -> None:
        with contextlib.suppress(IndexNotFoundError):
            super().drop_index(name)


@mutant("index-names-unsorted", "INDEX-6")
class IndexNamesUnsorted(ReferenceBackend):
    """Indexes are listed in the order of a hash."""

    def index_names(self) -> list[str]:
        return super().index_names()[::-1]


class _Undying(ReferenceIndex):
    def close(self) -> None:
        """Change nothing."""


@mutant("use-after-close", "INDEX-10")
class UseAfterClose(ReferenceBackend):
    """A closed index goes on answering, from a connection without an owner."""

    index_type = _Undying


@mutant("own-columns-named", "REC-9")
class OwnColumnsNamed(ReferenceBackend):
    """At open, a column that the backend keeps for itself is taken for one of the caller's."""

    def open_index(self, name: str) -> ReferenceIndex:
        info = super().open_index(name).info
        return self.opened(replace(info, unsupported={"norm": "float"}))


@mutant("indexes-share-records", "INDEX-8")
class IndexesShareRecords(ReferenceIndex):
    """Keeps the records of all indexes of one dimension in one place."""

    def change(self, change: RowChange) -> None:
        def apply(tables: Tables) -> None:
            rows = change(list(self._stored(tables).rows))
            for name, table in tables.items():
                if table.info.dimension == self.info.dimension:
                    tables[name] = replace(table, rows=rows)

        self._shelf.change(apply)


@mutant("raw-driver-errors", "ERR-4")
class RawDriverErrors(ReferenceIndex):
    """What the driver raises reaches the caller as it is."""

    def rows(self, consistency: Consistency | None) -> list[Row]:
        if self._closed:
            raise RuntimeError("_InactiveRpcError: channel closed")
        return super().rows(consistency)


class LenientSettings(MutantSettings):
    """Settings that take whatever they are given."""

    model_config = ConfigDict(extra="ignore")


class QuotingSettings(MutantSettings):
    """Settings with an address, which they quote where they cannot use it."""

    model_config = ConfigDict(hide_input_in_errors=False)

    uri: str | None = None

    def __repr_args__(self) -> Iterator[tuple[str | None, object]]:
        yield from vars(self).items()


@mutant("address-shown", "ERR-7")
class AddressShown(ReferenceBackend):
    """Shows the address that it was given, user and password included."""

    settings_type = QuotingSettings

    def __init__(self, settings: QuotingSettings) -> None:
        super().__init__(settings)
        self._settings = settings


@mutant("unknown-settings-ignored", "CAP-4", "rocketride-org/rocketride-server/issues/1837")
class UnknownSettingsIgnored(ReferenceBackend):
    """Takes a misspelled setting without a word, and works as if it had not been given."""

    settings_type = LenientSettings
