"""Check and convert what the caller gives, before anything is changed: ids, counts, names."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from vecbridge._client._field_values import mapping
from vecbridge._contract._capabilities import MAX_DIMENSION
from vecbridge._contract._field_types import FIELD_TYPES, FieldType
from vecbridge._contract._limits import MAX_ID_BYTES, NAME, integer_of
from vecbridge._contract._records import IndexInfo, encodable
from vecbridge._errors import (
    DuplicateIdError,
    InvalidArgumentError,
    InvalidIdError,
    UnsupportedError,
)

_CACHED = 4096
_SHOWN = 40


def index_name(name: object) -> str:
    """Check an index's name: a letter or underscore, then letters, digits, underscores."""
    if isinstance(name, str) and NAME.fullmatch(name):
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


def not_negative(value: object, name: str) -> int:
    """Check a count that may be 0, such as of queries: an integer of at least 0."""
    number = _integer(value, name)
    if number < 0:
        raise InvalidArgumentError(f"{name} must be at least 0; got {number}")
    return number


def ids(values: Iterable[str] | None, *, unique: bool, info: IndexInfo | None = None) -> list[str]:
    """Check ids, whole columns at a time.

    Args:
        values: the ids; a single string is refused, since it is a sequence of characters.
        unique: whether each stands for one row of other columns, so that two equal ids are an
            error, and a set is too; otherwise the later ones are dropped.
        info: of the index that is to hold them; without it, all that the contract allows is taken.

    Raises:
        InvalidIdError: one is not a str, is empty, holds NUL or a lone surrogate, or is none that
            the index holds; or they are in no order and must be.
        DuplicateIdError: two are equal.
    """
    if unique and isinstance(values, (set, frozenset)):
        raise InvalidIdError(
            "ids must be in the order of their vectors, and a set has none; give a list"
        )
    column = id_column(values, info)
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


def id_column(values: Any, info: IndexInfo | None = None) -> list[str]:
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
        _check_text(plain, start, info)
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


def _check_text(column: Sequence[str], first: int, info: IndexInfo | None) -> None:
    """Check the joined text in one pass; look for the culprit only where that fails."""
    max_bytes = MAX_ID_BYTES if info is None else info.max_id_bytes
    one_by_one = info is not None and info.integer_ids
    joined = "\0".join(column)
    if not one_by_one and encodable(joined):
        data = np.frombuffer(joined.encode(), dtype=np.uint8)
        # In UTF-8, nothing but NUL has a byte that is zero.
        ends = np.flatnonzero(data == 0)
        sizes = np.diff(ends, prepend=-1, append=len(data)) - 1
        if len(sizes) == len(column) and sizes.min() > 0 and sizes.max() <= max_bytes:
            return
    for position, value in enumerate(column, first):
        if fault := id_fault(value, f"number {position}", info):
            raise InvalidIdError(fault)


def id_fault(value: str, called: str = "this one", info: IndexInfo | None = None) -> str | None:
    """Return what is wrong with a string as an id, or ``None``."""
    max_bytes = MAX_ID_BYTES if info is None else info.max_id_bytes
    if not value:
        return f"ids must have at least one character; {called} is empty"
    if "\0" in value:
        return f"ids must not hold NUL; {called} is {value!r}"
    if not encodable(value):
        return f"ids must be encodable as UTF-8; {called} is {value!r}"
    if (size := len(value.encode())) > max_bytes:
        shown = f"{value[:_SHOWN]!r}..." if len(value) > _SHOWN else repr(value)
        here = "" if max_bytes == MAX_ID_BYTES else " in this index"
        return f"ids must be at most {max_bytes} bytes of UTF-8{here}; {called} has {size}: {shown}"
    if info is not None and info.integer_ids and integer_of(value) is None:
        return (
            f"ids of index {info.name!r} are the digits of integers of 64 bits, as in '-42'; "
            f"{called} is {value!r}"
        )
    return None


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
    for name, wanted in mapping(fields).items():
        index_name(name)
        checked[name] = _field_type(name, wanted)
    return checked


def column_types(types: Mapping[str, object] | None) -> dict[str, FieldType]:
    """Check the types that columns of a table are to become."""
    checked: dict[str, FieldType] = {}
    for name, wanted in mapping(types).items():
        checked[name] = _field_type(name, wanted, "column")
    return checked


def _field_type(name: str, wanted: object, what: str = "field") -> FieldType:
    # An array as a type would not compare to one truth value.
    if isinstance(wanted, str):
        for known in FIELD_TYPES:
            if known == wanted:
                return known
    raise InvalidArgumentError(
        f"{what} {name!r}: the type must be one of {', '.join(FIELD_TYPES)}; got {wanted!r}"
    )


def refuse_unsupported(info: IndexInfo, loss: str, *, dropped: bool) -> None:
    """Refuse to lose what an index holds and no field type expresses.

    Raises:
        UnsupportedError: something would be lost, and the caller did not allow it.
    """
    if info.unsupported and not dropped:
        raise UnsupportedError(
            f"the records of index {info.name!r} hold what vecbridge has no field type for: "
            f"{unsupported_of(info)}. {loss}. Use the store's own client for it, or allow the "
            f"loss (drop_unsupported=True; --drop-unsupported for a command)",
            capability="fields",
        )


def refuse_new(info: IndexInfo, there: Sequence[bool], column: Sequence[str]) -> None:
    """Refuse ids that are new to an index which keeps what it has, and takes nothing new.

    Raises:
        UnsupportedError: an id has no record yet.
    """
    new = [name for name, found in zip(column, there, strict=True) if not found]
    if new:
        asked = unsupported_of(info, info.required)
        raise UnsupportedError(
            f"{len(new)} of {len(column)} ids are new to index {info.name!r}, {new[0]!r} among "
            f"them, and its store takes no new record without a value of what vecbridge has no "
            f"field type for: {asked}. Nothing was written. Insert them with the store's own "
            f"client",
            capability="fields",
        )


def refuse_unwritable(info: IndexInfo, *, new: bool = False) -> None:
    """Refuse to write to an index whose store asks for more than records can carry.

    Args:
        info: of the index.
        new: whether records may be new that :func:`refuse_new` does not look at.

    Raises:
        UnsupportedError: ``info.required`` names what is asked for, or ``info.unwritable`` says
            what stands against it.
    """
    if info.unwritable:
        raise UnsupportedError(
            f"nothing can be written to index {info.name!r}: {info.unwritable}. Copy the records "
            f"to a new index",
            capability="fields",
        )
    if info.required and (new or not info.kept):
        asked = unsupported_of(info, info.required)
        raise UnsupportedError(
            f"no record can be written to index {info.name!r}: its store takes none without a "
            f"value of what vecbridge has no field type for: {asked}. "
            f"Write with the store's own client, or copy the records to a new index",
            capability="fields",
        )


def unsupported_of(info: IndexInfo, names: Container[str] | None = None) -> str:
    """Return the names and kinds of what no field type expresses, or some, for a message."""
    return ", ".join(
        f"{name} ({kind})"
        for name, kind in info.unsupported.items()
        if names is None or name in names
    )
