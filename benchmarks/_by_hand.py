"""Each store by its own client, as somebody writes it who wants nothing but speed.

A class holds a store that runs, and has two methods: ``ingest`` takes records the fastest way that
the store has, and ``search`` returns the nearest ``k`` of each query, from all records.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vecbridge.remote import uuid_of

Names = list[str]
_LINES = 500
_BATCH = 5_000


class ByHand(Protocol):
    """A store by its own client; ``options`` are what vecbridge needs to reach the same one."""

    backend: str
    options: dict[str, Any]

    def ingest(self, ids: Names, vectors: np.ndarray) -> None:
        """Store records that are new."""

    def search(self, queries: np.ndarray, k: int) -> list[Names]:
        """Return the ids of the nearest ``k`` of each query, by the Euclidean distance."""


class Pgvector:
    """Binary COPY, and one prepared statement a query."""

    backend = "pgvector"

    def __init__(self, uri: str) -> None:
        import psycopg

        self.options = {"uri": uri}
        self._connection = psycopg.connect(uri, autocommit=True)

    def ingest(self, ids: Names, vectors: np.ndarray) -> None:
        run = self._connection
        run.execute("CREATE EXTENSION IF NOT EXISTS vector")
        run.execute("DROP TABLE IF EXISTS by_hand")
        run.execute(
            f"CREATE TABLE by_hand (id text PRIMARY KEY, embedding vector({vectors.shape[1]}))"
        )
        head = np.array([vectors.shape[1], 0], ">i2").tobytes()
        values = vectors.astype(">f4")
        statement = "COPY by_hand FROM STDIN (FORMAT BINARY)"
        with run.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(["text", "bytea"])
            for name, value in zip(ids, values, strict=True):
                copy.write_row((name, head + value.tobytes()))

    def search(self, queries: np.ndarray, k: int) -> list[Names]:
        statement = "SELECT id FROM by_hand ORDER BY embedding <-> %s::vector LIMIT %s"
        texts = ["[" + ",".join(map(str, query.tolist())) + "]" for query in queries]
        found = [self._connection.execute(statement, [text, k]).fetchall() for text in texts]
        return [[row[0] for row in rows] for rows in found]


class LanceDB:
    """One Arrow table, and a search without an index."""

    backend = "lancedb"

    def __init__(self, folder: Path) -> None:
        import lancedb

        self.options = {"uri": str(folder / "ours")}
        self._database = lancedb.connect(folder / "by_hand")

    def ingest(self, ids: Names, vectors: np.ndarray) -> None:
        import pyarrow as pa

        flat = pa.array(vectors.ravel())
        columns = {"id": ids, "vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])}
        self._table = self._database.create_table("by_hand", pa.table(columns), mode="overwrite")

    def search(self, queries: np.ndarray, k: int) -> list[Names]:
        wanted = ["id", "_distance"]
        asked = [self._table.search(query).limit(k).select(wanted) for query in queries]
        return [each.to_arrow()["id"].to_pylist() for each in asked]


class Qdrant:
    """The engine in a folder: batches of points, and exact searches in one call."""

    backend = "qdrant"

    def __init__(self, folder: Path) -> None:
        from qdrant_client import QdrantClient

        self.options = {"path": str(folder / "ours")}
        self._client = QdrantClient(path=str(folder / "by_hand"))

    def ingest(self, ids: Names, vectors: np.ndarray) -> None:
        from qdrant_client import models

        if self._client.collection_exists("by_hand"):
            self._client.delete_collection("by_hand")
        size, kind = vectors.shape[1], models.Distance.EUCLID
        self._client.create_collection(
            "by_hand", vectors_config=models.VectorParams(size=size, distance=kind)
        )
        self._client.upload_collection(
            "by_hand", vectors, ids=map(uuid_of, ids), payload=({"id": name} for name in ids)
        )

    def search(self, queries: np.ndarray, k: int) -> list[Names]:
        from qdrant_client import models

        exact = models.SearchParams(exact=True)
        asked = [
            models.QueryRequest(query=query.tolist(), limit=k, params=exact, with_payload=True)
            for query in queries
        ]
        found = self._client.query_batch_points("by_hand", asked)
        return [[point.payload["id"] for point in each.points] for each in found]


class Redis:
    """Hashes in pipelines without a transaction, and a FLAT index."""

    backend = "redis"

    def __init__(self, uri: str) -> None:
        import redis

        self.options = {"uri": uri}
        self._client = redis.Redis.from_url(uri)

    def ingest(self, ids: Names, vectors: np.ndarray) -> None:
        run = self._client
        kind = f"VECTOR FLAT 6 TYPE FLOAT32 DIM {vectors.shape[1]} DISTANCE_METRIC L2"
        if b"by_hand" in run.execute_command("FT._LIST"):
            run.execute_command("FT.DROPINDEX", "by_hand", "DD")
        create = "FT.CREATE by_hand ON HASH PREFIX 1 by_hand: SCHEMA vector"
        run.execute_command(*create.split(), *kind.split())
        for start in range(0, len(ids), _LINES):
            with run.pipeline(transaction=False) as pipe:
                rows = slice(start, start + _LINES)
                for name, vector in zip(ids[rows], vectors[rows], strict=True):
                    pipe.hset(f"by_hand:{name}", "vector", vector.tobytes())
                pipe.execute()

    def search(self, queries: np.ndarray, k: int) -> list[Names]:
        query = f"*=>[KNN {k} @vector $q AS d]"
        words = f"RETURN 0 SORTBY d LIMIT 0 {k} DIALECT 2 TIMEOUT 0 PARAMS 2 q"
        with self._client.pipeline(transaction=False) as pipe:
            for each in queries:
                pipe.execute_command("FT.SEARCH", "by_hand", query, *words.split(), each.tobytes())
            found = pipe.execute()
        return [[_name(hit) for hit in _hits(answer)] for answer in found]


def _hits(answer: Any) -> list[Any]:
    """Return the hits of an answer in either protocol of Redis."""
    return answer[b"results"] if isinstance(answer, dict) else answer[1:]


def _name(hit: Any) -> str:
    key = hit[b"id"] if isinstance(hit, dict) else hit
    return key.decode().partition(":")[2]


class Chroma:
    """The store in a folder, in the largest batches that it takes; its index is approximate."""

    backend = "chroma"

    def __init__(self, folder: Path) -> None:
        import chromadb

        self.options = {"path": str(folder / "ours")}
        quiet = chromadb.Settings(anonymized_telemetry=False)
        self._client = chromadb.PersistentClient(str(folder / "by_hand"), settings=quiet)

    def ingest(self, ids: Names, vectors: np.ndarray) -> None:
        if any(each.name == "by_hand" for each in self._client.list_collections()):
            self._client.delete_collection("by_hand")
        self._collection = self._client.create_collection("by_hand", embedding_function=None)
        for start in range(0, len(ids), _BATCH):
            rows = slice(start, start + _BATCH)
            self._collection.add(ids[rows], embeddings=vectors[rows])

    def search(self, queries: np.ndarray, k: int) -> list[Names]:
        found = self._collection.query(query_embeddings=queries, n_results=k, include=[])
        return found["ids"]


@contextmanager
def _postgres() -> Iterator[ByHand]:
    from tests.servers.postgres import running_postgres

    with running_postgres() as server:
        yield Pgvector(server.uri)


@contextmanager
def _redis() -> Iterator[ByHand]:
    from tests.servers.redis import running_redis

    with running_redis() as server:
        yield Redis(server.uri)


@contextmanager
def _folder(store: Callable[[Path], ByHand]) -> Iterator[ByHand]:
    with tempfile.TemporaryDirectory(prefix="vecbridge-", ignore_cleanup_errors=True) as name:
        yield store(Path(name))


STORES: dict[str, Callable[[], AbstractContextManager[ByHand]]] = {
    "psycopg": _postgres,
    "lancedb": lambda: _folder(LanceDB),
    "qdrant_client": lambda: _folder(Qdrant),
    "redis": _redis,
    "chromadb": lambda: _folder(Chroma),
}
"""The stores, by the package of their clients."""
