"""The parts of a filter, for backends that translate it into their store's own language.

Callers build filters with :func:`vecbridge.field`. Engines are given *settled* ones: :func:`settle`
says what they may rely on, so that a translation can be wrong only in its syntax. A store that
keeps its fields in memory asks :func:`matches`.
"""

from __future__ import annotations

from vecbridge._contract._filters import (
    FILTER_OPERATORS,
    And,
    Comparison,
    Filter,
    FilterOperator,
    Not,
    OneOf,
    Operator,
    Or,
)
from vecbridge._contract._settling import matches, settle

__all__ = [
    "FILTER_OPERATORS",
    "And",
    "Comparison",
    "Filter",
    "FilterOperator",
    "Not",
    "OneOf",
    "Operator",
    "Or",
    "matches",
    "settle",
]
