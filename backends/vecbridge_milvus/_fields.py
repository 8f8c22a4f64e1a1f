"""Which columns of a collection are fields of its records, and which no type of field expresses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vecbridge import FieldType

_DYNAMIC = "$meta"
"""Milvus's own name of the column that holds them."""


def scalar_fields(columns: Mapping[str, Any], others: set[str | None]) -> dict[str, FieldType]:
    """Name and type of each field.

    Args:
        columns: as the server describes them, by name.
        others: columns that make up the record itself.
    """
    return {
        name: kind
        for name, column in columns.items()
        if name not in others and (kind := _type_of(column)) is not None
    }


def unsupported(described: Mapping[str, Any], others: set[str | None]) -> dict[str, str]:
    """What else the rows hold, which a read does not show and an upsert would erase.

    A column that the server computes from others, as BM25 vectors are from a text, is not lost.

    Args:
        described: the collection, as the server describes it.
        others: columns that make up the record itself.
    """
    found = {
        str(column["name"]): _named(column)
        for column in described["fields"]
        if column["name"] not in others
        and _type_of(column) is None
        and not column.get("is_function_output")
        and not column.get("is_dynamic")
    }
    found |= {str(each["name"]): "a list of structs" for each in _structs(described)}
    if described.get("enable_dynamic_field"):
        found[_DYNAMIC] = "dynamic fields"
    return found


def _type_of(column: Mapping[str, Any]) -> FieldType | None:
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


def _named(column: Mapping[str, Any]) -> str:
    from pymilvus import DataType

    kind = DataType(column["type"]).name
    if kind == "ARRAY" and column.get("element_type"):
        kind = f"ARRAY of {DataType(column['element_type']).name}"
    return f"{kind}, nullable" if column.get("nullable") else kind


def _structs(described: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from described.get("struct_array_fields") or described.get("struct_fields") or ()
