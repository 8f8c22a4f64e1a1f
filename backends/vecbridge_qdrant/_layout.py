"""How an index is kept in a collection, and whether it is still the collection that was opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from qdrant_client import QdrantClient, models

from vecbridge import IndexInfo, IndexNotFoundError
from vecbridge.remote import uuid_of
from vecbridge_qdrant._client import Session

SCHEMA = "vecbridge"
"""Key of the document of an index, in the metadata of its collection."""

TOKEN = "vecbridge-token"  # noqa: S105 - no secret
"""Key of what no other collection has, of the same name or not."""


@dataclass(frozen=True)
class Layout:
    """How an index is kept in a collection.

    Attributes:
        info: the schema of the index.
        collection: name of the collection.
        kept: name of the vectors as they were written; empty where they have none.
        searched: name of those that are searched.
        approximate: it is searched by a recall.
        point_of: the point that stands for an id; ``None`` for an id that none can stand for.
        id_of: the id of a point; ``None`` where it is in the payload.
        strong: an acknowledged write is seen by every later read.
        identity: what :func:`identity_of` told of the collection when it was opened.
    """

    info: IndexInfo
    collection: str
    kept: str
    searched: str
    approximate: bool
    point_of: Callable[[str], int | str | None] = uuid_of
    id_of: Callable[[int | str], str] | None = None
    strong: bool = True
    identity: object = None

    @property
    def ours(self) -> bool:
        """Whether vecbridge made it: then ids and norms are in the payloads."""
        return self.id_of is None


def identity_of(found: models.CollectionInfo) -> object:
    """Return what tells a collection from one that is made later under its name.

    Of a collection that another program made, that is no more than what its vectors are.
    """
    metadata = found.config.metadata or {}
    if SCHEMA in metadata:
        return metadata[SCHEMA], metadata.get(TOKEN)
    vectors = found.config.params.vectors or {}
    named = {"": vectors} if isinstance(vectors, models.VectorParams) else vectors
    return {name: (each.size, each.distance) for name, each in named.items()}


def checked(client: Session, layout: Layout) -> QdrantClient:
    """Return the client, after a look at whether the collection is the one that was opened.

    Raises:
        IndexNotFoundError: it was dropped, and another one made under its name.
    """
    found = client.client.get_collection(layout.collection)
    if identity_of(found) != layout.identity:
        raise IndexNotFoundError(
            f"index {layout.info.name!r} was dropped after it was opened, and another one made "
            f"under its name; open it again"
        )
    return client.client
