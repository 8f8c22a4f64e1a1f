"""Check and convert ids, counts and fields that the caller gives, before anything is changed."""

from __future__ import annotations

import math
import operator
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from vecbridge._contract._capabilities import MAX_DIMENSION
from vecbridge._contract._records import (
    FIELD_TYPES,
    MAX_TEXT_BYTES,
    Fields,
    FieldType,
    IndexInfo,
    Scalar,
    encodable,
)
from vecbridge._errors import (
    DuplicateIdError,
    InvalidArgumentError,
    InvalidIdError,
    UnsupportedError,
)

MAX_ID_BYTES = 512
_INDEX_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_CACHED = 4096


def index_name(name: object) -> str:
    """Check an index's name: a letter or underscore, then letters, digits, underscores."""
    if isinstance(name, str) and _INDEX_NAME.fullmatch(name):
        return name
    # Not before it is needed: importing vecbridge is to stay cheap.
    from vecbridge._redaction import quoted

    raise InvalidArgumentError(
        f"an index name is 1 to 255 letters, digits and underscores and starts with no digit; "
        f"got {quoted(name)}"
    )


def dimension(value: object) -> int:
    """Check a dimension: an integer from 1 to 32768."""
    number = _integer(value, "dimension")
    if not 1 <= number <= MAX_DIMENSION:
        raise InvalidArgumentError(f"dimension must be 1 to {MAX_DIMENSION}; got {number}")
    return number


def positive(value: object, name: str) -> int:
    """Check a count such as ``k``: an integer of at least 1."""
    number = _integer(value, name)
    if number < 1:
        raise InvalidArgumentError(f"{name} must be at least 1; got {number}")
    return number


def ids(values: Iterable[str], *, unique: bool) -> list[str]:
    """Check ids, whole columns at a time.

    Args:
        values: the ids; a single string is refused, since it is a sequence of characters.
        unique: whether each stands for one row of other columns, so that two equal ids are an
            error, and a set is too; otherwise the later ones are dropped.

    Raises:
        InvalidIdError: one is not a str, is empty, holds NUL or a lone surrogate, or is over
            512 bytes of UTF-8; or they are in no order and must be.
        DuplicateIdError: two are equal.
    """
    if unique and isinstance(values, (set, frozenset)):
        raise InvalidIdError(
            "ids must be in the order of their vectors, and a set has none; give a list"
        )
    column = id_column(values)
    distinct = dict.fromkeys(column)
    if len(distinct) == len(column):
        return column
    if unique:
        repeated = next(value for value, times in Counter(column).items() if times > 1)
        raise DuplicateIdError(
            f"{len(column) - len(distinct)} of {len(column)} ids are repeated, {repeated!r} among "
            f"them; give each id once in a call"
        )
    return list(distinct)


def id_column(values: Any) -> list[str]:
    """Check ids one by one and return them as plain strings, in their order, repeated ones too."""
    if isinstance(values, str):
        raise InvalidIdError(f"ids must be a sequence of strings; got one string: {values!r}")
    if not isinstance(values, Iterable) or (isinstance(values, np.ndarray) and not values.ndim):
        raise InvalidIdError(
            f"ids must be a sequence of strings; got {values!r} ({type(values).__name__})"
        )
    column: list[str] = []
    for start, part in slices(_listed(values)):
        plain = part
        if list(map(type, part)).count(str) < len(part):
            plain = [
                value if type(value) is str else _plain_string(value, position)
                for position, value in enumerate(part, start)
            ]
        _check_text(plain, start)
        column += plain
    return column


def _listed(values: Iterable[Any]) -> Sequence[Any]:
    """Return what can be sliced. A slice is a copy, so a list need not be copied first."""
    if isinstance(values, np.ndarray):
        return values.tolist()  # type: ignore[no-any-return]
    return values if type(values) is list else list(values)


def slices(column: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield the parts of a long column, and where each begins.

    To look at a string twice costs little while it is in the processor's cache, and a slice fetches
    its strings faster than anything that looks at them one by one.
    """
    for start in range(0, len(column), _CACHED):
        yield start, column[start : start + _CACHED]


def listed(some: set[str], column: Sequence[str]) -> set[str]:
    """Return those of a few ids that are in a column, without making a set of the column."""
    return set[str]().union(*(some.intersection(part) for _, part in slices(column)))


def _plain_string(value: object, position: int) -> str:
    if isinstance(value, str):
        # Not ``str(value)``: a member of an enumeration of strings shows its name there.
        return str.__str__(value)
    raise InvalidIdError(
        f"ids must be strings; number {position} is {value!r} ({type(value).__name__}). Convert "
        f"them with str()"
    )


def _check_text(column: Sequence[str], first: int) -> None:
    """Check the joined text in one pass; look for the culprit only where that fails."""
    joined = "\0".join(column)
    if encodable(joined):
        data = np.frombuffer(joined.encode(), dtype=np.uint8)
        # In UTF-8, nothing but NUL has a byte that is zero.
        ends = np.flatnonzero(data == 0)
        sizes = np.diff(ends, prepend=-1, append=len(data)) - 1
        if len(sizes) == len(column) and sizes.min() > 0 and sizes.max() <= MAX_ID_BYTES:
            return
    for position, value in enumerate(column, first):
        _check_id(value, position)


def id_fault(value: str, called: str = "this one") -> str | None:
    """Return what is wrong with a string as an id, or ``None``."""
    if not value:
        return f"ids must have at least one character; {called} is empty"
    if "\0" in value:
        return f"ids must not hold NUL; {called} is {value!r}"
    if not encodable(value):
        return f"ids must be encodable as UTF-8; {called} is {value!r}"
    if (size := len(value.encode())) > MAX_ID_BYTES:
        return (
            f"ids must be at most {MAX_ID_BYTES} bytes of UTF-8; {called} has {size}: "
            f"{value[:40]!r}..."
        )
    return None


def _check_id(value: str, position: int) -> None:
    if fault := id_fault(value, f"number {position}"):
        raise InvalidIdError(fault)


def _integer(value: object, name: str) -> int:
    if isinstance(value, (bool, np.bool_)):
        raise InvalidArgumentError(f"{name} must be an integer; got {value!r}")
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise InvalidArgumentError(f"{name} must be an integer; got {value!r}") from None


def field_types(fields: Mapping[str, object] | None) -> dict[str, FieldType]:
    """Check the declaration of scalar fields."""
    checked: dict[str, FieldType] = {}
    for name, wanted in _mapping(fields).items():
        index_name(name)
        checked[name] = _field_type(name, wanted)
    return checked


def fields(
    columns: Fields | None, declared: Mapping[str, FieldType], count: int
) -> dict[str, list[Scalar]]:
    """Check that every declared field, and no other, has ``count`` values of its type."""
    given = _mapping(columns)
    unknown = sorted(set(given) - set(declared), key=repr)
    absent = sorted(set(declared) - set(given))
    if unknown or absent:
        raise InvalidArgumentError(
            f"the index has the fields {sorted(declared)}; "
            f"missing: {absent}, not in the index: {unknown}"
        )
    return {name: _column(name, given[name], kind, count) for name, kind in declared.items()}


def _mapping(fields: Any) -> Mapping[str, Any]:
    if fields is None:
        return {}
    if isinstance(fields, Mapping):
        return fields
    raise InvalidArgumentError(
        f"fields must be a mapping from the name of each field; got {fields!r}"
    )


def _text(value: str) -> str:
    # Not ``str(value)``: a member of an enumeration of strings shows its name there.
    return str.__str__(value)


_FIELD_CASTS: dict[FieldType, tuple[tuple[type, ...], type[Any], Callable[[Any], Any]]] = {
    "string": ((str,), str, _text),
    "integer": ((int, np.integer), int, int),
    "float": ((float, int, np.floating, np.integer), float, float),
    "boolean": ((bool, np.bool_), bool, bool),
}


def _field_type(name: str, wanted: object) -> FieldType:
    # An array as a type would not compare to one truth value.
    if isinstance(wanted, str):
        for known in FIELD_TYPES:
            if known == wanted:
                return known
    raise InvalidArgumentError(
        f"field {name!r} must be one of {', '.join(FIELD_TYPES)}; got {wanted!r}"
    )


def _column(name: str, values: Any, kind: FieldType, count: int) -> list[Scalar]:
    single = isinstance(values, (str, bytes, set, frozenset)) or not isinstance(values, Iterable)
    if single or (isinstance(values, np.ndarray) and not values.ndim):
        raise InvalidArgumentError(
            f"field {name!r} must have one value per record ({count}), in a sequence; "
            f"got {values!r}"
        )
    column: list[Scalar] = values.tolist() if isinstance(values, np.ndarray) else list(values)
    if len(column) != count:
        raise InvalidArgumentError(
            f"field {name!r} must have one value per record ({count}); got {len(column)}"
        )
    plain = _FIELD_CASTS[kind][1]
    if set(map(type, column)) - {plain}:
        column = [_scalar(name, value, kind) for value in column]
    if column and not _storable(column, kind):
        culprit = next(value for value in column if not _storable([value], kind))
        raise InvalidArgumentError(
            f"field {name!r} holds {_RANGES[kind]}; got {str(culprit)[:40]!r}"
        )
    return column


def _scalar(name: str, value: object, kind: FieldType) -> Scalar:
    """Return one value of a field as a plain Python scalar."""
    accepted, _, cast = _FIELD_CASTS[kind]
    is_boolean = isinstance(value, (bool, np.bool_))
    # A time span of numpy is one of its integers.
    is_span = isinstance(value, np.timedelta64)
    if not isinstance(value, accepted) or is_span or (is_boolean and kind != "boolean"):
        raise InvalidArgumentError(
            f"field {name!r} holds {kind} values; got {value!r} ({type(value).__name__})"
        )
    try:
        plain: Scalar = cast(value)
    except OverflowError:
        return math.inf
    return plain


_RANGES: dict[FieldType, str] = {
    "string": f"strings of at most {MAX_TEXT_BYTES} bytes of UTF-8 without NUL",
    "integer": "integers of 64 bits",
    "float": "finite floats",
    "boolean": "booleans",
}


def _storable(column: list[Any], kind: FieldType) -> bool:
    """Return whether every store can keep the values, which are of the right type."""
    if kind == "integer":
        return bool(min(column) >= -(2**63) and max(column) < 2**63)
    if kind == "float":
        return bool(np.isfinite(column).all())
    if kind == "boolean":
        return True
    joined = "\0".join(column)
    if joined.count("\0") != len(column) - 1 or not encodable(joined):
        return False
    return all(
        len(value.encode()) <= MAX_TEXT_BYTES
        for value in column
        if len(value) > MAX_TEXT_BYTES // 4
    )


def refuse_unsupported(info: IndexInfo, loss: str, *, dropped: bool) -> None:
    """Refuse to lose what an index holds and no field type expresses.

    Args:
        info: of the index.
        loss: what would be lost, and how.
        dropped: the caller said that it may be lost.

    Raises:
        UnsupportedError: something would be lost, and the caller did not allow it.
    """
    if info.unsupported and not dropped:
        raise UnsupportedError(
            f"the records of index {info.name!r} carry what vecbridge has no field type for: "
            f"{unsupported_of(info)}. {loss}. Use what the store itself offers for it, or say that "
            f"it may be lost (drop_unsupported=True; --drop-unsupported for a command)",
            capability="fields",
        )


def unsupported_of(info: IndexInfo) -> str:
    """Return the names and kinds of what no field type expresses, for a message."""
    return ", ".join(f"{name} ({kind})" for name, kind in info.unsupported.items())
