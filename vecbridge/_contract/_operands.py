"""What a field is compared with, as a value of exactly the field's own type.

A record's values are bounded: 64 bits, finite, strings without NUL of at most 65535 bytes. What a
filter compares them with is not. Here the one becomes the other without a change of the meaning,
or the comparison is decided: ``2**53 + 1`` equals no float, and a float is below it exactly if it
is at most ``2.0**53``.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from vecbridge._contract._filters import Comparison, OneOf, Operator, shown
from vecbridge._contract._records import MAX_TEXT_BYTES, FieldType, Scalar, encodable
from vecbridge._errors import InvalidArgumentError

if TYPE_CHECKING:
    from fractions import Fraction

Decided: TypeAlias = Comparison | OneOf | bool
"""A condition on one field, or whether every record meets it, or none does."""

_Word: TypeAlias = tuple[Operator, Any] | bool

OPERATORS: dict[Operator, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

_WANTED: dict[FieldType, str] = {
    "string": "strings",
    "integer": "integers and floats",
    "float": "integers and floats",
    "boolean": "booleans",
}
_LAST = chr(sys.maxunicode)
# The last string of at most so many bytes: no character has more than four.
_LAST_TEXT = _LAST * (MAX_TEXT_BYTES // 4) + "\uffff"
_LEAST: dict[FieldType, Any] = {"string": "", "integer": -(2**63), "float": -sys.float_info.max}
_GREATEST: dict[FieldType, Any] = {
    "string": _LAST_TEXT,
    "integer": 2**63 - 1,
    "float": sys.float_info.max,
}
# The last character of one, two and three bytes.
_FILLERS = ("", "\x7f", "\u07ff", "\uffff")


def compared(name: str, kind: FieldType, word: Operator, value: object) -> Decided:
    """Return a comparison with a value of the field's type, or its outcome for every record.

    Raises:
        InvalidArgumentError: no value of the field could mean it.
    """
    exact = _plain(name, kind, value)
    if kind == "boolean":
        passing = [each for each in (False, True) if OPERATORS[word](each, exact)]
        return Comparison(name, "==", passing[0]) if len(passing) == 1 else bool(passing)
    found = _FITTED[kind](word, exact)
    if not isinstance(found, bool):
        found = _bounded(*found, _LEAST[kind], _GREATEST[kind])
    return found if isinstance(found, bool) else Comparison(name, *found)


def listed(name: str, kind: FieldType, values: Iterable[object]) -> Decided:
    """Return the equality with one of several values, each once; or its outcome for every record.

    Raises:
        InvalidArgumentError: no value of the field could mean one of them.
    """
    exact = [_plain(name, kind, value) for value in values]
    if kind == "boolean":
        return one_of(name, exact)
    fit, least, greatest = _FITTED[kind], _LEAST[kind], _GREATEST[kind]
    equalities = [fit("==", value) for value in exact]
    # What no value of the field can equal drops out.
    possible = [each[1] for each in equalities if not isinstance(each, bool)]
    return one_of(name, [value for value in possible if least <= value <= greatest])


def one_of(name: str, values: Iterable[Scalar]) -> Decided:
    """Return the equality with one of several values of the field's own type."""
    distinct = tuple(dict.fromkeys(values))
    if len(distinct) > 1:
        return True if type(distinct[0]) is bool else OneOf(name, distinct)
    return Comparison(name, "==", distinct[0]) if distinct else False


def _plain(name: str, kind: FieldType, value: object) -> Any:
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


def _integer(word: Operator, value: float | Fraction) -> _Word:
    if isinstance(value, float) and not math.isfinite(value):
        return word == "!=" if math.isnan(value) else (word, value)
    whole = math.floor(value)
    if whole == value:
        return word, whole
    if word in ("==", "!="):
        return word == "!="
    return ("<=", whole) if word in ("<", "<=") else (">=", whole + 1)


def _float(word: Operator, value: float | Fraction) -> _Word:
    try:
        near = float(value)
    except OverflowError:
        near = math.inf if value > 0 else -math.inf
    if near == value:
        # Minus zero is zero to every comparison, and not to every index.
        return word, near + 0.0
    if math.isnan(near) or word in ("==", "!="):
        return word == "!="
    if word in ("<", "<="):
        return "<=", (near if near < value else math.nextafter(near, -math.inf)) + 0.0
    return ">=", (near if near > value else math.nextafter(near, math.inf)) + 0.0


def _text(word: Operator, value: str) -> _Word:
    r"""Return a comparison with a string, which may be none that is stored.

    A string without NUL is before ``"ab\0..."`` exactly if it is not after ``"ab"``. In the same
    way, none that fits lies between one that is too long and the last that begins like it.
    """
    bound = value.partition("\0")[0]
    if len(bound) > MAX_TEXT_BYTES // 4 and len(bound.encode()) > MAX_TEXT_BYTES:
        bound = bound.encode()[:MAX_TEXT_BYTES].decode(errors="ignore")
        bound += _FILLERS[MAX_TEXT_BYTES - len(bound.encode())]
    if bound == value:
        return word, value
    if word in ("==", "!="):
        return word == "!="
    return ("<=", bound) if word in ("<", "<=") else (">", bound)


_FITTED: dict[FieldType, Callable[[Operator, Any], _Word]] = {
    "string": _text,
    "integer": _integer,
    "float": _float,
}


def _bounded(word: Operator, value: Any, least: Any, greatest: Any) -> _Word:
    """Return the same comparison, or its outcome where all values of the type have the same."""
    at_least, at_most = OPERATORS[word](least, value), OPERATORS[word](greatest, value)
    if word in ("==", "!="):
        return (word, value) if least <= value <= greatest else word == "!="
    # An order that holds at both ends of the type holds everywhere between them.
    return at_least if at_least == at_most else (word, value)
