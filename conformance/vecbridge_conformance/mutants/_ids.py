"""Mutants that take an id for another."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vecbridge import BackendError, Fields
from vecbridge_conformance.mutants._reference import ReferenceIndex
from vecbridge_conformance.mutants._registry import mutant
from vecbridge_conformance.mutants._shelf import Row


class _Renaming(ReferenceIndex):
    """Stores another id than it was given."""

    def renamed(self, name: str) -> str:
        return name

    def upsert(
        self, ids: Sequence[str], vectors: NDArray[np.float32], fields: Fields | None = None
    ) -> None:
        super().upsert([self.renamed(name) for name in ids], vectors, fields)

    def merged(self, rows: list[Row], new: list[Row]) -> list[Row]:
        return super().merged(rows, list({row.id: row for row in new}.values()))


@mutant(
    "ids-case-folded",
    link="https://github.com/ravendb/ravendb/issues/17645",
    clause="REC-2",
)
class IdsCaseFolded(_Renaming):
    """Ids that differ in case are one id."""

    def renamed(self, name: str) -> str:
        return name.casefold()


@mutant(
    "ids-stripped",
    link="https://github.com/matrixorigin/matrixone/issues/28164",
    clause="REC-2",
)
class IdsStripped(_Renaming):
    """Blanks at the end of an id do not count."""

    def renamed(self, name: str) -> str:
        return name.strip() or name


@mutant(
    "ids-normalised",
    link="https://github.com/macos-fuse-t/fuse-t/issues/16",
    clause="REC-2",
)
class IdsNormalised(_Renaming):
    """Ids are brought into Unicode's composed form, so two different ones become one."""

    def renamed(self, name: str) -> str:
        return unicodedata.normalize("NFC", name)


@mutant(
    "ids-truncated",
    link="https://github.com/langchain-ai/langchain-azure/issues/12",
    clause="REC-1",
)
class IdsTruncated(_Renaming):
    """Of a long id the first 255 characters are kept."""

    def renamed(self, name: str) -> str:
        return name[:255]


@mutant(
    "ids-of-its-own",
    link="https://github.com/langchain-ai/langchain-milvus/issues/74",
    clause="WRITE-1",
)
class IdsOfItsOwn(_Renaming):
    """The store gives every record an id of its own."""

    def renamed(self, name: str) -> str:
        return f"auto-{sum(name.encode())}"


@mutant(
    "ids-injected",
    link="https://github.com/langchain4j/langchain4j/issues/6087",
    clause="REC-2",
)
class IdsInjected(ReferenceIndex):
    """Deletes by a condition put together from raw ids, so that an id can widen it."""

    def remaining(self, rows: list[Row], names: frozenset[str]) -> list[Row]:
        if any("'" in name and " or " in name.lower() for name in names):
            return []
        return super().remaining(rows, names)


@mutant(
    "ids-with-backslash-refused",
    link="https://github.com/doobidoo/mcp-memory-service/issues/1107",
    clause="REC-2",
)
class IdsWithBackslashRefused(ReferenceIndex):
    """A backslash at the end of an id escapes the closing quote, and the statement is torn."""

    def upsert(
        self, ids: Sequence[str], vectors: NDArray[np.float32], fields: Fields | None = None
    ) -> None:
        if any(name.endswith("\\") for name in ids):
            raise BackendError("unterminated string", backend="reference", operation="upsert")
        super().upsert(ids, vectors, fields)


@mutant(
    "ids-as-patterns",
    link="https://github.com/mem0ai/mem0/pull/5746",
    clause="REC-2",
)
class IdsAsPatterns(ReferenceIndex):
    """A percent sign in an id that is deleted matches anything."""

    def remaining(self, rows: list[Row], names: frozenset[str]) -> list[Row]:
        starts = tuple(name.partition("%")[0] for name in names if "%" in name)
        kept = super().remaining(rows, names)
        return [row for row in kept if not (starts and row.id.startswith(starts))]
