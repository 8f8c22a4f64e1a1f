"""Collections that another program made: read and searched, and not written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from chromadb.types import Collection as Model
from numpy.typing import NDArray

from vecbridge import (
    CorruptStoreError,
    FieldType,
    FieldValue,
    IndexInfo,
    Metric,
    SchemaMismatchError,
)
from vecbridge.remote import NORM, is_name
from vecbridge_chroma._collection import DIGEST, REST, ChromaCollection, all_metadata
from vecbridge_chroma._session import Session
from vecbridge_chroma._settings import ChromaSettings

_METRICS: dict[str, Metric] = {"cosine": "cosine", "ip": "dotproduct", "l2": "euclidean"}
_KINDS: dict[frozenset[str], FieldType] = {
    frozenset({"str"}): "string?",
    frozenset({"bool"}): "boolean?",
    frozenset({"int"}): "integer?",
    frozenset({"float"}): "float?",
    frozenset({"list of str"}): "strings?",
}
_UNWRITTEN = "of another program: Chroma would add to them, and round their numbers"


class AdoptedCollection(ChromaCollection):
    """The records of a collection whose vectors and metadata are plainly what they are."""

    def __init__(self, model: Model, info: IndexInfo, settings: ChromaSettings) -> None:
        super().__init__(model, info, settings)
        self.scale = 1.0
        self.form = "one-minus" if info.metric == "dotproduct" else self.form
        # Chroma rounds what a filter compares with.
        nothing: frozenset[Any] = frozenset()
        self.capabilities = replace(self.capabilities, filters=nothing, filters_except=nothing)

    def searched(
        self, vectors: NDArray[np.float32], lengths: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """Return what Chroma is to search."""
        return vectors

    def whole(self, kept: NDArray[np.float32], rows: Sequence[Any]) -> NDArray[np.float32] | None:
        """Return vectors as Chroma keeps them."""
        return kept

    def value_of(self, name: str, row: Any) -> FieldValue:
        """Return the value of a field from metadata."""
        value: FieldValue = (row or {}).get(name)
        return value


def adopted(client: Session, model: Model, name: str, settings: ChromaSettings) -> ChromaCollection:
    """Return the index in a collection that another program made.

    Its metadata is read once, since Chroma does not say what the keys hold.

    Raises:
        CorruptStoreError: vecbridge made it, and another program replaced what said so.
        SchemaMismatchError: it does not say how long its vectors are, or how they are compared.
    """
    found = model.configuration_json or {}
    space = (found.get("hnsw") or found.get("spann") or {}).get("space")
    if model.dimension is None or space not in _METRICS:
        raise SchemaMismatchError(
            f"the collection of index {name!r} has no records and so no dimension yet, or none of "
            f"the spaces cosine, ip and l2; write with the program that made it, or drop it"
        )
    kinds: dict[str, Counter[str]] = {}
    for row in all_metadata(client, model):
        for key, value in (row or {}).items():
            kinds.setdefault(key, Counter())[_kind(value)] += 1
    if kinds.keys() & {NORM, DIGEST, REST}:
        raise CorruptStoreError(
            f"the collection of index {name!r} was made by vecbridge, and its metadata, which said "
            f"what is in it, was replaced by another program; restore it, or drop the collection",
            backend="chroma",
            operation="open_index",
        )
    fields: dict[str, FieldType] = {}
    unsupported = {"metadatas": _UNWRITTEN}
    for key, seen in sorted(kinds.items()):
        kind = _KINDS.get(frozenset(seen)) if is_name(key) else None
        if kind is not None:
            fields[key] = kind
        else:
            unsupported[key] = " and ".join(sorted(seen))
    info = IndexInfo(
        name,
        model.dimension,
        _METRICS[space],
        fields,
        unsupported=unsupported,
        required=frozenset({"metadatas"}),
    )
    return AdoptedCollection(model, info, settings)


def _kind(value: Any) -> str:
    if isinstance(value, list):
        return "list of " + " and ".join(sorted({type(each).__name__ for each in value}))
    return type(value).__name__
