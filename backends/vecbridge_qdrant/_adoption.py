"""Collections that another program made, read as indexes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any
from uuid import UUID

from qdrant_client import models

from vecbridge import FieldType, IndexInfo, Metric, SchemaMismatchError
from vecbridge.remote import is_name
from vecbridge_qdrant._layout import Layout, identity_of
from vecbridge_qdrant._settings import QdrantSettings

LOOKED_AT = 100
"""How many points say what the payloads of a collection hold."""

_METRICS: dict[models.Distance, Metric] = {
    models.Distance.COSINE: "cosine",
    models.Distance.DOT: "dotproduct",
    models.Distance.EUCLID: "euclidean",
}
_KINDS: dict[type, FieldType] = {str: "string?", bool: "boolean?", int: "integer?"}
_FIFTYONE = re.compile("[0-9a-f]{24}")
_PADDING = "00000000"
_NUMBER = re.compile("0|[1-9][0-9]{0,19}")
_POINTS = 2**64


def adopted(
    settings: QdrantSettings,
    name: str,
    collection: str,
    found: models.CollectionInfo,
    payloads: Sequence[Mapping[str, Any]],
    *,
    strong: bool,
) -> Layout:
    """Return how an index is kept in a collection that another program made.

    Args:
        settings: of the store.
        name: of the index.
        collection: of the collection.
        found: what the server says of it.
        payloads: of its first points.
        strong: an acknowledged write is seen by every later read.

    Raises:
        SchemaMismatchError: an index cannot be kept in it.
    """
    given = found.config.params.vectors or {}
    vectors = {"": given} if isinstance(given, models.VectorParams) else dict(given)
    chosen = settings.vector_name if settings.vector_name is not None else next(iter(vectors), "")
    if chosen not in vectors or (settings.vector_name is None and len(vectors) > 1):
        raise SchemaMismatchError(
            f"the collection of index {name!r} has {len(vectors)} kinds of vectors"
            f" ({', '.join(map(repr, vectors)) or 'none'}); name one, with the setting vector_name"
        )
    params = vectors[chosen]
    if params.multivector_config is not None or params.distance not in _METRICS:
        raise SchemaMismatchError(
            f"the vectors {chosen!r} of the collection of index {name!r} are compared by "
            f"{params.distance}, or several of a point; an index has one vector per record, and "
            f"compares by Cosine, Dot or Euclid"
        )
    fields, unsupported = _payload(payloads)
    others = {*vectors, *(found.config.params.sparse_vectors or {})} - {chosen}
    unsupported |= dict.fromkeys(others, "vectors of another name")
    is_fiftyones = all(payload.keys() == {"sample_id"} for payload in payloads)
    if (found.points_count or 0) > LOOKED_AT and not is_fiftyones:
        unsupported["(payload)"] = f"what only points after the first {LOOKED_AT} hold"
    rounding = ""
    if params.distance == models.Distance.COSINE:
        rounding = "Cosine, which would change what is written to unit length"
    elif params.datatype not in (None, models.Datatype.FLOAT32):
        rounding = f"{params.datatype}, which would round what is written"
    if rounding:
        unsupported[chosen or "vector"] = rounding
    info = IndexInfo(
        name,
        params.size,
        _METRICS[params.distance],
        MappingProxyType(fields),
        unsupported=MappingProxyType(unsupported),
        required=frozenset({chosen or "vector"} if rounding else ()),
    )
    return Layout(
        info,
        collection,
        kept=chosen,
        searched=chosen,
        approximate=True,
        point_of=_point_of,
        id_of=_id_of,
        strong=strong,
        identity=identity_of(found),
    )


def _payload(
    payloads: Sequence[Mapping[str, Any]],
) -> tuple[dict[str, FieldType], dict[str, str]]:
    """Return the fields that payloads hold, and what no field can hold."""
    fields: dict[str, FieldType] = {}
    unsupported: dict[str, str] = {}
    kinds: dict[str, set[type]] = {}
    for payload in payloads:
        for key, value in payload.items():
            if value is not None:
                kinds.setdefault(key, set()).add(type(value))
    for key, types in kinds.items():
        kind = _KINDS.get(next(iter(types))) if len(types) == 1 else None
        if kind is not None and is_name(key):
            fields[key] = kind
        else:
            unsupported[key] = " or ".join(sorted(each.__name__ for each in types))
    return fields, unsupported


def _id_of(point: int | str) -> str:
    """Return the id of a point: FiftyOne's own where it can be one."""
    text = str(point)
    digits = text.replace("-", "")
    if isinstance(point, str) and digits.endswith(_PADDING):
        return digits[: -len(_PADDING)]
    return text


def _point_of(name: str) -> int | str | None:
    """Return the point that stands for an id, and for no other one."""
    if _FIFTYONE.fullmatch(name):
        return str(UUID(name + _PADDING))
    if _NUMBER.fullmatch(name):
        return int(name) if int(name) < _POINTS else None
    try:
        point = str(UUID(name))
    except ValueError:
        return None
    return point if point == name and not name.endswith(_PADDING) else None
