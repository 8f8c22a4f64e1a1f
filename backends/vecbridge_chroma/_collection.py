"""One index in one collection of Chroma."""

from __future__ import annotations

import base64
import gc
import math
import random
import struct
import time
import zlib
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from chromadb.api.models.Collection import Collection as Chroma
from chromadb.types import Collection as Model
from numpy.typing import NDArray

from vecbridge import (
    Capabilities,
    CorruptStoreError,
    Fields,
    FieldValue,
    IdRange,
    IndexInfo,
    Records,
    Scope,
)
from vecbridge.fields import FIELD_TYPES, FieldType
from vecbridge.filters import FILTER_OPERATORS, Filter, FilterOperator, matches
from vecbridge.ranking import EngineGeometry, ScoreForm, norms
from vecbridge.remote import NORM, Columns, Nearest, Page, float_of
from vecbridge_chroma._filters import condition, field_of, metadata, weight
from vecbridge_chroma._session import Session
from vecbridge_chroma._settings import ChromaSettings

DIGEST = "|crc|"
"""Key of what tells whether a vector and its metadata belong together."""

REST = "|rest|"
"""Key of what a vector differs from the one that is searched."""

_FORMS: dict[str, ScoreForm] = {"dotproduct": "one-minus", "euclidean": "squared"}
# Chroma orders no strings, and looks for no parts of them.
_EXCEPT: frozenset[tuple[FieldType, FilterOperator]] = frozenset(
    product(("string", "string?"), ("<", "<=", ">", ">=", "contains"))
)
_EFFORTS = (100, 200, 400, 800, 1600, 3200, 6400)
_HEAVIEST = 10_000
_PAUSES_S = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4)
_AT_A_TIME = 5_000
_MAX_DIMENSION = 32_768
_IDS, _VECTORS = Columns(vectors=False), Columns(vectors=True)
_METADATA = Columns(vectors=False, fields=(NORM,))


def all_metadata(client: Session, model: Model) -> Iterator[Any]:
    """Yield the metadata of every record of a collection, and ``None`` where there is none."""
    chroma = Chroma(client.api, model, embedding_function=None)
    ids = chroma.get(include=[])["ids"]
    for start in range(0, len(ids), _AT_A_TIME):
        part = chroma.get(ids=ids[start : start + _AT_A_TIME], include=["metadatas", "documents"])
        yield from part["metadatas"] or []
        yield {"chroma:document": ""} if any(part["documents"] or []) else None


class ChromaCollection:
    """The records of one index.

    Args:
        model: of the collection, as Chroma describes it.
        info: schema of the index.
        settings: of the store.
    """

    def __init__(self, model: Model, info: IndexInfo, settings: ChromaSettings) -> None:
        self.info = info
        self.form: ScoreForm = _FORMS.get(info.metric, "distance")
        hnsw = (model.configuration_json or {}).get("hnsw") or {}
        # As many records as the collection names are looked at for any number of results.
        self._free = int(hnsw.get("ef_search") or 100)
        self.efforts = (self._free, *(each for each in _EFFORTS if each > self._free))
        self.exhaustive = False
        # Of directions, half the square of the distance is 1 less the cosine.
        self.scale = 0.5 if info.metric == "cosine" else 1.0
        # Parsed from JSON, a number of a server takes some 200 bytes for a moment.
        self._floats = 1 << (18 if settings.path else 13)
        self._model = model
        self._kinds: dict[str, FieldType] = {NORM: "float", **info.fields}
        self._largest = EngineGeometry(info.metric, info.dimension, self.form).band[1]
        self.capabilities = Capabilities(
            exact=False,
            recall=None if settings.hnsw_ef_search else settings.recall,
            range_search=False,
            farthest=False,
            partitions=False,
            max_dimension=_MAX_DIMENSION,
            max_k=_EFFORTS[-1],
            max_within=_AT_A_TIME,
            max_batch_bytes=8 << 20,
            field_types=frozenset(FIELD_TYPES),
            filters=frozenset(FILTER_OPERATORS),
            filters_except=_EXCEPT,
            consistency=frozenset({"strong"}),
            durable=True,
            shared=settings.path is None,
        )

    def put(
        self,
        client: Session,
        ids: Sequence[str],
        vectors: NDArray[np.float32],
        norms: NDArray[np.float64],
        fields: Fields,
    ) -> None:
        """Insert records or replace them whole, all or none."""
        kept = self.searched(vectors, norms)
        rests = vectors.view(np.uint32) - self._restored(kept, norms).view(np.uint32)
        columns = [norms.tolist(), *(fields[name] for name in self.info.fields)]
        rows: list[Any] = [metadata(self._kinds, values) for values in zip(*columns, strict=True)]
        for row, rest in zip(rows, rests, strict=True):
            text = base64.b85encode(zlib.compress(rest.tobytes())).decode() if rest.any() else None
            row[REST] = text
        for row, vector in zip(rows, vectors, strict=True):
            row[DIGEST] = zlib.crc32(vector.tobytes())
        self._chroma(client).upsert([*ids], kept, rows)

    def remove(self, client: Session, ids: Sequence[str]) -> None:
        """Remove records; ids that are not there are ignored."""
        self._chroma(client).delete([*ids])

    def get(self, client: Session, ids: Sequence[str], columns: Columns) -> Records:
        """Return the records of ids."""
        found, vectors, rows = self._read(client, ids, columns)
        values = {name: [self.value_of(name, row) for row in rows] for name in columns.fields}
        return Records(found, vectors, values)

    def count(self, client: Session, scope: Scope) -> int:
        """Return the number of records in scope."""
        if scope.where is None and scope.within is None:
            return int(self._chroma(client).count())
        return len(self._ids(client, scope))

    def page(
        self,
        client: Session,
        scope: Scope,
        ids: IdRange | None,
        limit: int,
        after: Any,
        columns: Columns,
    ) -> Page:
        """Return records by a list of their ids, which is made once: positions would move."""
        if after is None:
            pending, start = self._ids(client, scope, limit), 0
            following: Any = frozenset(pending) if len(pending) == limit else None
        else:
            pending, start = after if isinstance(after, tuple) else (None, 0)
            if pending is None:
                pending = [name for name in self._ids(client, scope) if name not in after]
            following = (pending, start + limit) if start + limit < len(pending) else None
        return Page(self.get(client, pending[start : start + limit], columns), following)

    def nearest(
        self,
        client: Session,
        queries: NDArray[np.float32],
        limit: int,
        scope: Scope,
        effort: int | None,
    ) -> list[Nearest]:
        """Return the nearest records of each query: by so many as the effort names, cut."""
        where, within = scope.where, None
        if scope.within is not None:
            # Chroma refuses a list in which an id is not there.
            within = self._ids(client, Scope(within=scope.within))
        if (where is not None and weight(where) > _HEAVIEST) or within == [] or not len(queries):
            answers: Any = {"ids": [[]] * len(queries), "distances": [[]] * len(queries)}
        else:
            answers = self._chroma(client).query(
                query_embeddings=self.searched(queries, norms(queries)),
                ids=within,
                n_results=limit if (effort or 0) <= self._free else max(limit, effort or 0),
                where=None if where is None else condition(self._kinds, where),
                include=["distances"],
            )
        wanted = dict.fromkeys(name for ids in answers["ids"] for name in ids[:limit])
        ids, vectors, _ = self._read(client, [*wanted], _VECTORS)
        rows = {name: row for row, name in enumerate(ids)}
        found = []
        for hits, scores in zip(answers["ids"], answers["distances"], strict=True):
            # What was deleted in between has no vector any more.
            pairs = [*zip(hits, scores, strict=True)][:limit]
            at = [rows[hit] for hit, _ in pairs if hit in rows]
            table = np.array([score for hit, score in pairs if hit in rows], np.float64)
            found.append(Nearest(tuple(ids[row] for row in at), table * self.scale, vectors[at]))
        return found

    def sample(self, client: Session, count: int) -> NDArray[np.float32]:
        """Return the vectors of some records."""
        ids = self._ids(client, Scope())
        chosen = random.sample(ids, min(count, len(ids)))
        return self._read(client, chosen, _VECTORS)[1]

    def prepare(self, client: Session, records: int) -> None:
        """Do nothing: Chroma links records as they arrive."""

    def searched(
        self, vectors: NDArray[np.float32], lengths: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """Return what Chroma is to search: of cosine, directions; nothing that would overflow."""
        if self.info.metric == "cosine":
            scale = np.where(lengths > 0, lengths, 1.0)
            return (vectors / scale[:, np.newaxis]).astype(np.float32)
        return np.where(lengths[:, np.newaxis] <= self._largest, vectors, np.float32(0))

    def _restored(
        self, kept: NDArray[np.float32], lengths: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """Return vectors from what is searched, before the rest is added."""
        if self.info.metric != "cosine":
            return kept
        return np.asarray(kept.astype(np.float64) * lengths[:, np.newaxis], np.float32)

    def whole(self, kept: NDArray[np.float32], rows: Sequence[Any]) -> NDArray[np.float32] | None:
        """Return vectors, bit for bit, from what is searched and from metadata.

        Chroma reads the two one after the other: ``None`` where a write came in between.
        """
        try:
            return self._joined(kept, rows)
        except (zlib.error, struct.error, ValueError, TypeError):
            # Another program wrote what is in the metadata.
            return None

    def _joined(self, kept: NDArray[np.float32], rows: Sequence[Any]) -> NDArray[np.float32] | None:
        found = [(row or {}).get(NORM) for row in rows]
        lengths = np.array([math.nan if each is None else float_of(each) for each in found])
        matrix = self._restored(kept, lengths)
        for at, row in enumerate(rows):
            if text := (row or {}).get(REST):
                rest = np.frombuffer(zlib.decompress(base64.b85decode(text)), np.uint32)
                matrix[at] = (matrix[at].view(np.uint32) + rest).view(np.float32)
            if zlib.crc32(matrix[at].tobytes()) != (row or {}).get(DIGEST):
                return None
        return matrix

    def value_of(self, name: str, row: Any) -> FieldValue:
        """Return the value of a field from metadata."""
        return field_of(name, self._kinds[name], row)

    def _read(
        self, client: Session, ids: Sequence[str], columns: Columns
    ) -> tuple[tuple[str, ...], NDArray[np.float32], list[Any]]:
        """Return ids, vectors and metadata of the records of ids."""
        vectors, include = columns.vectors, ["metadatas"] if columns != _IDS else []
        wanted: Any = [*include, "embeddings"] if vectors else include
        names: list[str] = []
        rows: list[Any] = []
        parts = [np.empty((0, self.info.dimension if vectors else 0), np.float32)]
        size = max(1, self._floats // self.info.dimension) if vectors else _AT_A_TIME
        for start in range(0, len(ids), size):
            if start:
                # The answers of a server lie in cycles, and are so few that nothing collects them.
                gc.collect(1)
            part, found = self._part(client, [*ids[start : start + size]], wanted, vectors)
            names += found["ids"]
            rows += found["metadatas"] or []
            parts.append(part)
        matrix = np.concatenate(parts) if vectors else np.empty((len(names), 0), np.float32)
        return tuple(names), matrix, rows

    def _part(
        self, client: Session, ids: list[str], wanted: Any, vectors: Any
    ) -> tuple[NDArray[np.float32], Any]:
        """Return the vectors of ids, and what else Chroma has of them, of one moment."""
        for pause in (*_PAUSES_S, None):
            found = self._chroma(client).get(ids=ids, include=wanted)
            kept = np.empty((0, self.info.dimension), np.float32)
            if not vectors or not found["ids"]:
                return kept, found
            embeddings = found["embeddings"]
            if embeddings is not None and len(embeddings) == len(found["ids"]):
                kept = np.array([*embeddings], np.float32)
                matrix = self.whole(kept, found["metadatas"] or [])
                if matrix is not None:
                    return matrix, found
            if pause is not None:
                time.sleep(pause)
        raise CorruptStoreError(
            f"the collection of index {self.info.name!r} holds records that another program "
            f"wrote, and so not what a vector differs by from the one that is searched; delete "
            f"them there, and write them with vecbridge",
            backend="chroma",
            operation="read",
        )

    def _ids(self, client: Session, scope: Scope, limit: int | None = None) -> list[str]:
        """Return the ids in scope, at most so many."""
        where, within = scope.where, scope.within
        if where is not None and weight(where) > _HEAVIEST:
            return self._matching(client, scope, where)[:limit]
        chosen = None if within is None else [*within]
        if chosen == []:
            return []
        found = self._chroma(client).get(
            ids=chosen,
            where=None if where is None else condition(self._kinds, where),
            limit=limit,
            include=[],
        )
        return list(found["ids"])

    def _matching(self, client: Session, scope: Scope, where: Filter) -> list[str]:
        """Return the ids in scope where SQLite does not take the filter."""
        found: list[str] = []
        ids = self._ids(client, Scope(within=scope.within))
        for start in range(0, len(ids), _AT_A_TIME):
            names, _, rows = self._read(client, ids[start : start + _AT_A_TIME], _METADATA)
            columns = {name: [self.value_of(name, row) for row in rows] for name in self._kinds}
            accepted = matches(where, columns, len(names))
            found += [name for name, fits in zip(names, accepted, strict=True) if fits]
        return found

    def _chroma(self, client: Session) -> Chroma:
        return Chroma(client.api, self._model, embedding_function=None)
