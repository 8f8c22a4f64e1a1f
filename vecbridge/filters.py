"""The parts of a filter, for backends that translate it into their store's own language.

Callers build filters with :func:`vecbridge.field`.
"""

from __future__ import annotations

from vecbridge._contract._filters import And, Comparison, Filter, Not, OneOf, Operator, Or

__all__ = ["And", "Comparison", "Filter", "Not", "OneOf", "Operator", "Or"]
