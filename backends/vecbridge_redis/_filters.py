"""Settled filters in the query language of Redis."""

from __future__ import annotations

from collections.abc import Mapping

from vecbridge import Scalar
from vecbridge.fields import FieldType, base_of
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
from vecbridge_redis._records import EXACT, tag

_RANGES = {"<": "[-inf ({}]", "<=": "[-inf {}]", ">": "[({} inf]", ">=": "[{} inf]"}


class Condition:
    """Filters over the fields of one index.

    Args:
        fields: type of each field.
    """

    def __init__(self, fields: Mapping[str, FieldType]) -> None:
        self._kinds = {name: base_of(kind) for name, kind in fields.items()}

    def written(self, where: Filter) -> str:
        """Return the query of the records that a settled filter accepts."""
        match where:
            case And(left, right):
                return f"({self.written(left)} {self.written(right)})"
            case Or(left, right):
                return f"({self.written(left)}|{self.written(right)})"
            case Not(operand):
                return f"(-{self.written(operand)})"
            case IsMissing(name):
                return rf"@\.none:{{{name}}}"
            case Contains(name, value):
                return self._equal(name, (value,))
            case ContainsAny(name, values) | OneOf(name, values):
                return self._equal(name, values)
            case Comparison(name, "==", value):
                return self._equal(name, (value,))
            case Comparison(name, "!=", value):
                return rf"(-{self._equal(name, (value,))} -@\.none:{{{name}}})"
            case Comparison(name, word, value):
                return self._compared(name, word, value)
        raise TypeError(f"{where} is no filter that an index declares")

    def _equal(self, name: str, values: tuple[Scalar, ...]) -> str:
        if self._kinds.get(name) in {"string", "strings"}:
            return rf"@{name}\.tag:{{{'|'.join(tag(str(value)) for value in values)}}}"
        return f"({'|'.join(self._compared(name, '==', value) for value in values)})"

    def _compared(self, name: str, word: str, value: Scalar) -> str:
        """Return a comparison of numbers: of the floats next to them, and of what these lack."""
        attribute = r"@\.norm" if name == NORM else rf"@{name}\.number"
        near = float(value)
        same = f"{attribute}:[{near!r} {near!r}]"
        among = _RANGES.get(word)
        if isinstance(value, int) and abs(value) >= EXACT:
            rest = value - int(near)
            beside = f"[{rest} {rest}]" if among is None else among.format(rest)
            same = rf"({same} @{name}\.rest:{beside})"
            if among is None:
                return same
            strict = _RANGES[word[0]].format(repr(near))
            return f"({attribute}:{strict}|{same})"
        return same if among is None else f"{attribute}:{among.format(repr(near))}"
