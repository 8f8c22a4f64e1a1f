"""The backend: collections of a Milvus server, or of Milvus Lite, as indexes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from vecbridge import (
    BackendError,
    Consistency,
    FieldType,
    IndexNotFoundError,
    InvalidArgumentError,
    Metric,
)
from vecbridge.diagnosis import Finding
from vecbridge.fields import FIELD_TYPES, refuse_unknown_types
from vecbridge_milvus._collection import Collection
from vecbridge_milvus._connection import Connection
from vecbridge_milvus._creation import Creation
from vecbridge_milvus._findings import NOT_EXACT, findings
from vecbridge_milvus._index import MilvusIndex
from vecbridge_milvus._proof import doubt
from vecbridge_milvus._schema import read
from vecbridge_milvus._settings import MilvusSettings

if TYPE_CHECKING:
    from pymilvus import MilvusClient


class MilvusBackend:
    """Indexes as Milvus collections. Connects on first use.

    Args:
        settings: where the server is, and who asks.
    """

    name: ClassVar[str] = "milvus"
    settings_type: ClassVar[type[MilvusSettings]] = MilvusSettings

    def __init__(self, settings: MilvusSettings) -> None:
        self._settings = settings
        self._connection = Connection(settings)

    @property
    def settings(self) -> MilvusSettings:
        """The settings of the store; secrets in it are ``SecretStr``."""
        return self._settings

    @property
    def client(self) -> MilvusClient:
        """The ``pymilvus.MilvusClient`` behind, for what only Milvus can do."""
        return self._connection.client("client")

    def create_index(
        self,
        name: str,
        *,
        dimension: int,
        metric: Metric,
        fields: Mapping[str, FieldType],
        consistency: Consistency | None,
    ) -> MilvusIndex:
        """Make a collection; ``consistency=None`` is ``session`` on a server.

        Raises:
            IndexExistsError: there is a collection of that name.
            InvalidArgumentError: this server cannot build what the settings ask for, or would
                ignore it; nothing was made.
            UnsupportedError: a field has a type that collections are not given; nothing was made.
        """
        refuse_unknown_types(fields, FIELD_TYPES, self.name)
        creation = Creation(self._connection, self._settings, name)
        creation.run(dimension, metric, fields, consistency or "session")
        return MilvusIndex(self._collection(name), self._settings)

    def open_index(self, name: str) -> MilvusIndex:
        """Open and load a collection, one of ours or one made by another program.

        Raises:
            IndexNotFoundError: there is none of that name.
            SchemaMismatchError: it is not laid out in a way that an index can be kept in.
        """
        self._refuse_unmade(name)
        try:
            collection = self._collection(name)
        except (BackendError, IndexNotFoundError):
            # What there is is read at once: only where that fails is it asked for.
            self._require(name, "open_index")
            raise
        collection.load("open_index")
        layout = collection.layout
        if layout.index.exhaustive and doubt(collection):
            doubted = replace(layout, index=layout.index.doubted())
            collection = Collection(self._connection, doubted, self._settings.loading)
        return MilvusIndex(collection, self._settings)

    def index_names(self) -> list[str]:
        """Return the names of the collections, sorted."""
        if self._connection.unmade:
            return []
        return sorted(self._connection.call("index_names", "list_collections"))

    def drop_index(self, name: str) -> None:
        """Remove a collection.

        Raises:
            IndexNotFoundError: there is none of that name.
            InvalidArgumentError: it is another name of a collection, which was not dropped.
        """
        self._require(name, "drop_index")
        if name not in self.index_names():
            raise InvalidArgumentError(
                f"{name!r} is an alias of a collection, and an alias is not dropped with what it "
                f"stands for: drop the collection by its own name"
            )
        with self._connection.writing():
            self._connection.call("drop_index", "drop_collection", name)

    def diagnose(self) -> Iterator[Finding]:
        """Look at the connection, the account and every collection; change nothing."""
        if self._connection.unmade:
            yield Finding("connection", "ok", self._nowhere())
            return
        connection, started = self._connection, time.perf_counter()
        client = connection.client("diagnose")
        took_s = time.perf_counter() - started
        yield from findings(
            self._settings,
            client,
            version=connection.version,
            lite=connection.lite,
            took_s=took_s,
            exactness=self._exactness,
        )

    def versions(self) -> dict[str, str]:
        """Return what the live server calls itself; nothing for Milvus Lite, which is a package."""
        return {} if self._connection.lite else {"milvus": self._connection.version}

    def close(self) -> None:
        """Close the connection. May be called twice."""
        self._connection.close()

    def _require(self, name: str, operation: str) -> None:
        self._refuse_unmade(name)
        if self._connection.call(operation, "has_collection", name):
            return
        known = self.index_names()
        raise IndexNotFoundError(
            f"Milvus has no collection {name!r}; it has {', '.join(known[:20]) or 'none'}. "
            f"create_index() makes one"
        )

    def _refuse_unmade(self, name: str) -> None:
        if self._connection.unmade:
            raise IndexNotFoundError(f"no collection {name!r}: {self._nowhere()}")

    def _nowhere(self) -> str:
        return f"there is no store at {self._connection.place}; create_index() makes it"

    def _exactness(self, name: str) -> str:
        """Return what can be said of the exactness of a loaded collection."""
        collection = self._collection(name)
        reason = doubt(collection)
        if not reason and not collection.layout.provable:
            reason = "another program made it, and only under euclidean are the norms not needed"
        return f"{NOT_EXACT}: {reason}" if reason else "exact"

    def _collection(self, name: str) -> Collection:
        connection, settings = self._connection, self._settings
        lite, timeout = connection.lite, connection.timeout
        layout = connection.with_retries(
            "open_index",
            lambda client, _: read(
                client, name, settings, version=connection.version, lite=lite, timeout=timeout
            ),
        )
        return Collection(connection, layout, settings.loading)
