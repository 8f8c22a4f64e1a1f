"""The fixtures of real servers, as one plugin that pytest can load."""

from __future__ import annotations

from tests.servers.chroma import chroma_server, chroma_uri
from tests.servers.fiftyone_brain import fob
from tests.servers.given_milvus import swept_milvus
from tests.servers.milvus import milvus_server_uri
from tests.servers.mongo import fiftyone_env, mongo_uri
from tests.servers.postgres import pgvector_uri, postgres
from tests.servers.qdrant import qdrant_edge
from tests.servers.redis import redis_server, redis_uri

__all__ = [
    "chroma_server",
    "chroma_uri",
    "fiftyone_env",
    "fob",
    "milvus_server_uri",
    "mongo_uri",
    "pgvector_uri",
    "postgres",
    "qdrant_edge",
    "redis_server",
    "redis_uri",
    "swept_milvus",
]
