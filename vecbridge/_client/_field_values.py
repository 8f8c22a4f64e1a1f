"""Check and convert the values of scalar fields, by what the index says that it holds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from vecbridge._contract._field_types import (
    FIRST_MICROSECOND,
    LAST_MICROSECOND,
    BaseType,
    FieldType,
    FieldValue,
    base_of,
    is_optional,
    microseconds,
)
from vecbridge._contract._limits import UNLIMITED, FieldLimits
from vecbridge._contract._records import Fields, IndexInfo, encodable
from vecbridge._errors import InvalidArgumentError


def fields(
    columns: Fields | None, info: IndexInfo, ids: Sequence[str]
) -> dict[str, list[FieldValue]]:
    """Check that every field of the index, and no other, has one value of its own per id.

    Args:
        columns: as the caller gave them.
        info: of the index.
        ids: of the records.

    Raises:
        InvalidArgumentError: a field is missing or unknown, or a value is not one of its field.
    """
    given, declared = mapping(columns), info.fields
    unknown = sorted(set(given) - set(declared), key=repr)
    absent = sorted(set(declared) - set(given))
    if unknown or absent:
        raise InvalidArgumentError(
            f"the index has the fields {sorted(declared)}; "
            f"missing: {absent}, not in the index: {unknown}"
        )
    return some_fields(given, info, ids)


def some_fields(columns: Any, info: IndexInfo, ids: Sequence[str]) -> dict[str, list[FieldValue]]:
    """Check columns of some fields of the index: one value of its own per id.

    Args:
        columns: as the caller gave them.
        info: of the index.
        ids: of the records.

    Raises:
        InvalidArgumentError: a field is unknown, or a value is not one of its field.
    """
    given = mapping(columns)
    unknown = sorted(set(given) - set(info.fields), key=repr)
    if unknown:
        raise InvalidArgumentError(
            f"the index has the fields {sorted(info.fields)}; not in the index: {unknown}"
        )
    return {
        name: column(
            name, given[name], info.fields[name], info.limits.get(name, UNLIMITED), len(ids), ids
        )
        for name in given
    }


def mapping(fields: Any) -> Mapping[str, Any]:
    """Return what maps the names of fields; empty for ``None``."""
    if fields is None:
        return {}
    if isinstance(fields, Mapping):
        return fields
    raise InvalidArgumentError(
        f"fields must be a mapping from the name of each field; got {fields!r}"
    )


def column(
    name: str,
    values: Any,
    kind: FieldType,
    limits: FieldLimits,
    count: int,
    ids: Sequence[str] = (),
) -> list[FieldValue]:
    """Return the values of one field as engines keep them.

    Args:
        name: of the field.
        values: as the caller gave them.
        kind: its type.
        limits: what it holds of its type.
        count: how many there must be.
        ids: of the records, for errors.

    Raises:
        InvalidArgumentError: there are not ``count`` of them, or the field does not hold one.
    """
    single = isinstance(values, (str, bytes, set, frozenset)) or not isinstance(values, Iterable)
    if single or (isinstance(values, np.ndarray) and not values.ndim):
        raise InvalidArgumentError(
            f"field {name!r} must have one value per record ({count}), in a sequence; "
            f"got {values!r}"
        )
    given = _listed(values)
    if len(given) != count:
        raise InvalidArgumentError(
            f"field {name!r} must have one value per record ({count}); got {len(given)}"
        )
    if not is_optional(kind) or not any(value is None for value in given):
        return _plain(name, given, range(count), kind, limits, ids)
    rows = [row for row, value in enumerate(given) if value is not None]
    kept: list[FieldValue] = [None] * count
    plain = _plain(name, [given[row] for row in rows], rows, kind, limits, ids)
    for row, value in zip(rows, plain, strict=True):
        kept[row] = value
    return kept


def _listed(values: Any) -> list[Any]:
    """Return a column as Python has it; one of pandas, polars or Arrow too, by its methods."""
    if isinstance(values, np.ndarray):
        return values.tolist()  # type: ignore[no-any-return]
    if hasattr(values, "to_pylist"):
        return list(values.to_pylist())
    if hasattr(values, "isna") and hasattr(values, "to_numpy"):
        # What pandas has for a missing value depends on the type of the column: NaN, NaT or NA.
        absent = values.isna()
        return [None if no else each for each, no in zip(values.tolist(), absent, strict=True)]
    # Of polars, an iterator gives lists as columns of their own.
    return list(values.to_list() if hasattr(values, "to_list") else values)


def _plain(
    name: str,
    given: list[Any],
    rows: Sequence[int],
    kind: FieldType,
    limits: FieldLimits,
    ids: Sequence[str],
) -> list[FieldValue]:
    """Return values, none of which is missing, as engines keep them."""
    base = base_of(kind)
    plain = given
    if set(map(type, given)) - {_CASTS[base].kept}:
        plain = _converted(given, base) or [
            _cast(name, value, kind, _whose(row, ids))
            for row, value in zip(rows, given, strict=True)
        ]
    if plain and not _held(plain, base, limits):
        at = next(at for at, value in enumerate(plain) if not _held([value], base, limits))
        raise InvalidArgumentError(
            f"field {name!r} holds {_range(base, limits)}; got "
            f"{_shown(given[at], base)}{_whose(rows[at], ids)}"
        )
    return plain


def _converted(given: list[Any], base: BaseType) -> list[Any] | None:
    """Convert times or lists of strings at once; ``None`` where one of them has to be named."""
    if not set(map(type, given)) <= _AT_ONCE.get(base, set()):
        return None
    try:
        return list(map(_CASTS[base].convert, given))
    except (TypeError, ValueError):
        return None


def _text(value: str) -> str:
    # Not ``str(value)``: a member of an enumeration of strings shows its name there.
    return str.__str__(value)


def _texts(values: Any) -> tuple[str, ...]:
    listed = values.tolist() if isinstance(values, np.ndarray) else values
    if not all(isinstance(value, str) for value in listed):
        raise TypeError("a value is no string")
    return tuple(map(_text, listed))


def _time(value: datetime) -> int:
    plain = microseconds(value)
    if not isinstance(plain, int):
        raise TypeError("it has nanoseconds, and a timestamp has microseconds; round it")
    return plain


def _number(value: Any) -> float:
    given = int(value) if isinstance(value, (int, np.integer)) else value
    plain = float(given)
    if plain != given and not math.isnan(plain):
        raise TypeError("no float of 64 bits equals it; float(...) is the one next to it")
    return plain


class _Cast(NamedTuple):
    """How values of one type become what engines keep.

    Attributes:
        accepted: classes of values.
        kept: the class of what engines keep.
        convert: converts an accepted value; raises :class:`TypeError` with the reason why not.
    """

    accepted: tuple[type, ...]
    kept: type[Any] | None
    convert: Callable[[Any], Any]


_CASTS: dict[BaseType, _Cast] = {
    "string": _Cast((str,), str, _text),
    "integer": _Cast((int, np.integer), int, int),
    "float": _Cast((float, int, np.floating, np.integer), float, _number),
    "boolean": _Cast((bool, np.bool_), bool, bool),
    # What engines keep of a time is an integer, which callers cannot give.
    "timestamp": _Cast((datetime,), None, _time),
    "strings": _Cast((list, tuple, np.ndarray), None, _texts),
}

_AT_ONCE: dict[BaseType, set[type]] = {"timestamp": {datetime}, "strings": {list, tuple}}


def _cast(name: str, value: object, kind: FieldType, whose: str) -> FieldValue:
    """Return one value of a field as engines keep it."""
    base = base_of(kind)
    accepted, _, convert = _CASTS[base]
    is_boolean = isinstance(value, (bool, np.bool_))
    # A time span of numpy is one of its integers.
    is_span = isinstance(value, np.timedelta64)
    wrong = f"field {name!r} holds {kind} values; got {value!r} ({type(value).__name__}){whose}"
    if not isinstance(value, accepted) or is_span or (is_boolean and base != "boolean"):
        hint = f". Only a field of type {base + '?'!r} may have none" if value is None else ""
        raise InvalidArgumentError(wrong + hint)
    try:
        plain: FieldValue = convert(value)
    except OverflowError:
        return math.inf
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(f"{wrong}: {error}") from error
    return plain


def _held(column: list[Any], kind: BaseType, limits: FieldLimits) -> bool:
    """Return whether the field holds the values, which are of its type, as they are."""
    if kind == "boolean":
        return True
    if kind == "integer":
        return bool(min(column) >= limits.smallest and max(column) <= limits.largest)
    if kind == "timestamp":
        return bool(min(column) >= FIRST_MICROSECOND and max(column) <= LAST_MICROSECOND)
    if kind == "float":
        return _held_floats(np.array(column, dtype=np.float64), limits)
    if kind == "string":
        return _held_texts(column, limits)
    few = all(len(value) <= limits.max_strings for value in column)
    return few and _held_texts(list(chain.from_iterable(column)), limits)


def _held_texts(texts: list[str], limits: FieldLimits) -> bool:
    joined = "\0".join(texts)
    if (texts and joined.count("\0") != len(texts) - 1) or not encodable(joined):
        return False
    return all(
        len(text.encode()) <= limits.max_bytes
        for text in texts
        # No character has more than four bytes.
        if len(text) > limits.max_bytes // 4
    )


def _held_floats(numbers: np.ndarray[Any, np.dtype[np.float64]], limits: FieldLimits) -> bool:
    if not np.isfinite(numbers).all():
        return False
    if not limits.single_precision:
        return True
    with np.errstate(all="ignore"):
        return bool((numbers.astype(np.float32) == numbers).all())


def _range(kind: BaseType, limits: FieldLimits) -> str:
    """Return what a field holds, for a message."""
    if kind == "string":
        return f"strings of at most {limits.max_bytes} bytes of UTF-8 without NUL"
    if kind == "strings":
        return (
            f"lists of at most {limits.max_strings} strings, each of at most {limits.max_bytes} "
            f"bytes of UTF-8 without NUL"
        )
    if kind == "integer":
        narrow = (limits.smallest, limits.largest) != (UNLIMITED.smallest, UNLIMITED.largest)
        within = f"integers from {limits.smallest} to {limits.largest}"
        return within if narrow else "integers of 64 bits"
    if kind == "float" and limits.single_precision:
        return "finite floats of 32 bits (float(numpy.float32(x)) is the one next to x)"
    if kind == "float":
        return "finite floats"
    return "times from year 1 to year 9999 in UTC" if kind == "timestamp" else "booleans"


def _shown(value: object, kind: BaseType) -> str:
    shown = repr(str(value)[:40])
    if kind == "string" and isinstance(value, str) and encodable(value):
        return f"{shown} ({len(value.encode())} bytes)"
    return shown


def _whose(row: int, ids: Sequence[str]) -> str:
    return f" in row {row}, the record {ids[row]!r}" if row < len(ids) else ""
