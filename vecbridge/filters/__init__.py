"""Filters as text, and their parts, for backends that translate them into their store's language.

Callers build filters with :class:`vecbridge.field`, or from text with :func:`parse`. Engines
receive *settled* filters: :func:`settle` states what they can rely on, so that a translation can be
wrong only in its syntax. A store that keeps its fields in memory calls :func:`matches`.
"""

from __future__ import annotations

from vecbridge._contract._filters import (
    FILTER_OPERATORS,
    And,
    Comparison,
    Contains,
    ContainsAny,
    Filter,
    FilterOperator,
    IsMissing,
    Not,
    OneOf,
    Operator,
    Or,
    StartsWith,
)
from vecbridge._contract._matching import matches
from vecbridge._contract._settling import settle
from vecbridge.filters._language import format, parse  # noqa: A004 (the opposite of parse)

__all__ = [
    "FILTER_OPERATORS",
    "And",
    "Comparison",
    "Contains",
    "ContainsAny",
    "Filter",
    "FilterOperator",
    "IsMissing",
    "Not",
    "OneOf",
    "Operator",
    "Or",
    "StartsWith",
    "format",
    "matches",
    "parse",
    "settle",
]
