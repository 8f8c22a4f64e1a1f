"""The settings of the backend: where Qdrant is, who asks, and how collections are made."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field, SecretStr, model_validator
from qdrant_client.models import HnswConfigDiff, OptimizersConfigDiff, WalConfigDiff

from vecbridge.remote import GivenNames, RemoteSettings
from vecbridge.settings import LocalPath

# Nothing that could be a secret has a place in it: an address is shown.
_URL = re.compile(r"(https?://)?(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(:[0-9]{1,5})?(/[\w./-]*)?")
# The embedded engine makes a folder of this name.
_PLACE = re.compile(r"(?!\.{1,2}$)[^/\\:*?\"<>|]{1,255}")
_EMBEDDED = ("api_key", "grpc_port", "prefer_grpc", "index_type", "recall", "hnsw_ef")
_MADE = ("shard_number", "replication_factor", "write_consistency_factor")
_CONFIGS = ("hnsw_config", "optimizers_config", "wal_config")


class QdrantSettings(RemoteSettings):
    """Where Qdrant is, and how it stores collections.

    The parameters of FiftyOne's own ``qdrant`` backend are settings of the same names here.

    Attributes:
        url: ``http://host:6333`` or ``https://host:6333``; by default a server on this machine.
        path: folder of the embedded engine, instead of a server. One process at a time can open it.
        api_key: API key of the server.
        grpc_port: gRPC port of the server.
        prefer_grpc: use gRPC where possible.
        collection_names: collections of indexes whose collection has another name than the index.
        vector_name: name of the vectors in a collection that another program created; by default
            the only ones.
        index_type: ``none`` searches exactly and builds no graph; ``hnsw`` searches approximately,
            for a given recall. The default is ``hnsw`` if ``hnsw_config`` is given.
        recall: share of the true nearest records that an approximate search finds, on average.
        hnsw_ef: fixed search effort, instead of one that is tuned for the recall.
        hnsw_config: how the graph of a new collection is built, by Qdrant's names.
        optimizers_config: how its segments are optimized.
        wal_config: how its write-ahead log is kept.
        shard_number: number of its shards.
        replication_factor: number of replicas of each shard.
        write_consistency_factor: number of replicas that must acknowledge a write; all by default.
    """

    url: str | None = None
    path: LocalPath | None = None
    api_key: SecretStr | None = None
    grpc_port: int = Field(default=6334, ge=1, le=65535)
    prefer_grpc: bool = False
    collection_names: GivenNames = Field(default_factory=dict)
    vector_name: str | None = None
    index_type: Literal["none", "hnsw"] = "none"
    recall: float = Field(default=0.95, gt=0, lt=1)
    hnsw_ef: int | None = Field(default=None, ge=1)
    hnsw_config: HnswConfigDiff | None = None
    optimizers_config: OptimizersConfigDiff | None = None
    wal_config: WalConfigDiff | None = None
    shard_number: int | None = Field(default=None, ge=1)
    replication_factor: int | None = Field(default=None, ge=1)
    write_consistency_factor: int | None = Field(default=None, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _completed(cls, given: Any) -> Any:
        """Take what is not said from what is, and what FiftyOne leaves out as left out."""
        if not isinstance(given, dict):
            return given
        found = {key: value for key, value in given.items() if value is not None}
        if found.get("hnsw_config"):
            found.setdefault("index_type", "hnsw")
        return found

    @model_validator(mode="after")
    def _agreeing(self) -> QdrantSettings:
        if self.url is not None and not _URL.fullmatch(self.url):
            raise ValueError("the url is http://host:port or https://host:port; give a key apart")
        if unfit := [each for each in self.collection_names.values() if not _PLACE.fullmatch(each)]:
            raise ValueError(f"{unfit[0]!r} is no name of a collection")
        if self.path is not None and self.url is not None:
            raise ValueError("give a url, of a server, or a path, of the embedded engine; not both")
        if self.path is not None:
            ignored = (*_EMBEDDED, *_MADE, *_CONFIGS)
            if said := sorted(self.model_fields_set.intersection(ignored)):
                raise ValueError(f"the embedded engine has no {', '.join(said)}: name a url")
        if self.index_type == "none" and (self.hnsw_config or self.hnsw_ef):
            raise ValueError("hnsw_config and hnsw_ef are for index_type='hnsw'")
        return self

    @property
    def place_of_files(self) -> str | None:
        """Name of the setting that says where the files are; ``None`` where there are none."""
        return None if self.path is None else "path"

    @property
    def single_writer(self) -> bool:
        """Whether one process at a time writes: the embedded engine's files are that process's."""
        return self.path is not None

    @property
    def place(self) -> str:
        """Where Qdrant is."""
        return str(self.path) if self.path is not None else self.url or "http://localhost:6333"
