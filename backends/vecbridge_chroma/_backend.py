"""The backend: collections of Chroma as indexes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

import chromadb
from chromadb.errors import ChromaError, NotFoundError

from vecbridge import FieldType, IndexInfo
from vecbridge.diagnosis import Finding
from vecbridge.fields import FIELD_TYPES
from vecbridge.remote import RemoteBackend, RemoteIndex, from_document, index_names, to_document
from vecbridge_chroma._adoption import AdoptedCollection, adopted
from vecbridge_chroma._collection import ChromaCollection
from vecbridge_chroma._session import ERRORS, Session
from vecbridge_chroma._settings import ChromaSettings

_SCHEMA = "vecbridge"
_PLAIN = re.compile("[A-Za-z0-9][A-Za-z0-9_]+[A-Za-z0-9]")
_PAGE = 1000


class ChromaBackend(RemoteBackend[Session]):
    """Indexes as collections. Connects on first use.

    Args:
        settings: where Chroma is, and who asks.
    """

    settings: ChromaSettings
    name: ClassVar[str] = "chroma"
    settings_type: ClassVar[type[ChromaSettings]] = ChromaSettings
    field_types: ClassVar[frozenset[FieldType]] = frozenset(FIELD_TYPES)

    def __init__(self, settings: ChromaSettings) -> None:
        super().__init__(settings, ERRORS, place=settings.place)

    def connect(self) -> Session:
        """Return a client, with which calls to a server end in time."""
        return Session(self.settings)

    def make(self, client: Session, info: IndexInfo) -> ChromaCollection | None:
        """Make a collection, with its schema in the collection's metadata."""
        settings = self.settings
        hnsw = {
            "space": "ip" if info.metric == "dotproduct" else "l2",
            "max_neighbors": settings.hnsw_m,
            "ef_construction": settings.hnsw_ef_construction,
        }
        if settings.hnsw_ef_search:
            hnsw["ef_search"] = settings.hnsw_ef_search
        configuration: Any = {"hnsw": hnsw}
        try:
            model = client.api.create_collection(
                _collection_name(info.name),
                configuration=configuration,
                metadata={_SCHEMA: to_document(info)},
                **self._where(),
            )
        except ChromaError as error:
            if "already exists" in str(error):
                return None
            raise
        return ChromaCollection(model, info, settings)

    def find(self, client: Session, name: str) -> ChromaCollection | None:
        """Return the collection of an index."""
        if not client.is_there():
            return None
        try:
            model = client.api.get_collection(_collection_name(name), **self._where())
        except NotFoundError:
            return None
        text = (model.metadata or {}).get(_SCHEMA)
        if text is None:
            return adopted(client, model, name, self.settings)
        info = from_document(str(text), backend=self.name)
        return ChromaCollection(model, info, self.settings)

    def names(self, client: Session) -> list[str]:
        """Return the names of the indexes."""
        models: list[Any] = []
        while client.is_there() and len(models) % _PAGE == 0:
            page = client.api.list_collections(_PAGE, len(models), **self._where())
            models += page
            if not page:
                break
        documents = ((each.metadata or {}).get(_SCHEMA) for each in models)
        places = [
            (each.name, None if text is None else str(text))
            for each, text in zip(models, documents, strict=True)
        ]
        return index_names(places, backend=self.name)

    def remove(self, client: Session, name: str) -> bool:
        """Drop a collection."""
        if not client.is_there():
            return False
        try:
            client.api.delete_collection(_collection_name(name), **self._where())
        except NotFoundError:
            return False
        return True

    def index_over(self, collection: Any) -> RemoteIndex[Session]:
        """Return the index over a collection."""
        settings = self.settings
        batch = self.link.run("open_index", lambda client: client.api.get_max_batch_size())
        return RemoteIndex(
            self.link,
            collection,
            put_rows=min(batch, 5000) if batch > 0 else 1000,
            ids_at_a_time=5000,
            recall=settings.recall,
            effort=settings.hnsw_ef_search,
            norms=not isinstance(collection, AdoptedCollection),
        )

    def findings(self) -> Iterator[Finding]:
        """Look at the server, or the folder; change nothing."""
        kind = "server" if self.settings.path is None else "folder"
        version = self.versions()["chroma"]
        yield Finding(kind, "ok", f"Chroma {version} at {self.link.place}")

    def versions(self) -> dict[str, str]:
        """Return what the live server calls itself, or the engine in this process."""
        if self.settings.path is not None:
            return {"chroma": chromadb.__version__}
        return {"chroma": self.link.run("versions", lambda client: client.api.get_version())}

    def _where(self) -> dict[str, Any]:
        return {"tenant": self.settings.tenant, "database": self.settings.database}


def _collection_name(name: str) -> str:
    """Return the name of a collection: at least three characters, no underscore at an end."""
    return name if _PLAIN.fullmatch(name) else f"vb.{name}.vb"
