"""One collection of Qdrant's: the records of an index as points."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from qdrant_client import models

from vecbridge import (
    Capabilities,
    CorruptStoreError,
    Fields,
    IdRange,
    InvalidIdError,
    Records,
    Scope,
)
from vecbridge.fields import FIELD_TYPES, base_of, is_optional
from vecbridge.filters import FILTER_OPERATORS
from vecbridge.ranking import ScoreForm, ids_at
from vecbridge.ranking import norms as norms_of
from vecbridge.remote import Columns, Nearest, Page, RemoteBackend
from vecbridge_qdrant._client import Session
from vecbridge_qdrant._filters import (
    EVERYTHING,
    FILTERS_EXCEPT,
    NORM_KEY,
    NOTHING,
    condition,
    read,
    stored,
)
from vecbridge_qdrant._layout import Layout, checked
from vecbridge_qdrant._settings import QdrantSettings

VECTOR, DIRECTION = "vector", "direction"
ID_KEY = "vecbridge-id"
_BATCH_BYTES = 1 << 20
_WITHIN, _WITHIN_EMBEDDED = 10_000, 100
_DEEPEST = 10_000
_ANSWER_BYTES = 8 << 20
_PART_BYTES = 1 << 14
_IGNORING = models.QuantizationSearchParams(ignore=True)
_EXACTLY = models.SearchParams(exact=True, quantization=_IGNORING)
_EFFORTS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
_POLL_S = 0.2
_VECTORS = Columns(vectors=True)


class Points:
    """Implements :class:`vecbridge.remote.Collection` on a collection.

    Args:
        layout: of the collection.
        settings: of the store.
        embedded: it is the embedded engine's.
    """

    form: ScoreForm
    efforts: ClassVar[Sequence[int]] = _EFFORTS

    def __init__(self, layout: Layout, settings: QdrantSettings, *, embedded: bool) -> None:
        self._layout = layout
        self._settings = settings
        self.info = layout.info
        self.exhaustive = layout.ours
        self.form = "distance" if layout.info.metric == "euclidean" else "similarity"
        self.capabilities = Capabilities(
            exact=not layout.approximate,
            recall=settings.recall if layout.approximate else None,
            range_search=False,
            farthest=False,
            partitions=False,
            max_dimension=RemoteBackend.max_dimension,
            max_k=_DEEPEST,
            max_within=_WITHIN_EMBEDDED if embedded else _WITHIN,
            max_batch_bytes=_BATCH_BYTES,
            field_types=frozenset(FIELD_TYPES),
            filters=FILTER_OPERATORS,
            filters_except=FILTERS_EXCEPT,
            consistency=frozenset({"strong"} if layout.strong else {"eventual"}),
            durable=True,
            shared=not embedded,
        )

    def put(
        self,
        client: Session,
        ids: Sequence[str],
        vectors: NDArray[np.float32],
        norms: NDArray[np.float64],
        fields: Fields,
    ) -> None:
        """Write points whole; over a server, one that acknowledges after they are searchable."""
        layout = self._layout
        named: dict[str, list[list[float]]] = {layout.kept: vectors.tolist()}
        if layout.searched != layout.kept:
            named[layout.searched] = _directions(vectors, norms).tolist()
        columns: dict[str, Iterator[Any]] = {
            name: map(stored(base_of(self.info.fields[name])), column)
            for name, column in fields.items()
        }
        if layout.ours:
            columns[ID_KEY] = iter(ids)
            columns[NORM_KEY] = map(stored("float"), norms.tolist())
        rows = zip(*columns.values(), strict=True) if columns else [()] * len(ids)
        points = [
            # Not validated: it is made here, number by number.
            models.PointStruct.model_construct(
                id=point,
                vector=dict(zip(named, row, strict=True)) if layout.kept else row[0],
                payload=dict(zip(columns, values, strict=True)),
            )
            for point, row, values in zip(
                self._points_of(ids), zip(*named.values(), strict=True), rows, strict=True
            )
        ]
        if not layout.ours:
            self._keep_payloads(client, points)
        with client.lock if client.embedded else nullcontext():
            known = client.norms.get(layout.collection)
            if known:
                span = (*known, float(norms.min()), float(norms.max()))
                client.norms[layout.collection] = min(span), max(span)
            checked(client, layout).upsert(layout.collection, points, wait=True)

    def _keep_payloads(self, client: Session, points: Sequence[models.PointStruct]) -> None:
        """Give points what else other programs keep with them, which a write would erase."""
        names = [point.id for point in points]
        there = client.client.retrieve(self._layout.collection, names, with_payload=True)
        kept = {point.id: point.payload or {} for point in there}
        for point in points:
            point.payload = {**kept.get(point.id, {}), **(point.payload or {})}

    def remove(self, client: Session, ids: Sequence[str]) -> None:
        """Remove points."""
        points = self._known(ids)
        if points:
            selected = models.PointIdsList(points=points)
            checked(client, self._layout).delete(self._layout.collection, selected, wait=True)

    def get(self, client: Session, ids: Sequence[str], columns: Columns) -> Records:
        """Return the records of ids."""
        found = checked(client, self._layout).retrieve(
            self._layout.collection,
            self._known(ids),
            with_payload=self._payload(columns.fields),
            with_vectors=self._vectors(wanted=columns.vectors),
        )
        return self._records(found, columns)

    def count(self, client: Session, scope: Scope) -> int:
        """Return the number of records in scope."""
        qdrant = checked(client, self._layout)
        where = self._where(client, scope)
        return qdrant.count(self._layout.collection, where, exact=True).count

    def page(
        self,
        client: Session,
        scope: Scope,
        ids: IdRange | None,
        limit: int,
        after: Any,
        columns: Columns,
    ) -> Page:
        """Return records in the order of their points."""
        qdrant = checked(client, self._layout)
        where = self._where(client, scope)
        if where is NOTHING:
            return Page(self._records([], columns), None)
        # A server's answer is text, many times as large in Python as the vectors in it, and httpx
        # keeps it until the next collection of garbage.
        rows = max(1, _PART_BYTES // (4 * self.info.dimension))
        step = limit if client.embedded or not columns.vectors else rows
        parts: list[Records] = []
        left = limit
        while True:
            found, after = qdrant.scroll(
                self._layout.collection,
                scroll_filter=where,
                limit=min(step, left),
                offset=after,
                with_payload=self._payload(columns.fields),
                with_vectors=self._vectors(wanted=columns.vectors),
            )
            parts.append(self._records(found, columns))
            left -= len(found)
            if after is None or not left:
                return Page(_together(parts, columns), after)

    def nearest(
        self,
        client: Session,
        queries: NDArray[np.float32],
        limit: int,
        scope: Scope,
        effort: int | None,
    ) -> list[Nearest]:
        """Return the nearest records of each query, past every graph where no effort is named."""
        layout = self._layout
        qdrant = checked(client, layout)
        where = self._where(client, scope)
        if layout.searched != layout.kept:
            queries = _directions(queries, norms_of(queries))
        if client.embedded and not layout.ours and self.info.metric == "cosine":
            return self._looked_at(client, queries, limit, where)
        searched = models.SearchParams(hnsw_ef=effort) if effort else _EXACTLY
        request: dict[str, Any] = {
            "using": layout.searched or None,
            "filter": where,
            "limit": limit,
            "params": None if client.embedded else searched,
            "with_payload": self._payload(()),
            "with_vector": self._vectors(wanted=True),
        }
        nearest = []
        step = max(1, _ANSWER_BYTES // (queries.itemsize * queries.shape[1] * (limit + 1)))
        for start in range(0, len(queries), step):
            asked = queries[start : start + step].tolist()
            requests = [models.QueryRequest(query=query, **request) for query in asked]
            for answer in qdrant.query_batch_points(layout.collection, requests):
                records = self._records(answer.points, _VECTORS)
                scores = np.array([point.score for point in answer.points], np.float64)
                nearest.append(Nearest(records.ids, scores, records.vectors))
        return nearest

    def _looked_at(
        self,
        client: Session,
        queries: NDArray[np.float32],
        limit: int,
        where: models.Filter | None,
    ) -> list[Nearest]:
        """Return the same by hand: the embedded engine changes what it searches under Cosine."""
        count = client.client.count(self._layout.collection).count
        found, _ = client.client.scroll(
            self._layout.collection, where, limit=count + 1, with_payload=False, with_vectors=True
        )
        records = self._records(found, _VECTORS)
        units = _directions(records.vectors, norms_of(records.vectors)).astype(np.float64)
        nearest = []
        for scores in _directions(queries, norms_of(queries)) @ units.T:
            best = np.argsort(-scores, kind="stable")[:limit]
            ids = ids_at(records.ids, best)
            nearest.append(Nearest(ids, scores[best], records.vectors[best]))
        return nearest

    def sample(self, client: Session, count: int) -> NDArray[np.float32]:
        """Return the vectors of some records."""
        answer = checked(client, self._layout).query_points(
            self._layout.collection,
            query=models.SampleQuery(sample=models.Sample.RANDOM),
            limit=count,
            with_payload=self._payload(()),
            with_vectors=self._vectors(wanted=True),
        )
        return self._records(answer.points, _VECTORS).vectors

    def prepare(self, client: Session, records: int) -> None:
        """Wait until the server has built what it lacks; as long as a call may take."""
        deadline = time.monotonic() + self._settings.timeout
        green = models.CollectionStatus.GREEN
        while client.client.get_collection(self._layout.collection).status != green:
            if time.monotonic() > deadline:
                return
            time.sleep(_POLL_S)

    def _where(self, client: Session, scope: Scope) -> models.Filter | None:
        """Return the condition of the records in scope; ``None`` where it is that of all."""
        conditions: list[Any] = []
        if scope.within is not None:
            conditions.append(models.HasIdCondition(has_id=self._known(scope.within)))
        if scope.where is not None:
            norms = self._norms(client)
            found = condition(scope.where, self.info.fields, norms)
            conditions += [] if found is EVERYTHING else [found]
        if len(conditions) == 1 and isinstance(conditions[0], models.Filter):
            return conditions[0]
        return models.Filter(must=conditions) if conditions else None

    def _norms(self, client: Session) -> tuple[float, float] | None:
        """Return what the norms of all records lie between, where this process can know."""
        name = self._layout.collection
        if not self._layout.ours:
            # Nothing is promised of such an index, so all are taken for what float32 is safe with.
            return 1.0, 1.0
        if not client.embedded:
            return None
        with client.lock:
            if name not in client.norms:
                total = client.client.count(name).count
                found, _ = client.client.scroll(name, limit=total + 1, with_payload=[NORM_KEY])
                norms = [self._norm(point) for point in found]
                client.norms[name] = min(norms, default=math.inf), max(norms, default=-math.inf)
            return client.norms[name]

    def _norm(self, point: Any) -> float:
        try:
            norm: float = read("float")((point.payload or {})[NORM_KEY])
        except (KeyError, TypeError, ValueError) as error:
            raise self._no_record(point, error) from None
        return norm

    def _known(self, ids: Sequence[str]) -> list[Any]:
        """Return the points of ids, without those that no point can stand for."""
        return [point for point in map(self._layout.point_of, ids) if point is not None]

    def _points_of(self, ids: Sequence[str]) -> Iterator[Any]:
        for name in ids:
            point = self._layout.point_of(name)
            if point is None:
                raise InvalidIdError(
                    f"no point of collection {self._layout.collection!r}, which another program "
                    f"made, can stand for the id {name!r}; there, ids are unsigned integers of 64 "
                    f"bits, UUIDs, or ids of FiftyOne's"
                )
            yield point

    def _payload(self, names: Sequence[str]) -> list[str] | bool:
        wanted = [ID_KEY, *names] if self._layout.ours else [*names]
        return wanted or False

    def _vectors(self, *, wanted: bool) -> list[str] | bool:
        return [self._layout.kept] if wanted and self._layout.kept else wanted

    def _records(self, points: Sequence[Any], columns: Columns) -> Records:
        """Return what was read of points.

        Raises:
            CorruptStoreError: a point is none of a record.
        """
        ids: list[str] = []
        rows: list[Any] = []
        fields: dict[str, list[Any]] = {name: [] for name in columns.fields}
        known, length = self._layout.id_of, self.info.dimension
        kinds = self.info.fields
        columns_read = [
            (name, column, read(base_of(kinds[name])), is_optional(kinds[name]))
            for name, column in fields.items()
        ]
        for point in points:
            payload = point.payload or {}
            try:
                ids.append(known(point.id) if known else payload[ID_KEY])
                for name, column, convert, optional in columns_read:
                    value = convert(payload.get(name))
                    if value is None and not optional:
                        raise KeyError(name)
                    column.append(value)
                if columns.vectors:
                    rows.append(_vector(point.vector, self._layout.kept))
                    if len(rows[-1]) != length:
                        raise ValueError("it has another vector")
            except (KeyError, TypeError, ValueError) as error:
                raise self._no_record(point, error) from None
        shape = (len(ids), length if columns.vectors else 0)
        return Records(tuple(ids), np.array(rows, np.float32).reshape(shape), fields)

    def _no_record(self, point: Any, error: Exception) -> CorruptStoreError:
        return CorruptStoreError(
            f"point {point.id} of collection {self._layout.collection!r} is no record: "
            f"{type(error).__name__}: {error}; another program wrote or changed it",
            backend="qdrant",
            operation="read",
        )


def _together(parts: Sequence[Records], columns: Columns) -> Records:
    if len(parts) == 1:
        return parts[0]
    return Records(
        tuple(name for part in parts for name in part.ids),
        np.concatenate([part.vectors for part in parts]),
        {name: [each for part in parts for each in part.fields[name]] for name in columns.fields},
    )


def _vector(found: Any, name: str) -> Any:
    return found[name] if isinstance(found, dict) else found


def _directions(vectors: NDArray[np.float32], norms: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return vectors over their norms; a zero vector stays what it is."""
    wide = vectors.astype(np.float64)
    lengths = np.where(norms > 0.0, norms, 1.0)[:, np.newaxis]
    return np.divide(wide, lengths, out=wide).astype(np.float32)
