"""What stores make of a settled filter whose logic has three values, as that of SQL."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

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
    matches,
)


def kept(value: Any) -> Any:
    """A value as an engine keeps it."""
    if isinstance(value, datetime):
        return (value - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(microseconds=1)
    return value


def three_valued(where: Filter, row: Mapping[str, Any]) -> bool | None:
    """What SQL says: a condition on a missing value is unknown, and so is its negation."""
    match where:
        case And(left, right):
            sides = {three_valued(left, row), three_valued(right, row)}
            return False if False in sides else None if None in sides else True
        case Or(left, right):
            sides = {three_valued(left, row), three_valued(right, row)}
            return True if True in sides else None if None in sides else False
        case Not(operand):
            inner = three_valued(operand, row)
            return None if inner is None else not inner
        case IsMissing(name):
            return row[name] is None
        case Comparison(name) | OneOf(name) | Contains(name) | ContainsAny(name):
            if row[name] is None:
                return None
            return bool(matches(where, {name: [row[name]]}, 1)[0])
    raise AssertionError(where)
