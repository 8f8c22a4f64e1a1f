"""Mutants whose store is of the wrong kind: its metric, its tables, its moments, its errors."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict

from vecbridge import (
    Candidates,
    Capabilities,
    Consistency,
    Fields,
    IndexInfo,
    Metric,
    Records,
    Scope,
)
from vecbridge.ranking import distances
from vecbridge_conformance.mutants._backend import ReferenceBackend
from vecbridge_conformance.mutants._reference import ReferenceIndex, RowChange
from vecbridge_conformance.mutants._registry import MutantSettings, mutant
from vecbridge_conformance.mutants._shelf import Row, Shelf, Table, Tables

Vectors = NDArray[np.float32]


@mutant(
    "always-euclidean",
    link="https://github.com/voxel51/fiftyone-brain/blob/v0.25.0/fiftyone/brain/internal/core/pgvector.py",
    clause="DIST-6",
)
class AlwaysEuclidean(ReferenceIndex):
    """Orders by the euclidean distance, whatever metric the index was made with."""

    def measure(self, metric: Metric, query: Vectors, vectors: Vectors) -> NDArray[np.float64]:
        return distances("euclidean", query, vectors)


@mutant("candidates-from-codes", clause="CAND-2")
class CandidatesFromCodes(ReferenceIndex):
    """Gives the vectors that its compressed index can rebuild, not those that were stored."""

    def candidates(self, queries: Vectors, k: int, scope: Scope) -> list[Candidates]:
        return [
            replace(found, vectors=found.vectors.astype(np.float16).astype(np.float32))
            for found in super().candidates(queries, k, scope)
        ]


@mutant("indexes-share-records", clause="INDEX-8")
class IndexesShareRecords(ReferenceIndex):
    """Keeps the records of all indexes of one dimension in one place."""

    def _change(self, change: RowChange) -> None:
        def apply(tables: Tables) -> None:
            rows = change(list(self._stored(tables).rows))
            for name, table in tables.items():
                if table.info.dimension == self.info.dimension:
                    tables[name] = Table(table.info, rows)

        self._shelf.change(apply)


@mutant("raw-driver-errors", clause="ERR-4")
class RawDriverErrors(ReferenceIndex):
    """What the driver raises reaches the caller as it is."""

    def rows(self, consistency: Consistency | None) -> list[Row]:
        if self._closed:
            raise RuntimeError("_InactiveRpcError: channel closed")
        return super().rows(consistency)


@mutant("scan-holds-everything", clause="READ-7")
class ScanHoldsEverything(ReferenceIndex):
    """A scan fetches all vectors before it gives the first page."""

    def scan(self, batch_size: int, *, consistency: Consistency | None = None) -> Iterator[Records]:
        return iter(list(super().scan(batch_size, consistency=consistency)))


class LenientSettings(MutantSettings):
    """Settings that take whatever they are given."""

    model_config = ConfigDict(extra="ignore")


class QuotingSettings(MutantSettings):
    """Settings with an address, which they quote where they cannot use it."""

    model_config = ConfigDict(hide_input_in_errors=False)

    uri: str | None = None

    def __repr_args__(self) -> Iterator[tuple[str | None, object]]:
        yield from vars(self).items()


@mutant("address-shown", clause="ERR-7")
class AddressShown(ReferenceBackend):
    """Shows the address that it was given, user and password included."""

    settings_type = QuotingSettings

    def __init__(self, settings: QuotingSettings) -> None:
        super().__init__(settings)
        self._settings = settings


@mutant(
    "unknown-settings-ignored",
    link="https://github.com/rocketride-org/rocketride-server/issues/1837",
    clause="CAP-4",
)
class UnknownSettingsIgnored(ReferenceBackend):
    """Takes a misspelled setting without a word, and works as if it had not been given."""

    settings_type = LenientSettings


@mutant("upsert-is-delete-and-insert", clause="WRITE-9")
class UpsertIsDeleteAndInsert(ReferenceIndex):
    """Replaces a record in two steps, between which others find it gone."""

    def merged(self, rows: list[Row], new: list[Row]) -> list[Row]:
        return rows + new

    def upsert(self, ids: Sequence[str], vectors: Vectors, fields: Fields | None = None) -> None:
        self.delete(ids)
        time.sleep(0.002)
        super().upsert(ids, vectors, fields)


@mutant(
    "weak-reads-never-converge",
    link="https://github.com/milvus-io/milvus/issues/47913",
    clause="CONS-4",
)
class WeakReadsNeverConverge(ReferenceIndex):
    """An acknowledged write stays invisible to eventual reads, however long they wait."""

    def __init__(self, info: IndexInfo, shelf: Shelf) -> None:
        super().__init__(info, shelf)
        self._first: list[Row] | None = None

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, consistency=frozenset({"strong", "eventual"}))

    def _change(self, change: RowChange) -> None:
        super()._change(change)
        if self._first is None:
            self._first = super().rows(None)

    def rows(self, consistency: Consistency | None) -> list[Row]:
        if consistency == "eventual" and self._first is not None:
            return self._first
        return super().rows(consistency)
