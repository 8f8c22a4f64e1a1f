"""Settled filters as the SQL of LanceDB."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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


class Translator:
    """Writes filters over the columns of a table.

    Args:
        columns: expression of each field, and of :data:`vecbridge.remote.NORM`.
        fields: type of each field.
    """

    def __init__(self, columns: Mapping[str, str], fields: Mapping[str, FieldType]) -> None:
        self._columns = columns
        self._kinds = {name: base_of(kind) for name, kind in fields.items()}

    def written(self, where: Filter) -> str:
        """Return the condition that a settled filter is."""
        match where:
            case And(left, right):
                return f"({self.written(left)} AND {self.written(right)})"
            case Or(left, right):
                return f"({self.written(left)} OR {self.written(right)})"
            case Not(operand):
                return f"(NOT {self.written(operand)})"
            case IsMissing(name):
                return f"({self._columns[name]} IS NULL)"
            case Contains(name, value) if self._kinds[name] == "string":
                return f"contains({self._columns[name]}, {text(value)})"
            case Contains(name, value):
                return f"array_has({self._columns[name]}, {text(value)})"
            case ContainsAny(name, values):
                return f"array_has_any({self._columns[name]}, make_array({texts(values)}))"
            case Comparison(name, word, value):
                operator = {"==": "=", "!=": "<>"}.get(word, word)
                return f"({self._compared(name)} {operator} {self._value(name, value)})"
            case OneOf(name, values):
                among = ", ".join(self._value(name, value) for value in values)
                return f"({self._compared(name)} IN ({among}))"
        raise TypeError(f"{where} is no filter that an index declares")

    def _compared(self, name: str) -> str:
        # LanceDB tells 0.0 from -0.0, or does not, by its version: a sum is never the latter.
        column = self._columns[name]
        return f"(CAST({column} AS DOUBLE) + 0.0)" if self._kinds.get(name) == "float" else column

    def _value(self, name: str, value: Scalar) -> str:
        match self._kinds.get(name, "float"):
            case "string":
                return text(str(value))
            case "boolean":
                return "true" if value else "false"
            case "timestamp":
                return f"arrow_cast({value:d}, 'Timestamp(Microsecond, Some(\"UTC\"))')"
            case "integer":
                # Without the quotes, the least integer is read as a float.
                return f"CAST('{value:d}' AS BIGINT)"
        return f"CAST('{float(value) + 0.0!r}' AS DOUBLE)"


def text(value: str) -> str:
    """Return a string as a literal."""
    return "'" + value.replace("'", "''") + "'"


def texts(values: Iterable[str]) -> str:
    """Return strings as literals, with commas between them."""
    return ", ".join(map(text, values))
