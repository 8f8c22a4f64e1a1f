"""The stores' own clients, used as their own quickstarts use them, in the shape of the others.

Each class does what its quickstart does: it makes a collection for a metric, adds vectors under
ids, searches, and deletes. Where a quickstart names a call that replaces records, that one is used.
What comes back is handed on, with what the client calls distance or score.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np

from vecbridge import IndexInfo, Metric

Rows = tuple[list[str], Any]
"""Ids, and what belongs to each."""


class Client:
    """What :class:`tests.neighbours._index.NeighbourIndex` asks of an index, on a few calls."""

    def __init__(self, info: IndexInfo) -> None:
        self.info = info

    def add_to_index(self, vectors: Any, names: Any, **_: Any) -> None:
        """Add what the quickstart adds."""
        self.put([*names], vectors)

    def remove_from_index(self, *, sample_ids: Sequence[str], **_: Any) -> None:
        """Delete by id."""
        self.delete([*sample_ids])

    def get_embeddings(self, sample_ids: Any = None, **_: Any) -> tuple[Any, Any, None]:
        """Return vectors by id, or all."""
        wanted = None if sample_ids is None else [*sample_ids]
        # Nobody asks a store for no ids.
        names, vectors = ([], []) if wanted == [] else self.get(wanted)
        return vectors, np.array(names, dtype=object), None

    def _kneighbors(self, *, query: Any, k: int, **_: Any) -> tuple[Any, None, Any]:
        names, scores = self.nearest(np.asarray(query, np.float32)[0], k)
        return names, None, scores

    @contextmanager
    def only(self, ids: Any) -> Iterator[None]:
        """Nothing in a quickstart searches among ids."""
        if ids is not None:
            raise NotImplementedError("a quickstart does not support a list of ids")
        yield

    def put(self, names: list[str], vectors: Any) -> None:
        """Add records."""
        raise NotImplementedError

    def delete(self, names: list[str]) -> None:
        """Delete records."""
        raise NotImplementedError

    def get(self, names: list[str] | None) -> Rows:
        """Return ids and vectors."""
        raise NotImplementedError

    def nearest(self, query: Any, k: int) -> Rows:
        """Return ids and scores."""
        raise NotImplementedError


class RawChroma(Client):
    """https://docs.trychroma.com/docs/overview/getting-started, with embeddings of one's own."""

    SPACES: ClassVar[dict[Metric, str]] = {
        "cosine": "cosine",
        "dotproduct": "ip",
        "euclidean": "l2",
    }

    def __init__(self, info: IndexInfo, client: Any) -> None:
        super().__init__(info)
        self._client = client
        self._collection = client.get_or_create_collection(
            name=f"test-{info.name}", configuration={"hnsw": {"space": self.SPACES[info.metric]}}
        )

    @property
    def total_index_size(self) -> int:
        """``count``."""
        return int(self._collection.count())

    def put(self, names: list[str], vectors: Any) -> None:
        """``upsert``."""
        self._collection.upsert(ids=names, embeddings=vectors)

    def delete(self, names: list[str]) -> None:
        """``delete``."""
        self._collection.delete(ids=names)

    def get(self, names: list[str] | None) -> Rows:
        """``get``."""
        found = self._collection.get(ids=names, include=["embeddings"])
        return found["ids"], found["embeddings"]

    def nearest(self, query: Any, k: int) -> Rows:
        """``query``."""
        found = self._collection.query(query_embeddings=[query], n_results=k)
        return found["ids"][0], found["distances"][0]

    def cleanup(self) -> None:
        """``delete_collection``."""
        self._client.delete_collection(f"test-{self.info.name}")


class RawQdrant(Client):
    """https://qdrant.tech/documentation/quickstart/, a UUID and a payload for each id."""

    def __init__(self, info: IndexInfo, client: Any) -> None:
        from qdrant_client import models

        super().__init__(info)
        self._client, self._models = client, models
        distance = {"cosine": "COSINE", "dotproduct": "DOT", "euclidean": "EUCLID"}[info.metric]
        if not client.collection_exists(info.name):
            client.create_collection(
                collection_name=info.name,
                vectors_config=models.VectorParams(
                    size=info.dimension, distance=models.Distance[distance]
                ),
            )

    @property
    def total_index_size(self) -> int:
        """``count``."""
        return int(self._client.count(self.info.name).count)

    def put(self, names: list[str], vectors: Any) -> None:
        """``upsert``."""
        points = [
            self._models.PointStruct(id=_uuid(name), vector=vector, payload={"id": name})
            for name, vector in zip(names, vectors.tolist(), strict=True)
        ]
        self._client.upsert(collection_name=self.info.name, wait=True, points=points)

    def delete(self, names: list[str]) -> None:
        """``delete``."""
        self._client.delete(self.info.name, points_selector=[_uuid(name) for name in names])

    def get(self, names: list[str] | None) -> Rows:
        """``retrieve``, and ``scroll`` for all."""
        if names is None:
            found, _ = self._client.scroll(self.info.name, limit=100_000, with_vectors=True)
        else:
            wanted = [_uuid(name) for name in names]
            found = self._client.retrieve(self.info.name, ids=wanted, with_vectors=True)
        return [point.payload["id"] for point in found], [point.vector for point in found]

    def nearest(self, query: Any, k: int) -> Rows:
        """``query_points``."""
        found = self._client.query_points(
            collection_name=self.info.name, query=query.tolist(), with_payload=True, limit=k
        ).points
        return [point.payload["id"] for point in found], [point.score for point in found]

    def cleanup(self) -> None:
        """``delete_collection``."""
        self._client.delete_collection(self.info.name)


class RawLance(Client):
    """https://docs.lancedb.com/quickstart, which adds, searches, deletes; it replaces nothing."""

    METRICS: ClassVar[dict[Metric, str]] = {
        "cosine": "cosine",
        "dotproduct": "dot",
        "euclidean": "l2",
    }

    def __init__(self, info: IndexInfo, database: Any) -> None:
        import pyarrow as pa

        super().__init__(info)
        self._database = database
        vector = pa.list_(pa.float32(), info.dimension)
        schema = pa.schema([("id", pa.string()), ("vector", vector)])
        self._table = database.create_table(info.name, schema=schema, exist_ok=True)

    @property
    def total_index_size(self) -> int:
        """``count_rows``."""
        return int(self._table.count_rows())

    def put(self, names: list[str], vectors: Any) -> None:
        """``add``."""
        pairs = zip(names, vectors, strict=True)
        self._table.add([{"id": name, "vector": vector} for name, vector in pairs])

    def delete(self, names: list[str]) -> None:
        """``delete``, with a predicate in which quotes are doubled."""
        quoted = ("'" + name.replace("'", "''") + "'" for name in names)
        self._table.delete(f"id IN ({', '.join(quoted)})")

    def get(self, names: list[str] | None) -> Rows:
        """Return rows of ``to_arrow``."""
        rows = self._table.to_arrow().to_pylist()
        kept = [row for row in rows if names is None or row["id"] in set(names)]
        return [row["id"] for row in kept], [row["vector"] for row in kept]

    def nearest(self, query: Any, k: int) -> Rows:
        """``search``."""
        metric = self.METRICS[self.info.metric]
        rows = self._table.search(query).distance_type(metric).limit(k).to_list()
        return [row["id"] for row in rows], [row["_distance"] for row in rows]

    def cleanup(self) -> None:
        """``drop_table``."""
        self._database.drop_table(self.info.name)


class RawRedis(Client):
    """https://redis.io/docs/latest/develop/clients/redis-py/vecsearch/, on hashes."""

    METRICS: ClassVar[dict[Metric, str]] = {
        "cosine": "COSINE",
        "dotproduct": "IP",
        "euclidean": "L2",
    }

    def __init__(self, info: IndexInfo, client: Any) -> None:
        from redis.commands.search import index_definition
        from redis.commands.search.field import VectorField
        from redis.exceptions import ResponseError

        super().__init__(info)
        self._client, self._prefix = client, f"{info.name}:"
        self._search = client.ft(info.name)
        options = {
            "TYPE": "FLOAT32",
            "DIM": info.dimension,
            "DISTANCE_METRIC": self.METRICS[info.metric],
        }
        made: Any = index_definition.IndexDefinition
        definition = made(prefix=[self._prefix], index_type=index_definition.IndexType.HASH)
        try:
            self._search.info()
        except ResponseError:
            self._search.create_index(
                [VectorField("embedding", "FLAT", options)],
                definition=definition,
            )

    @property
    def total_index_size(self) -> int:
        """``num_docs``."""
        told = self._search.info()
        return int(told["num_docs"] if "num_docs" in told else told[b"num_docs"])

    def put(self, names: list[str], vectors: Any) -> None:
        """``hset``."""
        for name, vector in zip(names, vectors, strict=True):
            self._client.hset(f"{self._prefix}{name}", mapping={"embedding": vector.tobytes()})

    def delete(self, names: list[str]) -> None:
        """``delete``."""
        if names:
            self._client.delete(*(f"{self._prefix}{name}" for name in names))

    def get(self, names: list[str] | None) -> Rows:
        """``hget`` of each, and ``scan_iter`` for all."""
        if names is None:
            keys = self._client.scan_iter(f"{self._prefix}*")
            names = [key.decode().removeprefix(self._prefix) for key in keys]
        found = {name: self._client.hget(f"{self._prefix}{name}", "embedding") for name in names}
        there = {name: data for name, data in found.items() if data is not None}
        return [*there], [np.frombuffer(data, np.float32) for data in there.values()]

    def nearest(self, query: Any, k: int) -> Rows:
        """A KNN query of dialect 2."""
        from redis.commands.search.query import Query

        knn = Query(f"*=>[KNN {k} @embedding $vec AS score]").sort_by("score")
        knn = knn.return_fields("score").paging(0, k).dialect(2)
        docs = self._search.search(knn, {"vec": query.tobytes()}).docs
        names = [doc.id.removeprefix(self._prefix) for doc in docs]
        return names, [float(doc.score) for doc in docs]

    def cleanup(self) -> None:
        """``dropindex``, with its documents."""
        self._search.dropindex(delete_documents=True)


class RawPgvector(Client):
    """https://github.com/pgvector/pgvector#getting-started, with psycopg, and a key of text."""

    OPERATORS: ClassVar[dict[Metric, str]] = {
        "cosine": "<=>",
        "dotproduct": "<#>",
        "euclidean": "<->",
    }

    def __init__(self, info: IndexInfo, client: Any) -> None:
        super().__init__(info)
        self._client = client
        client.execute("CREATE EXTENSION IF NOT EXISTS vector")
        client.execute(
            f'CREATE TABLE IF NOT EXISTS "{info.name[:63]}" '
            f"(id text PRIMARY KEY, embedding vector({info.dimension}))"
        )

    @property
    def total_index_size(self) -> int:
        """``count(*)``."""
        return int(self._rows("SELECT count(*) FROM {table}")[0][0])

    def put(self, names: list[str], vectors: Any) -> None:
        """``INSERT ... ON CONFLICT (id) DO UPDATE``."""
        insert = (
            "INSERT INTO {table} (id, embedding) VALUES (%s, %s) "
            "ON CONFLICT (id) DO UPDATE SET embedding = EXCLUDED.embedding"
        )
        with self._client.cursor() as cursor:
            rows = [(name, str(row)) for name, row in zip(names, vectors.tolist(), strict=True)]
            cursor.executemany(self._sql(insert), rows)

    def delete(self, names: list[str]) -> None:
        """``DELETE``."""
        self._client.execute(self._sql("DELETE FROM {table} WHERE id = ANY(%s)"), [names])

    def get(self, names: list[str] | None) -> Rows:
        """``SELECT``."""
        where, values = ("", []) if names is None else (" WHERE id = ANY(%s)", [names])
        rows = self._rows("SELECT id, embedding::text FROM {table}" + where, *values)
        return [row[0] for row in rows], [_numbers(row[1]) for row in rows]

    def nearest(self, query: Any, k: int) -> Rows:
        """``ORDER BY ... LIMIT``."""
        operator = self.OPERATORS[self.info.metric]
        select = f"SELECT id, embedding {operator} %s::vector FROM {{table}} ORDER BY 2 LIMIT {k}"
        rows = self._rows(select, str(query.tolist()))
        return [row[0] for row in rows], [row[1] for row in rows]

    def cleanup(self) -> None:
        """``DROP TABLE``."""
        self._client.execute(self._sql("DROP TABLE {table}"))

    def _rows(self, text: str, *values: Any) -> list[Any]:
        found: list[Any] = self._client.execute(self._sql(text), [*values]).fetchall()
        return found

    def _sql(self, text: str) -> str:
        return text.format(table=f'"{self.info.name[:63]}"')


def _uuid(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, name))


def _numbers(text: str) -> Any:
    return np.array(text.strip("[]").split(","), np.float32)
