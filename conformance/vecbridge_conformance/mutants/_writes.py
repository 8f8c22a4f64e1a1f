"""Mutants that write something else than they were given, or under another id."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Sequence

import numpy as np

from vecbridge import BackendError, Fields
from vecbridge_conformance.mutants._backend import mutant
from vecbridge_conformance.mutants._reference import ReferenceIndex, RowChange, Vectors
from vecbridge_conformance.mutants._shelf import Row

_PAGE = 4
_MANY = 64


@mutant("insert-for-upsert", "WRITE-2", "milvus-io/milvus/issues/36199")
class InsertForUpsert(ReferenceIndex):
    """A record that is written again is there twice."""

    def merged(self, rows: list[Row], new: list[Row]) -> list[Row]:
        return rows + new


@mutant("first-write-wins", "WRITE-2", "milvus-io/milvus/issues/37389")
class FirstWriteWins(ReferenceIndex):
    """An id that is there already keeps its old vector, without an error."""

    def merged(self, rows: list[Row], new: list[Row]) -> list[Row]:
        names = {row.id for row in rows}
        return rows + [row for row in new if row.id not in names]


@mutant("upsert-merges-fields", "WRITE-2")
class UpsertMergesFields(ReferenceIndex):
    """A replacement brings the new vector and keeps the old fields."""

    def merged(self, rows: list[Row], new: list[Row]) -> list[Row]:
        known = {row.id: row for row in rows}
        kept = [row._replace(fields=known.get(row.id, row).fields) for row in new]
        return super().merged(rows, kept)


@mutant("lost-last-record", "WRITE-4", "chroma-core/chroma/issues/1049")
class LostLastRecord(ReferenceIndex):
    """The last, incomplete page of a large write is never sent."""

    def merged(self, rows: list[Row], new: list[Row]) -> list[Row]:
        whole = len(new) - len(new) % _PAGE
        return super().merged(rows, new[:whole] if whole else new)


@mutant("first-batch-only", "WRITE-4", "chroma-core/chroma/issues/1079")
class FirstBatchOnly(ReferenceIndex):
    """Takes a hundred records of a call, and drops the rest without a word."""

    def merged(self, rows: list[Row], new: list[Row]) -> list[Row]:
        return super().merged(rows, new[:100])


@mutant("zero-vectors-dropped", "WRITE-1", "mem0ai/mem0/issues/4985")
class ZeroVectorsDropped(ReferenceIndex):
    """What the store will not index is dropped, and the write reports success."""

    def merged(self, rows: list[Row], new: list[Row]) -> list[Row]:
        return super().merged(rows, [row for row in new if row.vector.any()])


@mutant("duplicate-vectors-merged", "WRITE-1", "langchain-ai/langchain/issues/28418")
class DuplicateVectorsMerged(ReferenceIndex):
    """Ids are derived from content: a second record with the same vector replaces the first."""

    def merged(self, rows: list[Row], new: list[Row]) -> list[Row]:
        content = {row.vector.tobytes() for row in new}
        return super().merged([row for row in rows if row.vector.tobytes() not in content], new)


@mutant("stored-normalised", "READ-3", "qdrant/qdrant-client/issues/298")
class StoredNormalised(ReferenceIndex):
    """A cosine index stores vectors of length one, and gives those back."""

    def keep(self, vector: Vectors) -> Vectors:
        norm = np.linalg.norm(vector) if self.info.metric == "cosine" else 0.0
        return np.asarray(vector / np.float32(norm or 1.0), dtype=np.float32)


@mutant("stored-as-float16", "READ-3", "qdrant/qdrant-client/issues/822")
class StoredAsFloat16(ReferenceIndex):
    """Keeps half of the precision."""

    def keep(self, vector: Vectors) -> Vectors:
        with np.errstate(over="ignore"):
            return np.asarray(vector.astype(np.float16), dtype=np.float32)


@mutant("negative-zero-lost", "READ-3", "qdrant/qdrant/issues/10552")
class NegativeZeroLost(ReferenceIndex):
    """What is read is not, bit for bit, what was written."""

    def keep(self, vector: Vectors) -> Vectors:
        return np.asarray(vector + np.float32(0.0), dtype=np.float32)


@mutant("input-kept-by-reference", "REC-7", "qdrant/qdrant-client/issues/624")
class InputKeptByReference(ReferenceIndex):
    """Keeps the caller's array, and changes with it."""

    def keep(self, vector: Vectors) -> Vectors:
        return vector


@mutant("delete-is-a-no-op", "WRITE-5", "run-llama/llama_index/issues/19277")
class DeleteIsANoOp(ReferenceIndex):
    """Acknowledges deletes, and keeps the records."""

    def remaining(self, rows: list[Row], names: frozenset[str]) -> list[Row]:
        return rows


@mutant("delete-of-one-only", "WRITE-5", "milvus-io/milvus/issues/15101")
class DeleteOfOneOnly(ReferenceIndex):
    """Of several ids it deletes one."""

    def remaining(self, rows: list[Row], names: frozenset[str]) -> list[Row]:
        return super().remaining(rows, frozenset(sorted(names)[:1]))


@mutant("delete-of-missing-raises", "WRITE-5", "run-llama/llama_index/issues/15818")
class DeleteOfMissingRaises(ReferenceIndex):
    """An id that is not there is an error, and the others of the call stay."""

    def remaining(self, rows: list[Row], names: frozenset[str]) -> list[Row]:
        if names - {row.id for row in rows}:
            raise BackendError("no such id", backend="reference", operation="delete")
        return super().remaining(rows, names)


@mutant("delete-of-missing-deletes-all", "WRITE-5")
class DeleteOfMissingDeletesAll(ReferenceIndex):
    """Where none of the ids is there, the condition comes out empty and matches every record."""

    def remaining(self, rows: list[Row], names: frozenset[str]) -> list[Row]:
        return super().remaining(rows, names) if names & {row.id for row in rows} else []


@mutant("write-on-next-write", "CONS-1", "milvus-io/milvus/issues/35090")
class WriteOnNextWrite(ReferenceIndex):
    """An acknowledged upsert waits in a buffer that only the next write flushes."""

    _waiting: RowChange | None = None

    def change(self, change: RowChange) -> None:
        before, self._waiting = self._waiting, change
        if before is not None:
            super().change(before)


@mutant("lost-update", "WRITE-7", "milvus-io/milvus/issues/42147")
class LostUpdate(ReferenceIndex):
    """Two writers at a time read the same rows, and the later one writes over the earlier."""

    def change(self, change: RowChange) -> None:
        seen = self.rows(None)
        time.sleep(0.002)
        changed = change(seen)
        super().change(lambda _: changed)


@mutant("new-id-inserted-twice", "WRITE-2")
class NewIdInsertedTwice(ReferenceIndex):
    """Once there are many records, writers that insert the same new id at once all insert it."""

    def change(self, change: RowChange) -> None:
        seen = {row.id for row in self.rows(None)}
        if len(seen) <= _MANY:
            super().change(change)
            return
        time.sleep(0.002)

        def apart(rows: list[Row]) -> list[Row]:
            unseen = [row for row in rows if row.id not in seen]
            return change([row for row in rows if row.id in seen]) + unseen

        super().change(apart)


@mutant("upsert-is-delete-and-insert", "WRITE-9")
class UpsertIsDeleteAndInsert(ReferenceIndex):
    """Replaces a record in two steps, between which others find it gone."""

    def merged(self, rows: list[Row], new: list[Row]) -> list[Row]:
        return rows + new

    def upsert(self, ids: Sequence[str], vectors: Vectors, fields: Fields | None = None) -> None:
        self.delete(ids)
        time.sleep(0.002)
        super().upsert(ids, vectors, fields)


class _Renaming(ReferenceIndex):
    """Stores another id than it was given."""

    def renamed(self, name: str) -> str:
        return name

    def upsert(self, ids: Sequence[str], vectors: Vectors, fields: Fields | None = None) -> None:
        super().upsert([self.renamed(name) for name in ids], vectors, fields)

    def merged(self, rows: list[Row], new: list[Row]) -> list[Row]:
        return super().merged(rows, list({row.id: row for row in new}.values()))


@mutant("ids-case-folded", "REC-2", "ravendb/ravendb/issues/17645")
class IdsCaseFolded(_Renaming):
    """Ids that differ in case are one id."""

    def renamed(self, name: str) -> str:
        return name.casefold()


@mutant("ids-stripped", "REC-2", "matrixorigin/matrixone/issues/28164")
class IdsStripped(_Renaming):
    """Blanks at the end of an id do not count."""

    def renamed(self, name: str) -> str:
        return name.strip() or name


@mutant("ids-normalised", "REC-2", "macos-fuse-t/fuse-t/issues/16")
class IdsNormalised(_Renaming):
    """Ids are brought into Unicode's composed form, so two different ones become one."""

    def renamed(self, name: str) -> str:
        return unicodedata.normalize("NFC", name)


@mutant("ids-truncated", "REC-1", "langchain-ai/langchain-azure/issues/12")
class IdsTruncated(_Renaming):
    """Of a long id the first 255 characters are kept."""

    def renamed(self, name: str) -> str:
        return name[:255]


@mutant("ids-of-its-own", "WRITE-1", "langchain-ai/langchain-milvus/issues/74")
class IdsOfItsOwn(_Renaming):
    """The store gives every record an id of its own."""

    def renamed(self, name: str) -> str:
        return f"auto-{sum(name.encode())}"


@mutant("ids-injected", "REC-2", "langchain4j/langchain4j/issues/6087")
class IdsInjected(ReferenceIndex):
    """Deletes by a condition put together from raw ids, so that an id can widen it."""

    def remaining(self, rows: list[Row], names: frozenset[str]) -> list[Row]:
        if any("'" in name and " or " in name.lower() for name in names):
            return []
        return super().remaining(rows, names)


@mutant("ids-with-backslash-refused", "REC-2", "doobidoo/mcp-memory-service/issues/1107")
class IdsWithBackslashRefused(ReferenceIndex):
    """A backslash at the end of an id escapes the closing quote, and the statement is torn."""

    def upsert(self, ids: Sequence[str], vectors: Vectors, fields: Fields | None = None) -> None:
        if any(name.endswith("\\") for name in ids):
            raise BackendError("unterminated string", backend="reference", operation="upsert")
        super().upsert(ids, vectors, fields)


@mutant("ids-as-patterns", "REC-2", "mem0ai/mem0/pull/5746")
class IdsAsPatterns(ReferenceIndex):
    """A percent sign in an id that is deleted matches anything."""

    def remaining(self, rows: list[Row], names: frozenset[str]) -> list[Row]:
        starts = tuple(name.partition("%")[0] for name in names if "%" in name)
        kept = super().remaining(rows, names)
        return [row for row in kept if not (starts and row.id.startswith(starts))]
