"""The types of scalar fields, for authors of backends."""

from __future__ import annotations

from vecbridge._contract._field_types import (
    BASE_TYPES,
    FIELD_TYPES,
    MAX_STRINGS,
    BaseType,
    FieldType,
    FieldValue,
    as_optional,
    base_of,
    is_optional,
    refuse_unknown_types,
)
from vecbridge._contract._limits import integer_of

__all__ = [
    "BASE_TYPES",
    "FIELD_TYPES",
    "MAX_STRINGS",
    "BaseType",
    "FieldType",
    "FieldValue",
    "as_optional",
    "base_of",
    "integer_of",
    "is_optional",
    "refuse_unknown_types",
]
