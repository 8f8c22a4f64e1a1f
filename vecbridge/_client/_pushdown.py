"""Filters of which an engine evaluates a part: what it is given, and what is decided here.

Why it is sound. The engine is given a filter that the whole one implies, so no record that matches
is left out by it, and a lower bound of what the engine left out holds for the records in scope all
the same. What comes back is decided by the whole filter. It may be fewer records than were asked
for: then more is asked for, and in the end every record is looked at.

The part is made by leaving out conditions. Below an odd number of ``~``, a part has to imply what
it stands for, so that the negation is implied by the whole. A store whose logic has three values
agrees: there a condition on an optional field stays with the ``~is_missing`` beside it, or goes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from vecbridge._client._checked import CheckedEngine
from vecbridge._contract._filters import And, Condition, Filter, FilterOperator, Not, Or
from vecbridge._contract._hits import Candidates
from vecbridge._contract._limits import UNLIMITED
from vecbridge._contract._matching import matches
from vecbridge._contract._records import Records
from vecbridge._contract._scope import Scope
from vecbridge._contract._settling import operator_of

_UNKNOWN = -sys.float_info.max
"""A lower bound that decides nothing, and says that there may be more."""


def pushed(index: CheckedEngine, scope: Scope) -> Scope:
    """Return what the engine is given of a scope: itself, where it evaluates the whole filter."""
    if scope.where is None:
        return scope
    can, info = index.capabilities, index.info

    def evaluates(condition: Condition) -> bool:
        name, word = condition.name, operator_of(condition)
        return (
            word in can.filters
            and (info.fields[name], word) not in can.filters_except
            and info.limits.get(name, UNLIMITED).pushable
        )

    part = _part(scope.where, evaluates, can.filters, implied=True)
    if part is scope.where:
        return scope
    return replace(scope, where=None if isinstance(part, bool) else part)


def is_pushed(index: CheckedEngine, scope: Scope) -> bool:
    """Return whether the engine evaluates the whole filter of a scope."""
    return pushed(index, scope) is scope


def candidates_in(
    index: CheckedEngine, scope: Scope, ask: Callable[[Scope], list[Candidates]]
) -> list[Candidates]:
    """Return an engine's candidates, without those that are not in scope.

    Args:
        index: the engine.
        scope: which records.
        ask: asks the engine for its candidates in a scope that it evaluates.
    """
    given = pushed(index, scope)
    found = ask(given)
    return found if given is scope else accepted(index, scope, found)


def accepted(index: CheckedEngine, scope: Scope, found: Sequence[Candidates]) -> list[Candidates]:
    """Return the candidates that the filter of a scope accepts, whose fields are read for that.

    Of a candidate that is gone before they are read nothing is known: the lower bound then decides
    nothing, so that the client layer looks again.
    """
    if scope.where is None:
        return list(found)
    names = list(dict.fromkeys(name for each in found for name in each.ids))
    known: dict[str, bool] = {}
    for start in range(0, len(names), index.scan_rows):
        part = names[start : start + index.scan_rows]
        records = index.fetch(part, vectors=False, consistency=scope.consistency)
        met = matches(scope.where, records.fields, len(records))
        known.update(zip(records.ids, met.tolist(), strict=True))
    answers: list[Candidates] = []
    for each in found:
        kept = each.take([row for row, name in enumerate(each.ids) if known.get(name)])
        if not all(name in known for name in each.ids):
            kept = replace(kept, lower_bound=min(each.lower_bound, _UNKNOWN))
        answers.append(kept)
    return answers


def matching(records: Records, where: Filter) -> Records:
    """Return the records that a settled filter accepts."""
    return records.take(np.flatnonzero(matches(where, records.fields, len(records))))


def _part(
    node: Filter,
    evaluates: Callable[[Condition], bool],
    operators: frozenset[FilterOperator],
    *,
    implied: bool,
) -> Filter | bool:
    """Return the part of a filter that an engine evaluates: itself, where that is all of it.

    Args:
        node: the filter.
        evaluates: tells whether the engine evaluates a condition.
        operators: what the engine evaluates.
        implied: whether the filter implies the part, or the part the filter. Where there is no
            part, ``True`` is implied by any filter, and ``False`` implies any.
    """
    if isinstance(node, Not):
        inner = _part(node.operand, evaluates, operators, implied=not implied)
        if isinstance(inner, bool):
            return not inner
        if "~" not in operators:
            return implied
        return node if inner is node.operand else Not(inner)
    if not isinstance(node, (And, Or)):
        return node if evaluates(node) else implied
    kind = type(node)
    left, right = (_part(each, evaluates, operators, implied=implied) for each in node.operands())
    neutral = kind is And
    if left is neutral or right is neutral:
        return right if left is neutral else left
    if isinstance(left, bool) or isinstance(right, bool):
        return not neutral
    if operator_of(node) in operators:
        whole = left is node.left and right is node.right
        return node if whole else kind(left, right)
    # One side alone is implied by both, and implies either.
    return left if implied is neutral else implied
