"""Checks and converts what the caller gives, before anything is changed."""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from vecbridge._contract._records import encodable
from vecbridge._errors import (
    DuplicateIdError,
    InvalidArgumentError,
    InvalidIdError,
)

MAX_ID_BYTES = 512
MAX_DIMENSION = 32768
_INDEX_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_CACHED = 4096


def index_name(name: object) -> str:
    """Checks an index's name: a letter or underscore, then letters, digits, underscores."""
    if isinstance(name, str) and _INDEX_NAME.fullmatch(name):
        return name
    # Not before it is needed: importing vecbridge is to stay cheap.
    from vecbridge._redaction import quoted

    raise InvalidArgumentError(
        f"an index name is 1 to 255 letters, digits and underscores and starts with no digit; "
        f"got {quoted(name)}"
    )


def dimension(value: object) -> int:
    """Checks a dimension: an integer from 1 to 32768."""
    number = _integer(value, "dimension")
    if not 1 <= number <= MAX_DIMENSION:
        raise InvalidArgumentError(f"dimension must be 1 to {MAX_DIMENSION}; got {number}")
    return number


def positive(value: object, name: str) -> int:
    """Checks a count such as ``k``: an integer of at least 1."""
    number = _integer(value, name)
    if number < 1:
        raise InvalidArgumentError(f"{name} must be at least 1; got {number}")
    return number


def ids(values: Iterable[str], *, unique: bool) -> list[str]:
    """Checks ids, whole columns at a time.

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
    """Checks ids one by one, and leaves repeated ones in: plain strings, in the order given."""
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
    """As what can be sliced; slices are copies, which is all that a list has to be safe."""
    if isinstance(values, np.ndarray):
        return values.tolist()  # type: ignore[no-any-return]
    return values if type(values) is list else list(values)


def slices(column: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    """Parts of a long column, and where each begins.

    To look at a string twice costs little while it is in the processor's cache, and a slice fetches
    its strings faster than anything that looks at them one by one.
    """
    for start in range(0, len(column), _CACHED):
        yield start, column[start : start + _CACHED]


def listed(some: set[str], column: Sequence[str]) -> set[str]:
    """Those of a few ids that are in a column, which is gone through once and not made a set of."""
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
    """One pass over the joined text decides the common case; the culprit is looked for after."""
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
    """What is wrong with a string as an id; ``None`` where nothing is."""
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
