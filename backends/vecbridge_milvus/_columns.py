"""The columns that fields are kept in, and what those hold of the fields' values.

Where a value may be missing, Milvus Lite's column is null, and on a server a second column of
booleans says so. Servers before 2.5 ignore that a column is to be nullable; those since then
evaluate filters on nulls wrongly (milvus#46861, milvus#47116, milvus#48441), so that what others
made nullable is read and written there, and filtered here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vecbridge import FieldLimits, FieldType, SchemaMismatchError
from vecbridge.fields import (
    FIELD_TYPES,
    MAX_STRINGS,
    BaseType,
    as_optional,
    base_of,
    is_optional,
)
from vecbridge_milvus._expr import KEYWORDS, Presence

COLUMN_TYPES: dict[BaseType, str] = {
    "string": "VARCHAR",
    "integer": "INT64",
    "float": "DOUBLE",
    "boolean": "BOOL",
    "timestamp": "INT64",
    "strings": "ARRAY",
}
"""Milvus's type of the column that is made for a field."""

TEXT_BYTES = 65535
UNLIMITED = FieldLimits()

_BITS = {"INT8": 8, "INT16": 16, "INT32": 32, "INT64": 64}
_BASE_TYPES: dict[str, BaseType] = {
    **dict.fromkeys(_BITS, "integer"),
    "VARCHAR": "string",
    "FLOAT": "float",
    "DOUBLE": "float",
    "BOOL": "boolean",
}
_FILLERS: dict[BaseType, Any] = {
    "string": "",
    "integer": 0,
    "float": 0.0,
    "boolean": False,
    "timestamp": 0,
    "strings": [],
}
"""What stands in a column that cannot be null where a value is missing; no read shows it."""


@dataclass(frozen=True)
class FieldColumn:
    """Where one field is kept.

    Attributes:
        name: of the field, and of its column.
        kind: the field's type.
        limits: what the column holds of its values.
        flag: name of the column that says which values are missing; ``None`` where the field's own
            column is null there, or no value may be missing.
    """

    name: str
    kind: FieldType
    limits: FieldLimits = UNLIMITED
    flag: str | None = None

    @property
    def base(self) -> BaseType:
        """Return the type of the values."""
        return base_of(self.kind)

    @property
    def nullable(self) -> bool:
        """Return whether the column is null where a value is missing."""
        return is_optional(self.kind) and self.flag is None

    @property
    def presence(self) -> Presence | None:
        """Return what tells whether a record has a value; ``None`` where all have one."""
        if not is_optional(self.kind):
            return None
        return Presence.by_null(self.name) if self.flag is None else Presence.by_flag(self.flag)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of its columns."""
        return (self.name,) if self.flag is None else (self.name, self.flag)

    def stored(self, values: Sequence[Any]) -> dict[str, list[Any]]:
        """Return the columns that are written of values."""
        column = [*map(_listed, values)] if self.base == "strings" else list(values)
        if self.flag is None:
            return {self.name: column}
        filler = _FILLERS[self.base]
        filled = [filler if value is None else value for value in column]
        return {self.name: filled, self.flag: [value is None for value in column]}

    def given(self, rows: Iterable[Mapping[str, Any]]) -> list[Any]:
        """Return the values that rows hold."""
        if self.flag is not None:
            column = [None if row[self.flag] else row[self.name] for row in rows]
        else:
            column = [row[self.name] for row in rows]
        return [*map(_listed, column)] if self.base == "strings" else column


def made_columns(fields: Mapping[str, FieldType], *, nulls: bool) -> dict[str, FieldColumn]:
    """Return the columns to make for fields.

    Args:
        fields: name and type of each.
        nulls: whether columns may be null; otherwise a column is added for each optional field,
            under a name that no field has.
    """
    columns: dict[str, FieldColumn] = {}
    taken = set(fields)
    for name, kind in fields.items():
        flag = None
        if is_optional(kind) and not nulls:
            flag = f"{name}__missing"
            while flag in taken:
                flag += "_"
            taken.add(flag)
        columns[name] = FieldColumn(name, kind, flag=flag)
    return columns


def recorded(columns: Iterable[FieldColumn]) -> dict[str, Any]:
    """Return what a collection has to say of its columns beside their own description."""
    found = list(columns)
    flags = {column.name: column.flag for column in found if column.flag is not None}
    kinds: dict[str, Any] = {"fields": {column.name: column.kind for column in found}}
    return {**kinds, "missing": flags} if flags else kinds


def read_columns(
    name: str,
    described: Mapping[str, Mapping[str, Any]],
    made: Mapping[str, Any],
    *,
    lite: bool,
) -> dict[str, FieldColumn]:
    """Return the fields that columns are, of those that a type of field expresses.

    Args:
        name: of the collection.
        described: what the server says of its columns, by name.
        made: what :func:`recorded` gave, where the collection is one of ours.
        lite: whether it is kept by Milvus Lite.

    Raises:
        SchemaMismatchError: a column that the collection speaks of is not there.
    """
    kinds, flags = made.get("fields") or {}, made.get("missing") or {}
    gone = sorted(each for pair in flags.items() for each in pair if each not in described)
    if gone:
        raise SchemaMismatchError(
            f"collection {name!r} has no column {gone[0]!r} any more, which says what values "
            f"are missing; restore it, or copy the other fields to a new index"
        )
    hidden = set(flags.values())
    found = {}
    for each, column in described.items():
        kind = None if each in hidden else _kind(column, kinds.get(each))
        if kind is not None:
            pushable = each.lower() not in KEYWORDS and (lite or not column.get("nullable"))
            limits = _limits(column, pushable=pushable)
            found[each] = FieldColumn(each, kind, limits, flags.get(each))
    return found


def type_name(column: Mapping[str, Any], word: str = "type") -> str:
    """Return Milvus's name of a column's type, or of its elements'."""
    from pymilvus import DataType

    return str(DataType(column[word]).name)


def shown(column: Mapping[str, Any]) -> str:
    """Return what a column holds, for a message."""
    kind = type_name(column)
    if kind == "ARRAY" and column.get("element_type"):
        kind = f"ARRAY of {type_name(column, 'element_type')}"
    return f"{kind}, nullable" if column.get("nullable") else kind


def max_bytes(column: Mapping[str, Any], most: int) -> int:
    """Return the longest string that a column holds, in bytes, of at most so many.

    Lite counts characters, every server bytes.
    """
    return _said(column, "max_length", most)


def _kind(column: Mapping[str, Any], wanted: object) -> FieldType | None:
    """Return the type of the field that a column is; ``None`` where no type expresses it."""
    kind = type_name(column)
    base = _BASE_TYPES.get(kind)
    if kind == "ARRAY" and type_name(column, "element_type") == "VARCHAR":
        base = "strings"
    for known in FIELD_TYPES:
        if known == wanted and COLUMN_TYPES[base_of(known)] == kind:
            return known
    if base is None or not column.get("nullable"):
        return base
    # Where there is a default, a server puts it in the place of every null that is written.
    return base if column.get("default_value") is not None else as_optional(base)


def _limits(column: Mapping[str, Any], *, pushable: bool) -> FieldLimits:
    kind = type_name(column)
    bits = _BITS.get(kind, 64)
    return FieldLimits(
        smallest=-(2 ** (bits - 1)),
        largest=2 ** (bits - 1) - 1,
        max_bytes=max_bytes(column, TEXT_BYTES) if kind in {"VARCHAR", "ARRAY"} else TEXT_BYTES,
        max_strings=_said(column, "max_capacity", MAX_STRINGS),
        single_precision=kind == "FLOAT",
        pushable=pushable,
    )


def _said(column: Mapping[str, Any], word: str, most: int) -> int:
    said = int((column.get("params") or {}).get(word) or most)
    return min(said, most)


def _listed(value: Iterable[str] | None) -> list[str] | None:
    return None if value is None else list(value)
