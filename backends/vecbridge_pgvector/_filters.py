"""Settled filters as SQL."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from psycopg import sql

from vecbridge import Scalar
from vecbridge.fields import BaseType, FieldType, base_of, is_optional
from vecbridge.filters import (
    And,
    Comparison,
    Contains,
    ContainsAny,
    Filter,
    IsMissing,
    Not,
    OneOf,
    Or,
)

_TIMES = sql.SQL("{} BETWEEN '0001-01-01 00:00:00+00' AND '9999-12-31 23:59:59.999999+00'")
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_TYPES: dict[BaseType, str] = {
    "string": "text",
    "integer": "bigint",
    "float": "double precision",
    "boolean": "boolean",
    "timestamp": "timestamptz",
    "strings": "text[]",
}


class Condition:
    """The condition of some records, and the values of its placeholders.

    Args:
        columns: expression of each field, and of :data:`vecbridge.remote.NORM`.
        fields: type of each field.
        where: a settled filter.

    Attributes:
        text: the condition.
        values: of its placeholders.
        names: of the fields that it compares.
    """

    def __init__(
        self,
        columns: Mapping[str, sql.Composable],
        fields: Mapping[str, FieldType],
        where: Filter,
    ) -> None:
        self._columns = columns
        self._kinds: dict[str, BaseType] = {name: base_of(kind) for name, kind in fields.items()}
        self.values: list[Any] = []
        self.names: set[str] = set()
        self.text = self._written(where)

    def _written(self, where: Filter) -> sql.Composed:
        match where:
            case And(left, right):
                return _of("({} AND {})", self._written(left), self._written(right))
            case Or(left, right):
                return _of("({} OR {})", self._written(left), self._written(right))
            case Not(operand):
                return _of("(NOT {})", self._written(operand))
            case IsMissing(name):
                return _of("({} IS NULL)", self._column(name))
            case Contains(name, value) if self._kinds[name] == "string":
                self.values.append(value)
                return _of("(strpos({}, %s) > 0)", self._column(name))
            case Contains(name, value):
                self.values.append([value])
                return _of("({} && %s::text[])", self._column(name))
            case ContainsAny(name, values):
                self.values.append([*values])
                return _of("({} && %s::text[])", self._column(name))
            case Comparison(name, word, value):
                self.values.append(self._value(name, value))
                operator = {"==": "=", "!=": "<>"}.get(word, word)
                kind = self._type(name)
                # A table that another program made orders texts by its own collation.
                order = ' COLLATE "C"' if kind == "text" and word not in {"==", "!="} else ""
                return _of(f"({{}}{order} {operator} %s::{kind})", self._column(name))
            case OneOf(name, values):
                self.values.append([self._value(name, value) for value in values])
                return _of(f"({{}} = ANY(%s::{self._type(name)}[]))", self._column(name))
        raise TypeError(f"{where} is no filter that an index declares")

    def _column(self, name: str) -> sql.Composable:
        self.names.add(name)
        return self._columns[name]

    def _type(self, name: str) -> str:
        return _TYPES[self._kinds.get(name, "float")]

    def _value(self, name: str, value: Scalar) -> object:
        if self._kinds.get(name) != "timestamp":
            return value
        return EPOCH + timedelta(microseconds=int(value))


def holds_time(column: sql.Composable) -> sql.Composed:
    """Return the condition that a column holds a time of the contract, where it holds one."""
    return _TIMES.format(column)


def column_type(kind: FieldType) -> sql.Composed:
    """Return what a field of a new table is declared as."""
    base = base_of(kind)
    ordered = ' COLLATE "C"' if base in {"string", "strings"} else ""
    return _of(_TYPES[base] + ordered + ("" if is_optional(kind) else " NOT NULL"))


def _of(text: str, *parts: sql.Composable) -> sql.Composed:
    # The text is made of this module's own words alone.
    return sql.SQL(text).format(*parts)  # pyright: ignore[reportArgumentType]
