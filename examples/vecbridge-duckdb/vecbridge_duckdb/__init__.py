"""A whole vecbridge backend: vectors in DuckDB, ranked by SQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import duckdb
import numpy as np
from numpy.typing import NDArray

import vecbridge as vb
from vecbridge.ranking import FLOAT64_ROUNDOFF, gamma
from vecbridge.settings import Settings

Rows = tuple[tuple[str, ...], NDArray[np.float32], NDArray[np.float64]]
INSIDE = "WHERE id IN (SELECT unnest($ids::VARCHAR[]))"
# The distance of a and b, less what rounding may have added. In double precision products of
# float32 do not overflow, and NaN comes only of a zero vector: that is 1 away, by definition.
LEAST = {
    "euclidean": "array_distance(a, b) * (1 - $error)",
    "dotproduct": "array_negative_inner_product(a, b) - $error"
    " * sqrt(array_inner_product(a, a)) * sqrt(array_inner_product(b, b))",
    "cosine": "coalesce(nullif(array_cosine_distance(a, b), 'NaN'), 1) - $error",
}


class DuckdbSettings(Settings):
    path: str | None = None  # in memory without one

    @property
    def in_memory(self) -> bool:
        return self.path is None


class DuckdbIndex:
    def __init__(self, backend: DuckdbBackend, info: vb.IndexInfo) -> None:
        self.info, self._backend, self._closed = info, backend, False
        # In digits: DuckDB takes the tables "photos" and "Photos" for one.
        self.table = f"records_{info.name.encode().hex()}"

    @property
    def capabilities(self) -> vb.Capabilities:
        return vb.Capabilities(
            exact=True, max_k=None, max_within=None, max_batch_bytes=None, max_dimension=2**15,
            recall=None, range_search=False, farthest=False, partitions=False,
            consistency=frozenset({"strong"}), field_types=frozenset(), filters=frozenset(),
            filters_except=frozenset(), durable=self._backend.path is not None, shared=False,
        )  # fmt: skip

    def upsert(self, ids: Sequence[str], vectors: NDArray[np.float32], fields: Any = None) -> None:
        with self._backend.using("upsert", self._closed) as database:
            # INSERT OR REPLACE would be shorter, and loses the sign of -0.0.
            database.execute(f"DELETE FROM {self.table} {INSIDE}", {"ids": list(ids)})
            database.register("names", {"id": np.array(ids, dtype=object)})
            database.register("matrix", vectors.T)
            every = "SELECT array_value(*COLUMNS(*)) FROM matrix"
            database.execute(f"INSERT INTO {self.table} FROM names POSITIONAL JOIN ({every})")

    def delete(self, ids: Sequence[str]) -> None:
        with self._backend.using("delete", self._closed) as database:
            database.execute(f"DELETE FROM {self.table} {INSIDE}", {"ids": list(ids)})

    def fetch(self, ids: Sequence[str], *, vectors: bool, consistency: Any) -> vb.Records:
        found, matrix, _ = self._rows("fetch", f"FROM {self.table} {INSIDE}", {"ids": list(ids)})
        row_of = {name: row for row, name in enumerate(found)}
        there = tuple(name for name in ids if name in row_of)
        missing = tuple(name for name in ids if name not in row_of)
        return vb.Records(there, matrix[[row_of[name] for name in there]], missing=missing)

    def contains(self, ids: Sequence[str], *, consistency: Any) -> NDArray[np.bool_]:
        return np.isin(ids, self.fetch(ids, vectors=False, consistency=consistency).ids)

    def count(self, scope: vb.Scope) -> int:
        with self._backend.using("count", self._closed) as database:
            return int(database.execute(f"SELECT count(*) FROM {self.table}").fetchall()[0][0])

    def scan(self, batch_size: int, scope: Any, ids: Any, *, vectors: Any) -> Iterator[vb.Records]:
        page = f"FROM {self.table} WHERE id > $last ORDER BY id LIMIT {batch_size}"
        found, matrix, _ = self._rows("scan", page, {"last": ""})
        while found:
            yield vb.Records(found, matrix)
            found, matrix, _ = self._rows("scan", page, {"last": found[-1]})

    def search(self, queries: NDArray[np.float32], k: int, scope: vb.Scope) -> list[vb.Hits]:
        return [vb.Hits(*self._nearest(query, k, scope, margin=0)[::2]) for query in queries]

    def candidates(
        self, queries: NDArray[np.float32], k: int, scope: vb.Scope
    ) -> list[vb.Candidates]:
        count, answers = k + 16, []  # a few to spare, so that the lower bound decides
        for query in queries:
            ids, vectors, least = self._nearest(query, count + 1, scope, margin=4)
            bound = float(least[count]) if len(least) > count else np.inf
            answers.append(vb.Candidates(ids[:count], vectors[:count], bound))
        return answers

    def close(self) -> None:
        self._closed = True

    def _nearest(
        self, query: NDArray[np.float32], count: int, scope: vb.Scope, margin: int
    ) -> Rows:
        among, named = ("", {}) if scope.within is None else (INSIDE, {"ids": list(scope.within)})
        d, unit = len(query), FLOAT64_ROUNDOFF
        given = {**named, "query": query.tolist(), "error": margin * gamma(2 * d + 16, unit)}
        pairs = f"SELECT *, v::DOUBLE[{d}] AS a, $query::DOUBLE[{d}] AS b FROM {self.table} {among}"
        least = f"SELECT id, v, {LEAST[self.info.metric]} AS least FROM ({pairs})"
        return self._rows("search", f"{least} ORDER BY least, id LIMIT {count}", given)

    def _rows(self, operation: str, query: str, given: dict[str, Any]) -> Rows:
        with self._backend.using(operation, self._closed) as database:
            found = database.execute(query, given).fetchnumpy()
        vectors = np.array(found["v"].tolist(), np.float32).reshape(-1, self.info.dimension)
        return tuple(found["id"]), vectors, np.asarray(found.get("least"), np.float64)


class DuckdbBackend:
    name: ClassVar[str] = "duckdb"
    settings_type: ClassVar[type[Settings]] = DuckdbSettings

    def __init__(self, settings: DuckdbSettings) -> None:
        self.path, self._closed, self._alone = settings.path, False, threading.RLock()
        self._database: Any = None

    def create_index(
        self, name: str, *, dimension: int, metric: vb.Metric, fields: Any, consistency: Any
    ) -> DuckdbIndex:
        if fields:
            raise vb.UnsupportedError("duckdb keeps no fields", capability="fields")
        with self.using("create_index") as database:
            if database.execute("FROM indexes WHERE name = ?", [name]).fetchall():
                raise vb.IndexExistsError(f"there is an index {name!r} already; open it")
            info = vb.IndexInfo(name, dimension, metric, {}, consistency or "strong")
            index, row = DuckdbIndex(self, info), [name, dimension, metric, info.consistency]
            database.execute("INSERT INTO indexes VALUES (?, ?, ?, ?)", row)
            database.execute(f"CREATE TABLE {index.table} (id VARCHAR, v FLOAT[{dimension}])")
        return index

    def open_index(self, name: str) -> DuckdbIndex:
        with self.using("open_index") as database:
            rows = database.execute("FROM indexes WHERE name = ?", [name]).fetchall()
        if not rows:
            raise vb.IndexNotFoundError(f"there is no index {name!r}; create it first")
        _, dimension, metric, level = rows[0]
        return DuckdbIndex(self, vb.IndexInfo(name, dimension, metric, {}, level))

    def index_names(self) -> list[str]:
        with self.using("index_names") as database:
            return sorted(row[0] for row in database.execute("FROM indexes").fetchall())

    def drop_index(self, name: str) -> None:
        with self.using("drop_index") as database:
            database.execute(f"DROP TABLE {self.open_index(name).table}")
            database.execute("DELETE FROM indexes WHERE name = ?", [name])

    def close(self) -> None:
        self._closed = True
        if self._database is not None:
            self._database.close()

    @contextmanager
    def using(self, operation: str, closed: bool = False) -> Iterator[Any]:
        about: Any = {"backend": self.name, "operation": operation}
        with self._alone:  # one transaction at a time
            if closed or self._closed:
                raise vb.ClosedError(f"{operation} after close: open it again", **about)
            try:
                with self._connected() as transaction:
                    yield transaction.begin()
                    transaction.commit()
            except duckdb.CatalogException as error:
                raise vb.IndexNotFoundError("the index is not there: it was dropped") from error
            except duckdb.Error as error:
                torn = isinstance(error, (duckdb.IOException, duckdb.SerializationException))
                kind = vb.CorruptStoreError if torn or "Corrupt" in str(error) else vb.BackendError
                raise kind(f"{operation} failed on {self.path}: {error}", **about) from error

    def _connected(self) -> Any:
        if self._database is None:
            self._database = duckdb.connect(self.path or ":memory:")
            columns = "name VARCHAR, dimension INT, metric VARCHAR, consistency VARCHAR"
            self._database.execute(f"CREATE TABLE IF NOT EXISTS indexes ({columns})")
        return self._database.cursor()
