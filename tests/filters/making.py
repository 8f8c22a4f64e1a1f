"""Records with the values that stores get wrong, and random conditions on them.

A condition is made of plain tuples, from which both the filter and its meaning are derived:
``("compare", name, word, value)``, ``("in", name, values)``, ``("and", parts)``, ``("or", parts)``
and ``("not", part)``.
"""

from __future__ import annotations

import enum
import math
import random
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from vecbridge import Index, field
from vecbridge.filters import Filter

FIELDS: dict[str, Any] = {"t": "string", "i": "integer", "f": "float", "b": "boolean"}
COUNT = 200
Condition = tuple[Any, ...]


class Label(str, enum.Enum):
    """A member is a string, and shows another one."""

    CAT = "cat"
    EMPTY = ""


class Level(enum.IntEnum):
    """A member is an integer."""

    LOW = 1
    LARGE = 2**53 + 1


class Text(str):
    """A string of another class, which says that it is unlike every other."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other

    def __str__(self) -> str:
        return "something else"


TEXTS = [
    *("", " ", "a", "A", "ab", "cat", "cat ", "Cat", "ca", "dog", "caf\u00e9", "cafe\u0301", "1"),
    *("\x01", "\x7f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\uffff", "\U00010000"),
    *("\U0010ffff", "\U0001f600", "\U00020bb7", "\u0bb7", "\U00020000", "\U0002f81a\u65e5", "日本"),
    *('a"b', "a'b", "a\\", "\\u0041", "\\U00020BB7", "a\r\nb", "a\tb", "%", "true", '" or t != "'),
    *("x" * 65535, "x" * 65534, "x" * 65533 + "\x7f", "x" * 65533 + "\u00e9", "y" * 300),
]
WHOLE = [
    *(0, 1, -1, 2, 3, 10, 2**31, 2**53 - 1, 2**53, 2**53 + 1, -(2**53), -(2**53) - 1, 2**62),
    *(2**63 - 1, 2**63 - 2, 2**63 - 1024, 2**63 - 1025, -(2**63), -(2**63) + 1, -(2**63) + 1024),
]
REAL = [
    *(0.0, -0.0, 0.1, math.nextafter(0.1, 1), float(np.float32(0.1)), 0.5, 1.0, 1 / 3, -1.5, 3.0),
    *(5e-324, -5e-324, 2.0**-1022, 2.0**53, 2.0**53 + 2, 1e22, 2.0**63, -(2.0**63), 1e300, -1e300),
    *(sys.float_info.max, -sys.float_info.max, math.nextafter(sys.float_info.max, 0)),
]
WORDS = ("==", "!=", "<", "<=", ">", ">=")
_UNSTORED_TEXTS = [
    *("\0", "a\0", "cat\0", "cat\0x", "ca\0", "x" * 65534 + "\0", "dogs", "zzz", "caf"),
    *("x" * 65536, "x" * 70000, "x" * 65534 + "\u00e9", "x" * 65533 + "\u65e5", "\uffff" * 30000),
    *("x" * 65533 + "\U0001f600", "\U0010ffff" * 20000, "\x01" * 66000, Label.CAT, Label.EMPTY),
    *(np.str_("cat"), Text("cat"), Text("dog"), np.str_("")),
]
_UNSTORED_NUMBERS = [
    *(2**63, 2**63 + 1, -(2**63) - 1, 2**64, 10**25, 10**400, -(10**400), 2**1024, 2**53 + 3, 4),
    *(math.inf, -math.inf, math.nan, 0.25, 1.5, 2.5, -0.5, 1e-320, 2.0**64, 9.3e18, Level.LOW, -7),
    *(Level.LARGE, 2**1024 - 2**970, 2**1024 - 2**971, -(2**1024) + 2**969),
]
_KINDS: list[Callable[[float], Any]] = [
    *(np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64),
    *(np.float16, np.float32, np.float64, np.longdouble),
]
# To no field do these mean anything.
_STRANGERS: list[Any] = [
    *(None, b"cat", bytearray(b"x"), 1j, Decimal(1), Fraction(1, 2), np.void(b"a"), object()),
    *(datetime.now(timezone.utc), np.datetime64("2026-01-01"), np.timedelta64(1, "ns")),
    *(np.array(1), np.array([1, 2]), [1], ("cat",), {"cat"}, {}, field, np.complex64(1)),
]
_SURROGATES = ["\ud800", "a\udfff", "\ud83d\ude00", "cat\0\ud800"]


def columns() -> dict[str, list[Any]]:
    """The fields of the records."""
    rng = random.Random(7)
    pools: dict[str, list[Any]] = {"t": TEXTS, "i": WHOLE, "f": REAL, "b": [False, True]}
    made = {}
    for name, pool in pools.items():
        column = [pool[number % len(pool)] for number in range(COUNT)]
        rng.shuffle(column)
        made[name] = column
    return made


def ids() -> list[str]:
    """The ids of the records; servers of today take some of them for others."""
    hostile = [text for text in TEXTS if 0 < len(text) < 100]
    return [f"{hostile[number % len(hostile)]}{number:03}" for number in range(COUNT)]


def fill(index: Index) -> Index:
    """Writes the records into an index of two dimensions."""
    index.upsert(ids(), [[number, 1.0] for number in range(COUNT)], columns())
    return index


def conditions(count: int, seed: int) -> list[Condition]:
    """Random conditions."""
    rng = random.Random(seed)
    return [_condition(rng) for _ in range(count)]


def to_filter(condition: Condition) -> Filter:
    """The filter that a caller would write."""
    made: dict[str, Callable[[], Filter]]
    match condition:
        case ("compare", name, word, value):
            one = field(name)
            made = {
                "==": lambda: one == value,
                "!=": lambda: one != value,
                "<": lambda: one < value,
                "<=": lambda: one <= value,
                ">": lambda: one > value,
                ">=": lambda: one >= value,
            }
            return made[word]()
        case ("in", name, values):
            return field(name).is_in(values)
        case ("not", part):
            return ~to_filter(part)
    return _chained(condition[0], [to_filter(part) for part in condition[1]], condition[2])


def _chained(kind: str, parts: list[Filter], order: str) -> Filter:
    """A chain built from the left, from the right, or by halves."""
    while len(parts) > 1:
        if order == "left":
            first, second, rest = parts[0], parts[1], parts[2:]
            parts = [first & second if kind == "and" else first | second, *rest]
        elif order == "right":
            first, second, rest = parts[-2], parts[-1], parts[:-2]
            parts = [*rest, first & second if kind == "and" else first | second]
        else:
            pairs = zip(parts[::2], parts[1::2], strict=False)
            odd = parts[-1:] if len(parts) % 2 else []
            parts = [*(a & b if kind == "and" else a | b for a, b in pairs), *odd]
    return parts[0]


def _condition(rng: random.Random) -> Condition:
    shape = rng.random()
    if shape < 0.5:
        return _leaf(rng, 0.15)
    if shape < 0.85:
        return _tree(rng, rng.randint(1, 4))
    if shape < 0.95:
        # Deep: the two kinds in turn, as a program writes them in a loop.
        made = _leaf(rng, 0.0)
        for level in range(rng.randint(5, 14)):
            parts = [made, _leaf(rng, 0.003)]
            made = ("and" if level % 2 else "or", parts, rng.choice(["left", "right"]))
        return made
    width = rng.choice([30, 60, 130])
    parts = [_leaf(rng, 0.001) for _ in range(width)]
    return (rng.choice(["and", "or"]), parts, rng.choice(["left", "right", "halves"]))


def _tree(rng: random.Random, depth: int) -> Condition:
    if depth == 0 or rng.random() < 0.2:
        return _leaf(rng, 0.01)
    if rng.random() < 0.25:
        made = ("not", _tree(rng, depth - 1))
        return ("not", made) if rng.random() < 0.2 else made
    parts = [_tree(rng, depth - 1) for _ in range(rng.randint(2, 4))]
    return (rng.choice(["and", "or"]), parts, rng.choice(["left", "right", "halves"]))


def _leaf(rng: random.Random, strange: float) -> Condition:
    name = rng.choice("ttiifffb")
    if rng.random() < 0.2:
        size = rng.choice([0, 1, 2, 3, 10, 40])
        return "in", name, [_value(rng, name, strange / 10) for _ in range(size)]
    return "compare", name, rng.choice(WORDS), _value(rng, name, strange)


def _value(rng: random.Random, name: str, strange: float) -> Any:
    if rng.random() < strange:
        return _strange(rng, name)
    if name == "b":
        return rng.choice([True, False, np.True_, np.False_])
    if name == "t":
        return rng.choice(TEXTS if rng.random() < 0.6 else _UNSTORED_TEXTS)
    pool = WHOLE if rng.random() < 0.5 else REAL
    value: Any = rng.choice(pool if rng.random() < 0.7 else _UNSTORED_NUMBERS)
    if rng.random() < 0.2 and type(value) in (int, float) and abs(value) < 1e290:
        value = value + rng.choice([-1, 1, 0.5])
    return _as_numpy(rng, value) if rng.random() < 0.3 else value


def _as_numpy(rng: random.Random, value: Any) -> Any:
    """The nearest scalar of a random type of numpy."""
    kind: Any = rng.choice(_KINDS)
    with np.errstate(all="ignore"):
        if issubclass(kind, np.integer):
            limits: Any = np.iinfo(kind)
            finite = 0 if isinstance(value, float) and not math.isfinite(value) else value
            return kind(min(max(int(finite), int(limits.min)), int(limits.max)))
        if kind is np.longdouble and rng.random() < 0.5:
            # More digits than a float has, or beyond every float.
            return np.longdouble(str(value)) * (1 + np.finfo(np.longdouble).eps)
        try:
            return kind(value)
        except OverflowError:
            return kind(math.inf)


def _strange(rng: random.Random, name: str) -> Any:
    """What no value of the field could be."""
    others: dict[str, list[Any]] = {
        "t": [1, 1.0, True, np.int64(1), np.float32(1), *_SURROGATES],
        "i": ["1", "", True, np.False_, Label.CAT],
        "f": ["1.0", "nan", False, np.True_],
        "b": [0, 1, 1.0, "true", np.int8(1), Level.LOW],
    }
    return rng.choice(others[name] if rng.random() < 0.6 else _STRANGERS)
