"""One index: a hash per record, and an index of searches over them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vecbridge import Capabilities, Fields, IdRange, IndexNotFoundError, Metric, Records, Scope
from vecbridge.fields import FIELD_TYPES, FieldType, base_of
from vecbridge.filters import FILTER_OPERATORS, And, Comparison, Filter, FilterOperator
from vecbridge.ranking import EngineGeometry, ScoreForm
from vecbridge.remote import NORM, Columns, Nearest, Page
from vecbridge_redis._connection import Client, answered, asked, text_of, words
from vecbridge_redis._filters import Condition
from vecbridge_redis._records import hashes, value_of
from vecbridge_redis._searched import MOST_KEYS, SCANNED, Layout, Searched

Row: TypeAlias = tuple[str, list[Any]]
"""A key, and values of its hash."""

METRICS: dict[Metric, str] = {"cosine": "COSINE", "dotproduct": "IP", "euclidean": "L2"}
MAX_DIMENSION = 32_768
_FILTERED = 1_000
# Of what a search finds at most: servers that others run allow 10 000.
_MAX_K = 8_192
_BATCH_BYTES = 8 << 20
_EFFORTS = (16, 32, 64, 128, 256, 512, 1024, 2048)
_TEXTS: tuple[FieldType, ...] = ("string", "string?")
_UNORDERED: tuple[FilterOperator, ...] = ("<", "<=", ">", ">=", "contains")
# A TAG has no order and no parts.
_EXCEPT = frozenset(product(_TEXTS, _UNORDERED))


class Hashes(Searched):
    """Implements :class:`vecbridge.remote.Collection` on hashes.

    Args:
        layout: how the index is kept.
    """

    exhaustive = True
    efforts: Sequence[int] = _EFFORTS

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout)
        self.form: ScoreForm = "squared" if layout.info.metric == "euclidean" else "one-minus"
        self._band = EngineGeometry(self.info.metric, self.info.dimension, self.form).band
        self._condition = Condition(self.info.fields)
        self.capabilities = Capabilities(
            exact=layout.recall is None,
            recall=layout.recall,
            range_search=False,
            farthest=False,
            partitions=False,
            max_dimension=MAX_DIMENSION,
            max_k=_MAX_K,
            max_within=MOST_KEYS,
            max_batch_bytes=_BATCH_BYTES,
            field_types=frozenset(FIELD_TYPES),
            filters=FILTER_OPERATORS,
            filters_except=_EXCEPT,
            consistency=frozenset({"eventual"} if layout.server.replica else {"strong"}),
            durable=layout.server.fsync == "always",
            shared=True,
        )

    def put(
        self,
        client: Client,
        ids: Sequence[str],
        vectors: NDArray[np.float32],
        norms: NDArray[np.float64],
        fields: Fields,
    ) -> None:
        """Write records in one transaction."""
        keys = self._keys(ids)
        records = hashes(self.info, vectors, norms, fields, self._band)
        writes = [("HSET", key, *held) for key, held in zip(keys, records, strict=True)]
        # First, so that nothing of a record that is replaced is left.
        commands = [("DEL", *keys), *writes, ("FT.INFO", self._layout.search)]
        *answers, info = asked(client, commands, atomic=True)
        try:
            self._check(info)
        except IndexNotFoundError:
            asked(client, [("DEL", *keys)])
            raise
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer

    def remove(self, client: Client, ids: Sequence[str]) -> None:
        """Delete hashes."""
        self._ask(client, [("DEL", *self._keys(ids))])

    def get(self, client: Client, ids: Sequence[str], columns: Columns) -> Records:
        """Return the records of ids."""
        return self._records(self._rows(client, self._keys(ids), columns), columns)

    def count(self, client: Client, scope: Scope) -> int:
        """Return the number of records in scope."""
        (found,) = self._ask(client, [self._search(self._query(scope), scope, 0)], indexed=True)
        return int(words(found)["total_results"])

    def page(
        self,
        client: Client,
        scope: Scope,
        ids: IdRange | None,
        limit: int,
        after: tuple[list[str], int] | None,
        columns: Columns,
    ) -> Page:
        """Return records by the order of their keys, which are listed once."""
        if after is None and scope.where is not None:
            # Most filters find few, and then this is all.
            most = min(limit, _MAX_K)
            total, rows = self._matching(client, scope, most, columns)
            if total <= most:
                return Page(self._records(rows, columns), None)
        keys, at = after or (self._all_keys(client, scope), 0)
        found: list[Row] = []
        while at < len(keys) and len(found) < limit:
            room = limit - len(found)
            part = keys[at : at + min(room if scope.where is None else _FILTERED, SCANNED)]
            if scope.where is None:
                rows = self._rows(client, part, columns)
            else:
                among = replace(scope, within=self._ids(part))
                rows = sorted(self._matching(client, among, len(part), columns)[1])
            at = keys.index(rows[room - 1][0], at) + 1 if len(rows) > room else at + len(part)
            found += rows[:room]
        return Page(self._records(found, columns), (keys, at) if at < len(keys) else None)

    def nearest(
        self,
        client: Client,
        queries: NDArray[np.float32],
        limit: int,
        scope: Scope,
        effort: int | None,
    ) -> list[Nearest]:
        """Return the nearest records of each query, by HNSW where an effort is named."""
        how = "" if effort is None else f" EF_RUNTIME {effort}"
        if effort is None and self._layout.recall is not None:
            how = " HYBRID_POLICY ADHOC_BF"
        elif scope.where is not None:
            scope = replace(scope, where=self._beyond_band(scope.where))
        query = rf"{self._query(scope)}=>[KNN {limit} @\.vector $query{how} AS score]"
        if self.info.metric == "cosine":
            # From a zero vector, whose scores mean nothing, the server finds no record.
            queries = np.where(queries.any(axis=1, keepdims=True), queries, np.float32(1.0))
        wanted = ("SORTBY", "score", "RETURN", 2, "score", ".vector")
        answers = []
        # One at a time: others are served in between, and the time limit is that of one.
        for left, each in enumerate(queries, 1 - len(queries)):
            params = ("PARAMS", 2, "query", each.tobytes())
            search = self._search(query, scope, limit, *wanted, *params)
            if left:
                found = answered(client, *search)
            else:
                # Only with the last one: what this asks of the index takes as long as a search.
                (found,) = self._ask(client, [search], indexed=True)
            _, rows = self._found(found, (".vector", "score"), limit)
            scores = np.array([values[1] for _, values in rows], np.float64)
            vectors = self._vectors((key, values[0]) for key, values in rows)
            answers.append(Nearest(self._ids(key for key, _ in rows), scores, vectors))
        return answers

    def sample(self, client: Client, count: int) -> NDArray[np.float32]:
        """Return the vectors of some records."""
        keys = self._all_keys(client, Scope())
        chosen = random.sample(keys, min(count, len(keys)))
        columns = Columns(vectors=True)
        return self._records(self._rows(client, chosen, columns), columns).vectors

    def prepare(self, client: Client, records: int) -> None:
        """Do nothing: the server links a record when it is written."""

    def _beyond_band(self, where: Filter) -> Filter | None:
        """Return a filter without what is true of every vector that is indexed."""
        low, high = self._band
        match where:
            case And(left, right):
                parts = [each for each in map(self._beyond_band, (left, right)) if each is not None]
                return And(*parts) if len(parts) > 1 else next(iter(parts), None)
            case Comparison(name, "<=", float(value)) if name == NORM and value >= high:
                return None
            case Comparison(name, ">=", float(value)) if name == NORM and value <= low:
                return None
        return where

    def _query(self, scope: Scope) -> str:
        return "*" if scope.where is None else f"({self._condition.written(scope.where)})"

    def _found(self, answer: Any, names: Sequence[str], limit: int) -> tuple[int, list[Row]]:
        """Return how many records a search found, and the keys and the values of those listed."""
        found = words(answer)
        total, results = int(found["total_results"]), [*map(words, found["results"])]
        if found.get("warning") or len(results) != min(total, limit):
            raise self._error("the server found more than it listed")
        rows = []
        for result in results:
            key, values = text_of(result["id"]), words(result.get("extra_attributes") or {})
            if not key.startswith(self._layout.prefix):
                raise self._gone()
            if names[0] not in values:
                raise self._error("a record was deleted while the server looked at it")
            rows.append((key, [values.get(name) for name in names]))
        return total, rows

    def _matching(
        self, client: Client, scope: Scope, limit: int, columns: Columns
    ) -> tuple[int, list[Row]]:
        names = _names(columns)
        search = self._search(self._query(scope), scope, limit, "RETURN", len(names), *names)
        return self._found(self._ask(client, [search], indexed=True)[0], names, limit)

    def _rows(self, client: Client, keys: Sequence[str], columns: Columns) -> list[Row]:
        names, rows = _names(columns), []
        answers = self._answers(client, [("HMGET", key, *names) for key in keys])
        for key, values in zip(keys, answers, strict=True):
            if isinstance(values, Exception):
                raise self._spoilt(key, "is no hash") if "WRONGTYPE" in str(values) else values
            if values[0] is not None:
                rows.append((key, values))
        return rows

    def _records(self, rows: Sequence[Row], columns: Columns) -> Records:
        vectors = np.empty((len(rows), 0), np.float32)
        if columns.vectors:
            vectors = self._vectors((key, values[1] or values[2]) for key, values in rows)
        first = 3 if columns.vectors else 1
        fields = {
            name: [self._read(key, name, values[at]) for key, values in rows]
            for at, name in enumerate(columns.fields, first)
        }
        return Records(self._ids(key for key, _ in rows), vectors, fields)

    def _read(self, key: str, name: str, value: bytes | None) -> Any:
        kind = base_of(self.info.fields[name])
        try:
            return value_of(kind, value)
        except ValueError:
            problem = f"has no value of type {kind} in field {name!r}"
        # Outside of the handler: the value is not in the context.
        raise self._spoilt(key, problem)

    def _vectors(self, blobs: Iterable[tuple[str, bytes | None]]) -> NDArray[np.float32]:
        size, table = 4 * self.info.dimension, []
        for key, blob in blobs:
            if blob is None or len(blob) != size:
                problem = f"has no vector of {self.info.dimension} float32 values"
                raise self._spoilt(key, problem)
            table.append(blob)
        found = np.frombuffer(b"".join(table), np.float32).reshape(-1, self.info.dimension)
        return found.astype(np.float32)


def _names(columns: Columns) -> tuple[str, ...]:
    return (".norm", *((".vector", ".unsafe") if columns.vectors else ()), *columns.fields)
