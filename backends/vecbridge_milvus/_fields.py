"""What the scalar fields of a collection are, and hold, as its schema says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vecbridge import FieldLimits, FieldType

KEY_BYTES = 512
TEXT_BYTES = 65535
KEYWORDS = frozenset(
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
        *("phrase_match", "random_sample", "minimum_should_match", "threshold"),
        *("match_all", "match_any", "match_least", "match_most", "match_exact"),
        *("element_filter", "text_match_fuzzy", "st_equals", "st_touches", "st_overlaps"),
        *("st_crosses", "st_contains", "st_intersects", "st_within", "st_dwithin", "st_isvalid"),
    }
)
"""The words of Milvus's filter language, in lower case; no expression can name a field so.

Which of them a server knows depends on its version, and no quotes make a name of them.
"""


MILVUS_FIELD_TYPES: frozenset[FieldType] = frozenset({"string", "integer", "float", "boolean"})


def type_of(column: Mapping[str, Any]) -> FieldType | None:
    """Return the type of the field that a column is; ``None`` where no type expresses it."""
    from pymilvus import DataType

    # Of a field, every record has a value; where it may be null, there is one that none stands for.
    if column.get("nullable"):
        return None
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
    return kinds.get(column["type"])


def limits_of(columns: Mapping[str, Mapping[str, Any]]) -> dict[str, FieldLimits]:
    """Return what fields hold, of those that hold less than their type allows.

    Args:
        columns: of the fields, as the server describes them, by name.
    """
    held = {name: _limits(name, column) for name, column in columns.items()}
    return {name: limits for name, limits in held.items() if limits != FieldLimits()}


def max_bytes(column: Mapping[str, Any], most: int) -> int:
    """Return the longest string that a column holds, in bytes, of at most so many.

    Lite counts characters, every server bytes.
    """
    said = int((column.get("params") or {}).get("max_length") or most)
    return min(said, most)


def is_required(column: Mapping[str, Any]) -> bool:
    """Return whether no row can be written without a value of a column."""
    free = ("nullable", "is_dynamic", "is_function_output", "auto_id")
    return not any(column.get(word) for word in free) and column.get("default_value") is None


def _limits(name: str, column: Mapping[str, Any]) -> FieldLimits:
    from pymilvus import DataType

    kind = column["type"]
    pushable = name.lower() not in KEYWORDS
    bits = {DataType.INT8: 8, DataType.INT16: 16, DataType.INT32: 32}.get(kind, 64)
    return FieldLimits(
        smallest=-(2 ** (bits - 1)),
        largest=2 ** (bits - 1) - 1,
        max_bytes=max_bytes(column, TEXT_BYTES) if kind == DataType.VARCHAR else TEXT_BYTES,
        single_precision=kind == DataType.FLOAT,
        pushable=pushable,
    )
