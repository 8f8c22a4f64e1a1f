"""What the values of one index may be, where its store holds less than the contract allows."""

from __future__ import annotations

import re
from dataclasses import dataclass

from vecbridge._contract._field_types import MAX_STRINGS

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
"""Names that the contract takes for an index."""

MAX_ID_BYTES = 512
"""Longest id of the contract, in bytes of UTF-8."""

MAX_TEXT_BYTES = 65535
"""Longest string that a field keeps, in bytes of UTF-8."""


@dataclass(frozen=True, kw_only=True)
class FieldLimits:
    """The values that a scalar field can hold; by default, every value of its type.

    A store declares here which fields another program has made narrower. The client layer refuses
    values that do not fit before anything is written, and decides the filters that compare with
    such values.

    Attributes:
        smallest: smallest integer that the field holds.
        largest: largest integer that it holds.
        max_bytes: longest string that it holds, alone or in a list, in bytes of UTF-8.
        max_strings: most strings of a list that it holds.
        single_precision: its floats have 32 bits; it holds no others.
        pushable: the engine evaluates filters on the field. Otherwise the client layer does.
    """

    smallest: int = -(2**63)
    largest: int = 2**63 - 1
    max_bytes: int = MAX_TEXT_BYTES
    max_strings: int = MAX_STRINGS
    single_precision: bool = False
    pushable: bool = True


UNLIMITED = FieldLimits()
"""Of a field that holds every value of its type."""

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}")


def integer_of(name: str) -> int | None:
    """Return the integer of 64 bits whose digits an id is; ``None`` where it is none.

    Each integer has one id alone: there is no ``+``, no ``-0``, and no zero before other digits.
    """
    number = int(name) if _INTEGER.fullmatch(name) else None
    return number if number is not None and -(2**63) <= number < 2**63 else None
