"""How an index is laid out as a collection, and read back from one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from vecbridge import (
    Consistency,
    FieldType,
    IndexInfo,
    InvalidArgumentError,
    Metric,
    SchemaMismatchError,
)

if TYPE_CHECKING:
    from pymilvus import MilvusClient

KEY = "pk"
VECTOR = "vector"
NORM = "vecbridge_norm"
# Milvus begins at two dimensions. Lite keeps no description, so the name of the field tells.
NORM_OF_PADDED = "vecbridge_norm_padded"
KEY_BYTES = 512
TEXT_BYTES = 65535
_VERSION = 1
_RESERVED = frozenset({KEY, VECTOR, NORM, NORM_OF_PADDED})
_KEYWORDS = frozenset(
    {
        *(
            "and",
            "or",
            "not",
            "in",
            "like",
            "is",
            "null",
            "exists",
            "true",
            "false",
            "iso",
            "interval",
        ),
        *("json_contains", "json_contains_all", "json_contains_any", "text_match"),
        *("array_contains", "array_contains_all", "array_contains_any", "array_length"),
    }
)
_METRICS: dict[Metric, str] = {"euclidean": "L2", "dotproduct": "IP", "cosine": "COSINE"}
_LEVELS: tuple[Consistency, ...] = ("strong", "session", "bounded", "eventual")
_WORDS: dict[Consistency, str] = dict(
    zip(_LEVELS, ("Strong", "Session", "Bounded", "Eventually"), strict=True)
)


@dataclass(frozen=True)
class Layout:
    """What the server says a collection is.

    Attributes:
        info: the index as the contract describes it.
        collection: the collection's id.
        key: name of the primary key.
        vector: name of the vector field.
        norm: name of the field with the vectors' exact norms; ``None`` in a collection that
            somebody else made.
        stored_dimension: length of the vectors on the server.
        index_type: Milvus's name of the vector index.
    """

    info: IndexInfo
    collection: int
    key: str
    vector: str
    norm: str | None
    stored_dimension: int
    index_type: str

    @property
    def exhaustive(self) -> bool:
        """Whether a search looks at every record."""
        return self.index_type == "FLAT"


def create(
    client: MilvusClient,
    name: str,
    *,
    dimension: int,
    metric: Metric,
    fields: Mapping[str, FieldType],
    consistency: Consistency,
    timeout: float,
) -> None:
    """Makes the collection of a new index, with its vector index, loaded."""
    from pymilvus import DataType

    check_field_names(fields)
    types = {
        "string": DataType.VARCHAR,
        "integer": DataType.INT64,
        "float": DataType.DOUBLE,
        "boolean": DataType.BOOL,
    }
    schema = client.create_schema(
        auto_id=False, enable_dynamic_field=False, description=json.dumps({"vecbridge": _VERSION})
    )
    schema.add_field(KEY, DataType.VARCHAR, is_primary=True, max_length=KEY_BYTES)
    schema.add_field(VECTOR, DataType.FLOAT_VECTOR, dim=max(dimension, 2))
    schema.add_field(NORM_OF_PADDED if dimension == 1 else NORM, DataType.DOUBLE)
    for field, kind in fields.items():
        limits = {"max_length": TEXT_BYTES} if kind == "string" else {}
        schema.add_field(field, types[kind], **limits)
    indexes = client.prepare_index_params()
    indexes.add_index(VECTOR, index_name=VECTOR, index_type="FLAT", metric_type=_METRICS[metric])
    client.create_collection(
        name,
        schema=schema,
        index_params=indexes,
        consistency_level=_WORDS[consistency],
        timeout=timeout,
    )


def read(client: MilvusClient, name: str, *, lite: bool, timeout: float) -> Layout:
    """Reads a collection's layout from the server.

    Raises:
        SchemaMismatchError: it is not laid out in a way that an index can be kept in.
    """
    described: dict[str, Any] = client.describe_collection(name, timeout=timeout)
    _check_version(name, described.get("description") or "")
    columns = {column["name"]: column for column in described["fields"]}
    key = _key(name, columns)
    vector = _vector(name, columns)
    index_type, metric = _vector_index(client, name, vector, timeout)
    norm = next((own for own in (NORM, NORM_OF_PADDED) if own in columns), None)
    stored = int(columns[vector]["params"]["dim"])
    info = IndexInfo(
        name=name,
        dimension=1 if norm == NORM_OF_PADDED else stored,
        metric=metric,
        fields=MappingProxyType(_scalar_fields(columns, {key, vector, norm})),
        consistency="strong" if lite else _level(int(described.get("consistency_level", 0))),
    )
    collection = int(described.get("collection_id") or 0)
    return Layout(info, collection, key, vector, norm, stored, index_type)


def check_field_names(fields: Mapping[str, FieldType]) -> None:
    """Refuses names that the collection, or the language of filters, has taken.

    Raises:
        InvalidArgumentError: one of the names is taken.
    """
    taken = sorted(name for name in fields if name in _RESERVED or name.lower() in _KEYWORDS)
    if taken:
        raise InvalidArgumentError(
            f"Milvus fields cannot be named {', '.join(taken)}: the names are taken by the index "
            f"itself or by Milvus's filter language; choose others"
        )


def _check_version(name: str, description: str) -> None:
    try:
        marker = json.loads(description)
    except ValueError:
        return
    version = marker.get("vecbridge") if isinstance(marker, dict) else None
    if isinstance(version, int) and version > _VERSION:
        raise SchemaMismatchError(
            f"collection {name!r} was made by a newer vecbridge (layout {version}, this one knows "
            f"{_VERSION}): upgrade vecbridge to open it"
        )


def _key(name: str, columns: Mapping[str, Any]) -> str:
    from pymilvus import DataType

    keys = [column for column in columns.values() if column.get("is_primary")]
    if len(keys) == 1 and keys[0]["type"] == DataType.VARCHAR and not keys[0].get("auto_id"):
        return str(keys[0]["name"])
    found = ", ".join(f"{key['name']} ({key['type'].name})" for key in keys) or "none"
    raise SchemaMismatchError(
        f"an index needs a primary key of strings that the caller chooses; collection {name!r} "
        f"has {found}. Copy its records to a new index"
    )


def _vector(name: str, columns: Mapping[str, Any]) -> str:
    from pymilvus import DataType

    vectors = [
        str(column["name"])
        for column in columns.values()
        if column["type"] == DataType.FLOAT_VECTOR
    ]
    if len(vectors) == 1:
        return vectors[0]
    raise SchemaMismatchError(
        f"an index needs one field of float32 vectors; collection {name!r} has "
        f"{len(vectors)}: {vectors}"
    )


def _vector_index(
    client: MilvusClient, name: str, vector: str, timeout: float
) -> tuple[str, Metric]:
    for index in client.list_indexes(name, field_name=vector):
        described: dict[str, Any] = client.describe_index(name, index, timeout=timeout)
        for metric, word in _METRICS.items():
            if str(described.get("metric_type", "")).upper() == word:
                return str(described["index_type"]).upper(), metric
    raise SchemaMismatchError(
        f"the vectors of collection {name!r} (field {vector!r}) have no index with the metric "
        f"{', '.join(_METRICS.values())}: create one on the server, then open the collection"
    )


def _scalar_fields(columns: Mapping[str, Any], others: set[str | None]) -> dict[str, FieldType]:
    from pymilvus import DataType

    kinds: dict[Any, FieldType] = {
        DataType.VARCHAR: "string",
        DataType.BOOL: "boolean",
        DataType.DOUBLE: "float",
        DataType.FLOAT: "float",
        DataType.INT8: "integer",
        DataType.INT16: "integer",
        DataType.INT32: "integer",
        DataType.INT64: "integer",
    }
    return {
        name: kinds[column["type"]]
        for name, column in columns.items()
        if name not in others and column["type"] in kinds
    }


def _level(number: int) -> Consistency:
    # 4 is "customized": the server guarantees nothing by itself.
    return _LEVELS[number] if number < len(_LEVELS) else "eventual"
