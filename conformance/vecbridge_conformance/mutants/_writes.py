"""Mutants that write something else than they were given."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from vecbridge import BackendError
from vecbridge_conformance.mutants._reference import ReferenceIndex, RowChange
from vecbridge_conformance.mutants._registry import mutant
from vecbridge_conformance.mutants._shelf import Row

Vectors = NDArray[np.float32]

_PAGE = 4


@mutant(
    "insert-for-upsert",
    link="https://github.com/milvus-io/milvus/issues/36199",
    clause="WRITE-2",
)
class InsertForUpsert(ReferenceIndex):
    """A record that is written again is there twice."""

    def merged(self, rows: list[Row], new: list[Row]) -> list[Row]:
        return rows + new


@mutant(
    "first-write-wins",
    link="https://github.com/milvus-io/milvus/issues/37389",
    clause="WRITE-2",
)
class FirstWriteWins(ReferenceIndex):
    """An id that is there already keeps its old vector, without an error."""

    def merged(self, rows: list[Row], new: list[Row]) -> list[Row]:
        names = {row.id for row in rows}
        return rows + [row for row in new if row.id not in names]


@mutant(
    "upsert-merges-fields",
    clause="WRITE-2",
)
class UpsertMergesFields(ReferenceIndex):
    """A replacement brings the new vector and keeps the old fields."""

    def merged(self, rows: list[Row], new: list[Row]) -> list[Row]:
        known = {row.id: row for row in rows}
        kept = [row._replace(fields=known.get(row.id, row).fields) for row in new]
        return super().merged(rows, kept)


@mutant(
    "lost-last-record",
    link="https://github.com/chroma-core/chroma/issues/1049",
    clause="WRITE-4",
)
class LostLastRecord(ReferenceIndex):
    """The last, incomplete page of a large write is never sent."""

    def merged(self, rows: list[Row], new: list[Row]) -> list[Row]:
        whole = len(new) - len(new) % _PAGE
        return super().merged(rows, new[:whole] if whole else new)


@mutant(
    "first-batch-only",
    link="https://github.com/chroma-core/chroma/issues/1079",
    clause="WRITE-4",
)
class FirstBatchOnly(ReferenceIndex):
    """Takes a hundred records of a call, and drops the rest without a word."""

    def merged(self, rows: list[Row], new: list[Row]) -> list[Row]:
        return super().merged(rows, new[:100])


@mutant(
    "zero-vectors-dropped",
    link="https://github.com/mem0ai/mem0/issues/4985",
    clause="WRITE-1",
)
class ZeroVectorsDropped(ReferenceIndex):
    """What the store will not index is dropped, and the write reports success."""

    def merged(self, rows: list[Row], new: list[Row]) -> list[Row]:
        return super().merged(rows, [row for row in new if row.vector.any()])


@mutant(
    "duplicate-vectors-merged",
    link="https://github.com/langchain-ai/langchain/issues/28418",
    clause="WRITE-1",
)
class DuplicateVectorsMerged(ReferenceIndex):
    """Ids are derived from content: a second record with the same vector replaces the first."""

    def merged(self, rows: list[Row], new: list[Row]) -> list[Row]:
        content = {row.vector.tobytes() for row in new}
        return super().merged([row for row in rows if row.vector.tobytes() not in content], new)


@mutant(
    "stored-normalised",
    link="https://github.com/qdrant/qdrant-client/issues/298",
    clause="READ-3",
)
class StoredNormalised(ReferenceIndex):
    """A cosine index stores vectors of length one, and gives those back."""

    def keep(self, vector: Vectors) -> Vectors:
        norm = np.linalg.norm(vector) if self.info.metric == "cosine" else 0.0
        return np.asarray(vector / np.float32(norm or 1.0), dtype=np.float32)


@mutant(
    "stored-as-float16",
    link="https://github.com/qdrant/qdrant-client/issues/822",
    clause="READ-3",
)
class StoredAsFloat16(ReferenceIndex):
    """Keeps half of the precision."""

    def keep(self, vector: Vectors) -> Vectors:
        with np.errstate(over="ignore"):
            return np.asarray(vector.astype(np.float16), dtype=np.float32)


@mutant(
    "negative-zero-lost",
    link="https://github.com/qdrant/qdrant/issues/10552",
    clause="READ-3",
)
class NegativeZeroLost(ReferenceIndex):
    """What is read is not, bit for bit, what was written."""

    def keep(self, vector: Vectors) -> Vectors:
        return np.asarray(vector + np.float32(0.0), dtype=np.float32)


@mutant(
    "input-kept-by-reference",
    link="https://github.com/qdrant/qdrant-client/issues/624",
    clause="REC-7",
)
class InputKeptByReference(ReferenceIndex):
    """Keeps the caller's array, and changes with it."""

    def keep(self, vector: Vectors) -> Vectors:
        return vector


@mutant(
    "delete-is-a-no-op",
    link="https://github.com/run-llama/llama_index/issues/19277",
    clause="WRITE-5",
)
class DeleteIsANoOp(ReferenceIndex):
    """Acknowledges deletes, and keeps the records."""

    def remaining(self, rows: list[Row], names: frozenset[str]) -> list[Row]:
        return rows


@mutant(
    "delete-of-one-only",
    link="https://github.com/milvus-io/milvus/issues/15101",
    clause="WRITE-5",
)
class DeleteOfOneOnly(ReferenceIndex):
    """Of several ids it deletes one."""

    def remaining(self, rows: list[Row], names: frozenset[str]) -> list[Row]:
        return super().remaining(rows, frozenset(sorted(names)[:1]))


@mutant(
    "delete-of-missing-raises",
    link="https://github.com/run-llama/llama_index/issues/15818",
    clause="WRITE-5",
)
class DeleteOfMissingRaises(ReferenceIndex):
    """An id that is not there is an error, and the others of the call stay."""

    def remaining(self, rows: list[Row], names: frozenset[str]) -> list[Row]:
        if names - {row.id for row in rows}:
            raise BackendError("no such id", backend="reference", operation="delete")
        return super().remaining(rows, names)


@mutant(
    "delete-of-missing-deletes-all",
    clause="WRITE-5",
)
class DeleteOfMissingDeletesAll(ReferenceIndex):
    """Where none of the ids is there, the condition comes out empty and matches every record."""

    def remaining(self, rows: list[Row], names: frozenset[str]) -> list[Row]:
        return super().remaining(rows, names) if names & {row.id for row in rows} else []


@mutant(
    "write-on-next-write",
    link="https://github.com/milvus-io/milvus/issues/35090",
    clause="CONS-1",
)
class WriteOnNextWrite(ReferenceIndex):
    """An acknowledged upsert waits in a buffer that only the next write flushes."""

    _waiting: RowChange | None = None

    def _change(self, change: RowChange) -> None:
        before, self._waiting = self._waiting, change
        if before is not None:
            super()._change(before)


@mutant(
    "lost-update",
    link="https://github.com/milvus-io/milvus/issues/42147",
    clause="WRITE-7",
)
class LostUpdate(ReferenceIndex):
    """Two writers at a time read the same rows, and the later one writes over the earlier."""

    def _change(self, change: RowChange) -> None:
        seen = self.rows(None)
        time.sleep(0.002)
        changed = change(seen)
        super()._change(lambda _: changed)
