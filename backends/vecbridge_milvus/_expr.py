"""Milvus's filter expressions: the one place where text that a server parses is made."""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from vecbridge import FieldType, InvalidArgumentError, Scalar
from vecbridge.filters import And, Comparison, Filter, Not, OneOf, Operator, Or

# A server and Milvus Lite understand only these escapes alike; anything else stands for itself.
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_LEAST, _GREATEST = -(2**63), 2**63 - 1
_LARGEST_FLOAT = sys.float_info.max
_OPERATORS: dict[Operator, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def string_literal(text: str) -> str:
    r"""A string as a literal that reads back as the same string, whatever it holds.

    >>> print(string_literal('say "no" or pk != ""'))
    "say \"no\" or pk != \"\""
    """
    if "\0" in text:
        raise InvalidArgumentError(f"Milvus filters cannot hold NUL; got {text!r}")
    return f'"{text.translate(_ESCAPES)}"'


def one_of(name: str, values: Iterable[str]) -> str:
    """The records whose string field has one of the values."""
    return f"{name} in [{','.join(map(string_literal, values))}]"


def both(*parts: str) -> str:
    """All of the expressions that are not empty; empty where all are."""
    given = [part for part in parts if part]
    return given[0] if len(given) == 1 else " and ".join(f"({part})" for part in given)


class FilterCompiler:
    """Turns a filter into an expression over a collection's fields.

    Args:
        key: name of the primary key, a string that is never empty.
        fields: type of each scalar field.
    """

    def __init__(self, key: str, fields: Mapping[str, FieldType]) -> None:
        self._fields = fields
        self._always = f'{key} != ""'
        self._never = f'{key} == ""'

    def compile(self, where: Filter) -> str:
        """The expression of a filter.

        Raises:
            InvalidArgumentError: a field is compared with a value that it has no order with.
        """
        match where:
            case And(left, right):
                return f"({self.compile(left)}) and ({self.compile(right)})"
            case Or(left, right):
                return f"({self.compile(left)}) or ({self.compile(right)})"
            case Not(operand):
                return f"not ({self.compile(operand)})"
            case OneOf(name, values):
                return self._one_of(name, values)
            case Comparison(name, word, value):
                return self._comparison(name, word, value)

    def _one_of(self, name: str, values: tuple[Scalar, ...]) -> str:
        kind = self._fields[name]
        if kind == "string":
            texts = sorted({value for value in values if isinstance(value, str)})
            return one_of(name, texts) if texts else self._never
        # Each value has a type of its own: 1, 1.0 and True are equal, "1" is not.
        parts = {self._comparison(name, "==", value) for value in values} - {self._never}
        if kind != "boolean":
            parts = _listed(name, parts)
        return " or ".join(f"({part})" for part in sorted(parts)) if parts else self._never

    def _comparison(self, name: str, word: Operator, value: Scalar) -> str:
        kind = self._fields[name]
        if isinstance(value, str) != (kind == "string"):
            if word in {"==", "!="}:
                return self._always if word == "!=" else self._never
            raise InvalidArgumentError(
                f"field {name!r} holds {kind} values, which have no order with {value!r}"
            )
        if isinstance(value, str):
            return f"{name} {word} {string_literal(value)}"
        if kind == "boolean":
            return self._boolean(name, word, value)
        if isinstance(value, float) and not math.isfinite(value):
            return self._outside(word, value)
        if kind == "integer":
            return self._integer(name, word, value)
        if abs(value) > _LARGEST_FLOAT:
            return self._outside(word, math.inf if value > 0 else -math.inf)
        return f"{name} {word} {float(value)!r}"

    def _boolean(self, name: str, word: Operator, value: float) -> str:
        matching = [choice for choice in (False, True) if _OPERATORS[word](choice, value)]
        if len(matching) == 1:
            return f"{name} == {str(matching[0]).lower()}"
        return self._always if matching else self._never

    def _integer(self, name: str, word: Operator, value: float) -> str:
        whole = math.floor(value)
        if not _LEAST <= whole <= _GREATEST:
            return self._outside(word, math.inf if whole > 0 else -math.inf)
        if whole == value:
            return self._least(name, word) if whole == _LEAST else f"{name} {word} {whole}"
        if word in {"==", "!="}:
            return self._always if word == "!=" else self._never
        return f"{name} <= {whole}" if word in {"<", "<="} else f"{name} > {whole}"

    def _least(self, name: str, word: Operator) -> str:
        """A comparison with the least integer, whose digits alone are no integer to a parser."""
        if word in {">=", "<"}:
            return self._always if word == ">=" else self._never
        return f"{name} {'<' if word in {'==', '<='} else '>='} {_LEAST + 1}"

    def _outside(self, word: Operator, value: float) -> str:
        """A comparison with what is above or below every value of the field, or is NaN."""
        return self._always if _OPERATORS[word](0.0, value) else self._never


def _listed(name: str, parts: set[str]) -> set[str]:
    """The same, with equalities as one list: a server takes seconds to read a thousand of them."""
    equal = f"{name} == "
    values = sorted(part.removeprefix(equal) for part in parts if part.startswith(equal))
    if len(values) < 2:
        return parts
    rest = {part for part in parts if not part.startswith(equal)}
    return {f"{name} in [{','.join(values)}]", *rest}
