"""Milvus's filter expressions: the one place where text that a server parses is made.

No expression holds ``or``: ``a or b`` is written ``not ((not (a)) and (not (b)))``. Of an ``or``
with a partition key, servers of 2.3 to 2.5 search one side's partition alone (milvus#42903); of one
between ranges, those since 2.6 lose a bound (milvus#52852) or fail (milvus#48261).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from vecbridge import IdRange, InvalidArgumentError, Scalar, Scope
from vecbridge.fields import integer_of
from vecbridge.filters import (
    And,
    Comparison,
    Contains,
    ContainsAny,
    Filter,
    IsMissing,
    Not,
    OneOf,
    Or,
)
from vecbridge.remote import NORM

_WORDS = """
    and or not in like is null exists true false iso interval threshold text_match phrase_match
    json_contains json_contains_all json_contains_any random_sample minimum_should_match
    array_contains array_contains_all array_contains_any array_length
    match_all match_any match_least match_most match_exact element_filter text_match_fuzzy
    st_equals st_touches st_overlaps st_crosses st_contains st_intersects st_within st_dwithin
    st_isvalid
"""
KEYWORDS = frozenset(_WORDS.split())
"""The words of Milvus's filter language, in lower case; no expression can name a field so.

Which of them a server knows depends on its version, and no quotes make a name of them.
"""

# A server and Milvus Lite understand only these escapes alike; anything else stands for itself.
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_LONG = re.compile("[\U00010000-\U0010ffff]")
_LEAST, _GREATEST = -(2**63), 2**63 - 1


class Presence(NamedTuple):
    """The expressions of the records that have no value of a field, and of those that have one."""

    missing: str
    present: str

    @classmethod
    def by_flag(cls, flag: str) -> Presence:
        """Return those of a field beside which a column says what is missing."""
        return cls(f"{flag} == true", f"{flag} == false")

    @classmethod
    def by_null(cls, name: str) -> Presence:
        """Return those of a field whose column is null where a value is missing."""
        return cls(f"{name} is null", f"{name} is not null")


class Expressions:
    """Writes expressions over one collection.

    Args:
        key: the primary key.
        integers: whether keys are integers, and ids their digits.
        optional: of the fields of which a record may have no value, what tells that.
        norm: the column of the vectors' norms; ``None`` where there is none.
        lite: whether it is kept by Milvus Lite.
    """

    def __init__(
        self,
        key: str,
        optional: Mapping[str, Presence],
        *,
        integers: bool = False,
        norm: str | None = None,
        lite: bool,
    ) -> None:
        self._key = key
        self._integers = integers
        self._norm = norm
        self._optional = optional
        self._lite = lite

    def string(self, text: str) -> str:
        r"""Return a string as a literal that reads back as the same string, whatever it holds.

        From 2.4 on, a server takes Chinese characters for numbers of 16 bits before it parses, and
        so one above U+FFFF for another one, but for those that are escaped already. Lite does not,
        and does not know the escape.

        >>> print(Expressions("pk", {}, lite=False).string('say "no" or pk != "\U00020bb7"'))
        "say \"no\" or pk != \"\U00020BB7\""
        """
        if "\0" in text:
            raise InvalidArgumentError(f"Milvus filters cannot hold NUL; got {text!r}")
        literal = text.translate(_ESCAPES)
        if not self._lite:
            literal = _LONG.sub(_escaped, literal)
        return f'"{literal}"'

    def keys(self, ids: Iterable[str]) -> str:
        """Return the expression of the records of ids."""
        if not self._integers:
            return self._listed(self._key, ids)
        # What is no integer is the id of no record.
        numbers = [number for name in ids if (number := integer_of(name)) is not None]
        return self._one_of(OneOf(self._key, tuple(numbers)))

    def after(self, name: str) -> str:
        """Return the expression of the records whose keys come after an id; of all after none."""
        if self._integers:
            if not name:
                return ""
            number = int(name)
            bound = f">= {number + 1}" if number < _GREATEST else f"> {number}"
            return f"{self._key} {bound}"
        return f"{self._key} > {self.string(name)}"

    def until(self, name: str) -> str:
        """Return the expression of the records whose keys do not come after an id."""
        if self._integers:
            number = int(name)
            bound = f"< {number + 1}" if number < _GREATEST else f"<= {number}"
            return f"{self._key} {bound}"
        return f"{self._key} <= {self.string(name)}"

    def waiting(self) -> str:
        """Return an expression of hardly any record, for a read that only waits."""
        return f"{self._key} == 0" if self._integers else f'{self._key} == ""'

    def in_range(self, ids: IdRange) -> str:
        r"""Return the expression of the records in a range of ids; empty for all.

        No id holds NUL, so ``"a\0"`` comes after ``"a"`` and before all that begin like it.
        """
        parts = []
        if ids.start is not None:
            head, nul, _ = ids.start.partition("\0")
            parts.append(f"{self._key} {'>' if nul else '>='} {self.string(head)}")
        if ids.stop is not None:
            head, nul, _ = ids.stop.partition("\0")
            parts.append(f"{self._key} {'<=' if nul else '<'} {self.string(head)}")
        return both(*parts)

    def of(self, scope: Scope) -> str:
        """Return the expression of the records in scope; empty for all."""
        allowed = "" if scope.within is None else self.keys(scope.within)
        return both(allowed, "" if scope.where is None else self.matching(scope.where))

    def matching(self, where: Filter) -> str:
        """Return the expression of the records that a settled filter accepts."""
        return self._written(where, wanted=True)

    def _written(self, where: Filter, *, wanted: bool) -> str:
        """Write what a filter accepts, or does not, with ``and`` and ``not`` alone."""
        match where:
            case Not(operand):
                return self._written(operand, wanted=not wanted)
            case IsMissing(name):
                presence = self._optional[name]
                return presence.missing if wanted else presence.present
            case And(left, right) | Or(left, right):
                both_are = isinstance(where, And)
                if both_are and _guards(left, right):
                    return self._written(right, wanted=wanted)
                first = self._written(left, wanted=both_are)
                text = f"({first}) and ({self._written(right, wanted=both_are)})"
                return text if both_are == wanted else f"not ({text})"
        known = self._optional.get(where.name)
        text = both("" if known is None else known.present, self._condition(where))
        return text if wanted else f"not ({text})"

    def _condition(self, where: Filter) -> str:
        """Return the expression of the values that meet a condition on one field."""
        match where:
            case OneOf():
                return self._one_of(where)
            case Comparison():
                return self._compared(where)
            case Contains(name, value):
                return f"array_contains({name}, {self.string(value)})"
            case ContainsAny(name, values):
                return f"array_contains_any({name}, [{','.join(map(self.string, values))}])"
        raise TypeError(f"{where} is no filter that an index declares")

    def _one_of(self, where: OneOf) -> str:
        alone = [value for value in where.values if _stands_alone(value)]
        if not alone:
            return self._listed(where.name, where.values)
        rest = [value for value in where.values if value not in alone]
        equal = self._compared(Comparison(where.name, "==", alone[0]))
        return f"not ((not ({self._listed(where.name, rest)})) and (not ({equal})))"

    def _listed(self, name: str, values: Iterable[Scalar]) -> str:
        return f"{name} in [{','.join(map(self._literal, values))}]"

    def _compared(self, where: Comparison) -> str:
        if where.name == NORM:
            return f"{self._norm} {where.operator} {where.value!r}"
        if type(where.value) is int and where.value == _LEAST:
            word = "<" if where.operator in {"==", "<="} else ">="
            return f"{where.name} {word} {_LEAST + 1}"
        return f"{where.name} {where.operator} {self._literal(where.value)}"

    def _literal(self, value: Scalar) -> str:
        if isinstance(value, str):
            return self.string(value)
        return repr(value).lower() if isinstance(value, bool) else repr(value)


def both(*parts: str) -> str:
    """Join the expressions that are not empty; empty where all are."""
    given = [part for part in parts if part]
    return given[0] if len(given) == 1 else " and ".join(f"({part})" for part in given)


def _stands_alone(value: Scalar) -> bool:
    """Return whether a value may stand in no list; each field has one such value at most."""
    # The digits of the least integer are no integer to a parser, which reads the sign after them.
    # Zero in a list is not minus zero to Lite, which looks at the bits.
    return value == (0.0 if type(value) is float else _LEAST)


def _escaped(character: re.Match[str]) -> str:
    return f"\\U{ord(character[0]):08X}"


def _guards(left: Filter, right: Filter) -> bool:
    """Return whether one filter only makes sure of what every condition makes sure of by itself."""
    return (
        isinstance(left, Not)
        and isinstance(left.operand, IsMissing)
        and isinstance(right, (Comparison, OneOf, Contains, ContainsAny))
        and right.name == left.operand.name
    )
