"""The types of scalar fields, and the values that engines keep of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast, get_args

from vecbridge._errors import UnsupportedError

if TYPE_CHECKING:
    from fractions import Fraction

BaseType = Literal["string", "integer", "float", "boolean", "timestamp", "strings"]
"""What a field holds where it has a value."""

FieldType = Literal[
    "string",
    "integer",
    "float",
    "boolean",
    "timestamp",
    "strings",
    "string?",
    "integer?",
    "float?",
    "boolean?",
    "timestamp?",
    "strings?",
]
"""The type of a scalar field. With ``?`` a record may have no value of it: ``None``."""

BASE_TYPES: tuple[BaseType, ...] = get_args(BaseType)
"""Every type of values."""

FIELD_TYPES: tuple[FieldType, ...] = get_args(FieldType)
"""Every type of a field: those of values, and each of them with ``?``."""

Scalar: TypeAlias = str | int | float | bool
"""A value that filters compare, as engines have it: a timestamp is an integer."""

Operand: TypeAlias = Scalar | datetime
"""What a caller compares a field with."""

FieldValue: TypeAlias = str | int | float | bool | datetime | Sequence[str] | None
"""The value of a scalar field. An engine keeps a timestamp as an integer."""

MAX_STRINGS = 4096
"""Most strings in one value of a field of type ``strings``."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
FIRST_MICROSECOND = (datetime.min.replace(tzinfo=timezone.utc) - _EPOCH) // _MICROSECOND
LAST_MICROSECOND = (datetime.max.replace(tzinfo=timezone.utc) - _EPOCH) // _MICROSECOND


def base_of(kind: FieldType) -> BaseType:
    """Return the type without what says that a value may be missing."""
    return cast(BaseType, kind.removesuffix("?"))


def as_optional(kind: BaseType) -> FieldType:
    """Return the type of a field of which a record may have no value."""
    return cast(FieldType, f"{kind}?")


def is_optional(kind: FieldType) -> bool:
    """Return whether a record may have no value of such a field."""
    return kind.endswith("?")


def refuse_unknown_types(
    fields: Mapping[str, FieldType], known: Collection[FieldType], backend: str
) -> None:
    """Refuse to make an index with fields that a backend cannot keep.

    Args:
        fields: of the index.
        known: the types that the backend keeps.
        backend: its name.

    Raises:
        UnsupportedError: a field has another type.
    """
    for name, kind in fields.items():
        if kind not in known:
            offered = ", ".join(each for each in FIELD_TYPES if each in known) or "none"
            raise UnsupportedError(
                f"{backend} does not support fields of type {kind!r}, which {name!r} has; it "
                f"supports {offered}",
                capability="field_types",
            )


def microseconds(time: datetime) -> int | Fraction:
    """Return an aware time as microseconds since 1970-01-01 UTC, as engines keep it.

    Returns:
        A fraction where a time of pandas has nanoseconds.

    Raises:
        ValueError: it has no time zone, or is no time, as pandas' ``NaT``; says which.
    """
    if time != time:  # noqa: PLR0124 - pandas' NaT, which is a datetime
        raise ValueError("it is not a time; use None for a missing value")
    try:
        aware = time.utcoffset() is not None
        whole = (time - _EPOCH) // _MICROSECOND if aware else 0
    except Exception as error:
        raise ValueError(f"its time zone is unusable: {error}") from error
    if not aware:
        raise ValueError("it has no time zone; give one, as in .replace(tzinfo=timezone.utc)")
    nanoseconds = getattr(time, "nanosecond", 0)
    if not nanoseconds:
        return whole
    # The module is slow to load, and seldom needed.
    from fractions import Fraction

    return whole + Fraction(nanoseconds, 1000)


def for_caller(column: Iterable[Any], kind: FieldType) -> list[Any]:
    """Return values as the caller sees them: new lists, times in UTC, and lists of strings.

    Args:
        column: values that an engine gave.
        kind: the type of the field.
    """
    convert = _CONVERSIONS.get(base_of(kind))
    if convert is None:
        return list(column)
    return [None if value is None else convert(value) for value in column]


def _time(value: int) -> datetime:
    return _EPOCH + value * _MICROSECOND


_CONVERSIONS: dict[BaseType, Callable[[Any], object]] = {"timestamp": _time, "strings": list}
