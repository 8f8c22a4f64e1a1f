"""What a field is compared with, as a value of exactly the field's own type.

A record's values are bounded: 64 bits, finite, strings without NUL of at most 65535 bytes. What a
filter compares them with is not. Here the one becomes the other without a change of the meaning,
or the comparison is decided: ``2**53 + 1`` equals no float, and a float is below it exactly if it
is at most ``2.0**53``. To a field of 32 bits, ``0.1`` is such a number too.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from vecbridge._contract._field_types import (
    FIRST_MICROSECOND,
    LAST_MICROSECOND,
    BaseType,
    Scalar,
    microseconds,
)
from vecbridge._contract._filters import (
    And,
    Comparison,
    Contains,
    ContainsAny,
    OneOf,
    Operator,
    shown,
)
from vecbridge._contract._limits import MAX_TEXT_BYTES, UNLIMITED, FieldLimits
from vecbridge._contract._records import encodable
from vecbridge._errors import InvalidArgumentError

if TYPE_CHECKING:
    from fractions import Fraction

Decided: TypeAlias = Comparison | OneOf | Contains | ContainsAny | bool
"""A condition on one field, or whether every record meets it, or none does."""

OPERATORS: dict[Operator, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

_WANTED: dict[BaseType, str] = {
    "string": "strings",
    "integer": "integers and floats",
    "float": "integers and floats",
    "boolean": "booleans",
    "timestamp": "times that have a time zone",
    "strings": "strings, by contains, contains_any and contains_all",
}
_LAST = chr(sys.maxunicode)
# The last string of at most so many bytes: no character has more than four.
_LAST_TEXT = _LAST * (MAX_TEXT_BYTES // 4) + "\uffff"
_LARGEST_SINGLE = float(np.finfo(np.float32).max)
# The last character of one, two and three bytes.
_FILLERS = ("", "\x7f", "\u07ff", "\uffff")


def compared(
    name: str, kind: BaseType, word: Operator, value: object, limits: FieldLimits = UNLIMITED
) -> Decided:
    """Return a comparison with a value of the field's type, or its outcome for every record.

    Args:
        name: of the field.
        kind: its type.
        word: how it is compared.
        value: what it is compared with, as the caller gave it.
        limits: what the field holds of its type. Strings are compared whatever their length:
            stores do, and some hold longer ones than they say.

    Raises:
        InvalidArgumentError: no value of the field could mean it.
    """
    exact = _plain(name, kind, value)
    if kind == "boolean":
        passing = [each for each in (False, True) if OPERATORS[word](each, exact)]
        return Comparison(name, "==", passing[0]) if len(passing) == 1 else bool(passing)
    least, greatest = _ends(kind, limits)
    if word in ("==", "!="):
        if least <= exact <= greatest and (floor := _floor(kind, exact, limits)) == exact:
            return Comparison(name, word, floor)
        return word == "!="
    # An order that holds at both ends of the type holds everywhere between them.
    at_least, at_most = (bool(OPERATORS[word](end, exact)) for end in (least, greatest))
    if at_least == at_most:
        return at_least
    floor = _floor(kind, exact, limits)
    if floor != exact:
        word = "<=" if word in ("<", "<=") else ">"
    return Comparison(name, word, floor)


def listed(
    name: str, kind: BaseType, values: Iterable[object], limits: FieldLimits = UNLIMITED
) -> Decided:
    """Return the equality with one of several values, each once; or its outcome for every record.

    Raises:
        InvalidArgumentError: no value of the field could mean one of them.
    """
    exact = [_plain(name, kind, value) for value in values]
    if kind == "boolean":
        return one_of(name, exact)
    least, greatest = _ends(kind, limits)
    # What no value of the field can equal drops out.
    possible = [
        floor
        for value in exact
        if least <= value <= greatest and (floor := _floor(kind, value, limits)) == value
    ]
    return one_of(name, possible)


def started(name: str, kind: BaseType, prefix: object) -> Decided | And:
    """Return the comparisons that a string passes exactly if it begins with another.

    Raises:
        InvalidArgumentError: the field holds no strings, or the prefix is none.
    """
    if kind != "string":
        raise _misplaced(name, kind, "starts_with", "a string field")
    exact = _plain(name, kind, prefix)
    if "\0" in exact or len(exact.encode()) > MAX_TEXT_BYTES:
        return False
    if not exact:
        return True
    # The next character of which strings are made, if any is left: surrogates are none.
    head = exact.rstrip(_LAST)
    if not head:
        return Comparison(name, ">=", exact)
    code = ord(head[-1]) + 1
    beyond = head[:-1] + chr(0xE000 if code == 0xD800 else code)
    return And(Comparison(name, ">=", exact), Comparison(name, "<", beyond))


def contained(name: str, kind: BaseType, values: Iterable[object], word: str) -> Decided:
    """Return the condition that a value has one of several strings in it.

    Args:
        name: of the field.
        kind: its type.
        values: the strings.
        word: the operator, ``contains`` or ``contains_any``.

    Raises:
        InvalidArgumentError: the field is of another type, or a value is no string.
    """
    if kind != "strings" and (kind != "string" or word != "contains"):
        wanted = "a field of type 'strings'" + (", or a string" if word == "contains" else "")
        raise _misplaced(name, kind, word, wanted)
    given = [*values]
    strange = [value for value in given if not isinstance(value, str)]
    if kind == "strings" and strange:
        raise InvalidArgumentError(
            f"field {name!r} holds lists of strings, and {word} looks for strings in them; got "
            f"{shown(strange[0])} ({type(strange[0]).__name__}). Give strings"
        )
    exact: list[str] = [_plain(name, "string", value) for value in given]
    possible = dict.fromkeys(
        each for each in exact if "\0" not in each and len(each.encode()) <= MAX_TEXT_BYTES
    )
    if kind == "string" and "" in possible:
        return True
    if len(possible) > 1:
        return ContainsAny(name, tuple(possible))
    return Contains(name, *possible) if possible else False


def _misplaced(name: str, kind: BaseType, word: str, wanted: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"field {name!r} holds {kind} values, and {word} needs {wanted}")


def one_of(name: str, values: Iterable[Scalar]) -> Comparison | OneOf | bool:
    """Return the equality with one of several values of the field's own type."""
    distinct = tuple(dict.fromkeys(values))
    if len(distinct) > 1:
        return True if type(distinct[0]) is bool else OneOf(name, distinct)
    return Comparison(name, "==", distinct[0]) if distinct else False


def _plain(name: str, kind: BaseType, value: object) -> Any:
    """Return the value as a plain ``str``, ``bool``, ``int``, ``float`` or exact fraction."""
    plain: Any = None
    if kind == "string":
        if isinstance(value, str):
            # Not ``str(value)``: a member of an enumeration of strings shows its name there.
            plain = str.__str__(value)
            if not encodable(plain):
                raise InvalidArgumentError(
                    f"field {name!r} is compared with a string that has no UTF-8: {shown(value)} "
                    f"holds a lone surrogate, which no stored string does; remove it"
                )
    elif kind == "timestamp":
        plain = _moment(name, value)
    elif kind == "strings":
        plain = None
    elif isinstance(value, (bool, np.bool_)):
        plain = bool(value) if kind == "boolean" else None
    elif kind != "boolean":
        plain = _number(value)
    if plain is None:
        raise InvalidArgumentError(
            f"field {name!r} holds {kind} values and is compared with {_WANTED[kind]}; got "
            f"{shown(value)} ({type(value).__name__}). Convert it to the field's type"
        )
    return plain


def _moment(name: str, value: object) -> int | Fraction | None:
    """Return a time as microseconds; ``None`` for what is none."""
    if not isinstance(value, datetime):
        return None
    try:
        return microseconds(value)
    except ValueError as error:
        raise InvalidArgumentError(
            f"field {name!r} is compared with {shown(value)}: {error}"
        ) from error


def _number(value: object) -> int | float | Fraction | None:
    """Return the exact number; ``None`` for what is no real number, as a time span of numpy."""
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, np.integer) and value.dtype.kind in "iu":
        return int(value)
    if not isinstance(value, np.floating):
        return None
    if value.dtype.itemsize <= np.dtype(np.float64).itemsize or not np.isfinite(value):
        return float(value)
    # A long double has more digits than a float. The module is slow to load, and seldom needed.
    from fractions import Fraction

    return Fraction(*value.as_integer_ratio())


def _ends(kind: BaseType, limits: FieldLimits) -> tuple[Any, Any]:
    """Return the least and the greatest value of a field, or of any field of its type."""
    if kind == "string":
        return "", _LAST_TEXT
    if kind == "integer":
        return limits.smallest, limits.largest
    if kind == "timestamp":
        return FIRST_MICROSECOND, LAST_MICROSECOND
    largest = _LARGEST_SINGLE if limits.single_precision else sys.float_info.max
    return -largest, largest


def _floor(kind: BaseType, value: Any, limits: FieldLimits) -> Any:
    """Return the greatest value of a field's type that is at most a value between its ends."""
    if kind == "string":
        return _text_floor(value)
    if kind in ("integer", "timestamp"):
        return math.floor(value)
    near = float(value)
    if limits.single_precision:
        with np.errstate(all="ignore"):
            near = float(np.float32(near))
            if near > value:
                near = float(np.nextafter(np.float32(near), np.float32(-np.inf)))
    elif near > value:
        near = math.nextafter(near, -math.inf)
    # Minus zero is zero to every comparison, and not to every index.
    return near + 0.0


def _text_floor(value: str) -> str:
    r"""Return the last string without NUL, of at most 65535 bytes, that is not after another one.

    None is between ``"ab"`` and ``"ab\0..."``. In the same way, none is between one that is too
    long and the last of those that fit and begin like it.
    """
    bound = value.partition("\0")[0]
    if len(bound) > MAX_TEXT_BYTES // 4 and len(bound.encode()) > MAX_TEXT_BYTES:
        bound = bound.encode()[:MAX_TEXT_BYTES].decode(errors="ignore")
        bound += _FILLERS[MAX_TEXT_BYTES - len(bound.encode())]
    return bound
