"""The backend: collections of Qdrant's as indexes."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any, ClassVar

from qdrant_client import models

from vecbridge import ConfigurationError, FieldType, IndexInfo
from vecbridge.diagnosis import Finding
from vecbridge.fields import FIELD_TYPES, BaseType, base_of
from vecbridge.remote import RemoteBackend, RemoteIndex, from_document, index_names, to_document
from vecbridge_qdrant._adoption import LOOKED_AT, adopted
from vecbridge_qdrant._client import ERRORS, Session, connected
from vecbridge_qdrant._filters import NORM_KEY
from vecbridge_qdrant._layout import SCHEMA, TOKEN, Layout, identity_of
from vecbridge_qdrant._points import DIRECTION, VECTOR, Points
from vecbridge_qdrant._settings import QdrantSettings

_OLDEST = (1, 16)
_SCHEMAS: dict[BaseType, models.PayloadSchemaType] = {
    "string": models.PayloadSchemaType.KEYWORD,
    "strings": models.PayloadSchemaType.KEYWORD,
    "integer": models.PayloadSchemaType.INTEGER,
    "float": models.PayloadSchemaType.INTEGER,
    "boolean": models.PayloadSchemaType.BOOL,
    "timestamp": models.PayloadSchemaType.DATETIME,
}
_NO_GRAPH = models.HnswConfigDiff(m=0)


class QdrantBackend(RemoteBackend[Session]):
    """Indexes as collections. Connects on first use.

    Args:
        settings: where Qdrant is, and who asks.
    """

    settings: QdrantSettings
    name: ClassVar[str] = "qdrant"
    settings_type: ClassVar[type[QdrantSettings]] = QdrantSettings
    field_types: ClassVar[frozenset[FieldType]] = frozenset(FIELD_TYPES)

    def __init__(self, settings: QdrantSettings) -> None:
        secrets = [settings.api_key] if settings.api_key else []
        super().__init__(settings, ERRORS, place=settings.place, secrets=secrets)

    def connect(self) -> Session:
        """Return a client, which threads may share."""
        return connected(self.settings)

    def make(self, client: Session, info: IndexInfo) -> Points | None:
        """Make a collection, with its schema in the collection's metadata."""
        settings, collection = self.settings, self._collection(info.name)
        if _release(client.version) < _OLDEST:
            raise ConfigurationError(
                f"Qdrant {'.'.join(map(str, _OLDEST))} or newer is needed to make indexes, and at "
                f"{self.link.place} there is {client.version}"
            )
        if client.client.collection_exists(collection):
            return None
        euclidean = info.metric == "euclidean"
        distance = models.Distance.EUCLID if euclidean else models.Distance.DOT
        vectors = {VECTOR: models.VectorParams(size=info.dimension, distance=distance)}
        if info.metric == "cosine":
            vectors[DIRECTION] = vectors[VECTOR].model_copy()
            vectors[VECTOR].on_disk, vectors[VECTOR].hnsw_config = True, _NO_GRAPH
        copies = settings.replication_factor
        graph = settings.hnsw_config if settings.index_type == "hnsw" else _NO_GRAPH
        try:
            client.client.create_collection(
                collection,
                vectors,
                shard_number=settings.shard_number,
                replication_factor=copies,
                write_consistency_factor=settings.write_consistency_factor or copies,
                hnsw_config=graph,
                optimizers_config=settings.optimizers_config,
                wal_config=settings.wal_config,
                metadata={SCHEMA: to_document(info), TOKEN: uuid.uuid4().hex},
            )
        except Exception:
            if client.client.collection_exists(collection):
                return None
            raise
        client.norms.pop(collection, None)
        # The embedded engine has no indexes of payloads, and warns that it has none.
        indexed: dict[str, FieldType] = (
            {} if client.embedded else {NORM_KEY: "float", **info.fields}
        )
        for name, kind in indexed.items():
            base = base_of(kind)
            key = f"{name}.high" if base == "float" else name
            client.client.create_payload_index(collection, key, _SCHEMAS[base], wait=True)
        return self._points(client, self._layout(info, client.client.get_collection(collection)))

    def find(self, client: Session, name: str) -> Points | None:
        """Return the collection of an index."""
        collection = self._collection(name)
        if not client.client.collection_exists(collection):
            return None
        found = client.client.get_collection(collection)
        document = (found.config.metadata or {}).get(SCHEMA)
        if document is not None:
            info = from_document(document, backend=self.name)
            return self._points(client, self._layout(info, found))
        points, _ = client.client.scroll(collection, limit=LOOKED_AT, with_payload=True)
        payloads = [point.payload or {} for point in points]
        strong = _is_strong(found.config.params)
        layout = adopted(self.settings, name, collection, found, payloads, strong=strong)
        return self._points(client, layout)

    def names(self, client: Session) -> list[str]:
        """Return the names of the collections that may be indexes."""
        found = client.client.get_collections().collections
        places = ((each.name, None) for each in found)
        return index_names(places, backend=self.name, given=self.settings.collection_names)

    def remove(self, client: Session, name: str) -> bool:
        """Drop a collection."""
        collection = self._collection(name)
        if not client.client.collection_exists(collection):
            return False
        client.norms.pop(collection, None)
        return client.client.delete_collection(collection)

    def index_over(self, collection: Any) -> RemoteIndex[Session]:
        """Return the index over a collection."""
        settings = self.settings
        return RemoteIndex(self.link, collection, recall=settings.recall, effort=settings.hnsw_ef)

    def findings(self) -> Iterator[Finding]:
        """Look at the server, or the embedded engine; change nothing."""
        version = self.versions()["qdrant"]
        if self.settings.path is not None:
            found = f"embedded, in {self.link.place}, of qdrant-client {version}"
            yield Finding("engine", "ok", found)
            return
        yield Finding("server", "ok", f"Qdrant {version} at {self.link.place}")
        if self.link.place.startswith("https:"):
            yield Finding("connection", "ok", "encrypted")
        else:
            yield Finding("connection", "warning", "not encrypted", "name an https:// url")

    def versions(self) -> dict[str, str]:
        """Return what the live server calls itself, or the client with the embedded engine."""
        return {"qdrant": self.link.run("versions", lambda client: client.version)}

    def _points(self, client: Session, layout: Layout) -> Points:
        return Points(layout, self.settings, embedded=client.embedded)

    def _layout(self, info: IndexInfo, found: models.CollectionInfo) -> Layout:
        return Layout(
            info,
            self._collection(info.name),
            kept=VECTOR,
            searched=DIRECTION if info.metric == "cosine" else VECTOR,
            approximate=self.settings.index_type == "hnsw",
            strong=_is_strong(found.config.params),
            identity=identity_of(found),
        )

    def _collection(self, name: str) -> str:
        return self.settings.collection_names.get(name, name)


def _is_strong(params: models.CollectionParams) -> bool:
    """Return whether every copy of a record has an acknowledged write."""
    copies = params.replication_factor or 1
    return (params.write_consistency_factor or 1) >= copies


def _release(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:2]))
