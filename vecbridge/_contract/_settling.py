"""A filter is settled once: into values of the fields' own types, and a tree that engines can walk.

What no value of a field could mean is refused here, for every store alike. What needs no store is
decided. What is left is a shallow tree: chains of ``&`` and ``|`` come as balanced trees, whatever
order they were built in, since stores parse and evaluate by recursion.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from vecbridge._contract._field_types import FieldType
from vecbridge._contract._filters import (
    And,
    Comparison,
    Filter,
    Not,
    OneOf,
    Or,
    postorder,
    several,
    shown,
)
from vecbridge._contract._limits import UNLIMITED, FieldLimits
from vecbridge._contract._operands import OPERATORS, Decided, compared, listed, one_of
from vecbridge._errors import InvalidArgumentError

MAX_CONDITIONS = 10_000
"""Most conditions of a settled filter; the values of an ``is_in`` count as one. A Milvus server
takes 4 seconds for so many, and 10 for twice as many."""

MAX_HEIGHT = 20
"""Greatest height of a settled filter. A Milvus server takes 48 levels of what it parses, of which
a level here may need two; a chain of 10 000 conditions has a height of 14."""

_MAX_PARTS = 100_000


class _Term(NamedTuple):
    """A settled filter, and how high its tree is."""

    filter: Filter
    height: int


class _Chain(NamedTuple):
    """The terms of a chain of one kind, in their order; it grows at both ends."""

    kind: type[And | Or]
    terms: deque[_Term]


_Closed: TypeAlias = _Term | bool
_Settled: TypeAlias = _Term | _Chain | bool


def settle(
    where: object,
    fields: Mapping[str, FieldType],
    limits: Mapping[str, FieldLimits] = MappingProxyType({}),
) -> Filter | bool:
    """Return what a filter means for an index with these fields, in a form that engines translate.

    Every value is a plain ``str``, ``int``, ``float`` or ``bool``, and of exactly its field's type:
    an integer of 64 bits, a finite float that is not ``-0.0``, a string without NUL or lone
    surrogates of at most 65535 bytes of UTF-8. Booleans are compared with ``==`` only. A
    :class:`OneOf` holds at least two values, none twice. The tree is at most 20 high and has at
    most 10 000 conditions, and no :class:`Not` holds a :class:`Not`.

    Args:
        where: what the caller gave.
        fields: name and type of each scalar field of the index.
        limits: as ``IndexInfo.limits`` says: an integer is in the field's range, and
            a float that is compared with a field of 32 bits has no more.

    Returns:
        The filter; or ``True`` where every record matches, and ``False`` where none does.

    Raises:
        InvalidArgumentError: it is no filter, it names a field that is not there, it compares one
            with what no value of it could be, or it is too large.

    Example:
        >>> from vecbridge import field
        >>> settle(field("size") < 2.5, {"size": "integer"})
        (field('size') <= 2)
        >>> settle(field("size") == 2.5, {"size": "integer"})
        False
    """
    done: list[_Settled] = []
    for count, node in enumerate(postorder(where)):
        if count >= _MAX_PARTS:
            raise _too_large(f"has more than {_MAX_PARTS} parts")
        if isinstance(node, (And, Or)):
            right, left = done.pop(), done.pop()
            done.append(_joined(type(node), left, right))
        elif isinstance(node, Not):
            done.append(_negated(_closed(done.pop())))
        else:
            leaf = _leaf(node, fields, limits)
            done.append(leaf if isinstance(leaf, bool) else _Term(leaf, 0))
    found = _closed(done.pop())
    if isinstance(found, bool):
        return found
    if found.height > MAX_HEIGHT:
        raise _too_large(f"alternates &, | and ~ on more than {MAX_HEIGHT} levels")
    conditions = sum(isinstance(node, (Comparison, OneOf)) for node in postorder(found.filter))
    if conditions > MAX_CONDITIONS:
        raise _too_large(f"has {conditions} conditions; at most {MAX_CONDITIONS} are taken")
    return found.filter


def _leaf(
    node: object, fields: Mapping[str, FieldType], limits: Mapping[str, FieldLimits]
) -> Decided:
    if isinstance(node, OneOf):
        kind, values = _kind(node.name, fields), several(node.name, node.values)
        return listed(node.name, kind, values, limits.get(node.name, UNLIMITED))
    if isinstance(node, Comparison) and node.operator in OPERATORS:
        kind, held = _kind(node.name, fields), limits.get(node.name, UNLIMITED)
        return compared(node.name, kind, node.operator, node.value, held)
    raise InvalidArgumentError(
        f"a filter is made of fields, as in field('label') == 'cat', combined with &, | and ~; got "
        f"{shown(node)} ({type(node).__name__})"
    )


def _kind(name: object, fields: Mapping[str, FieldType]) -> FieldType:
    if isinstance(name, str) and name in fields:
        return fields[name]
    raise InvalidArgumentError(
        f"the index has the fields {sorted(fields)}; the filter names {name!r}"
    )


def _joined(kind: type[And | Or], left: _Settled, right: _Settled) -> _Settled:
    """Return both or either of two settled filters; chains of the kind become one."""
    first, second = _opened(kind, left), _opened(kind, right)
    decisive = kind is Or
    if first is decisive or second is decisive:
        return decisive
    if isinstance(first, bool) or isinstance(second, bool):
        return second if isinstance(first, bool) else first
    # The shorter joins the longer, so that no order of building is slow.
    if len(first.terms) < len(second.terms):
        second.terms.extendleft(reversed(first.terms))
        return second
    first.terms.extend(second.terms)
    return first


def _opened(kind: type[And | Or], settled: _Settled) -> _Chain | bool:
    """Return the settled filter as a chain of a kind."""
    if isinstance(settled, _Chain) and settled.kind is kind:
        return settled
    term = _closed(settled)
    if isinstance(term, bool):
        return term
    return _Chain(kind, deque([term]))


def _closed(settled: _Settled) -> _Closed:
    """Return the settled filter as one term; a chain becomes a balanced tree."""
    if not isinstance(settled, _Chain):
        return settled
    terms = _merged(settled)
    return terms if isinstance(terms, bool) else _balanced(settled.kind, terms)


def _negated(term: _Closed) -> _Closed:
    if isinstance(term, bool):
        return not term
    if isinstance(term.filter, Not):
        return _Term(term.filter.operand, term.height - 1)
    return _Term(Not(term.filter), term.height + 1)


def _merged(chain: _Chain) -> list[_Term] | bool:
    """Return the terms; equalities of a field are one list, which stores parse quickly.

    In a chain of ``|`` these are what equals one of several values, in a chain of ``&`` what
    equals none of them.
    """
    values: dict[str, list[object]] = {}
    kept: list[_Term | str] = []
    for term in chain.terms:
        equality = _equality(chain.kind, term.filter)
        if equality is None:
            kept.append(term)
            continue
        name, given = equality
        if name not in values:
            kept.append(name)
        values.setdefault(name, []).extend(given)
    terms: list[_Term] = []
    for each in kept:
        if isinstance(each, _Term):
            terms.append(each)
            continue
        found = one_of(each, values[each])  # type: ignore[arg-type]
        if isinstance(found, bool):
            return found if chain.kind is Or else not found
        terms.append(_equal(chain.kind, found))
    return terms


def _equality(kind: type[And | Or], term: Filter) -> tuple[str, tuple[object, ...]] | None:
    """Return the field and the values of an equality that a chain of this kind may list."""
    if kind is And:
        if isinstance(term, Comparison) and term.operator == "!=":
            return term.name, (term.value,)
        if not isinstance(term, Not):
            return None
        term = term.operand
    if isinstance(term, OneOf):
        return term.name, term.values
    if isinstance(term, Comparison) and term.operator == "==":
        return term.name, (term.value,)
    return None


def _equal(kind: type[And | Or], equality: Comparison | OneOf) -> _Term:
    """Return the term of a chain that an equality, or its opposite, is."""
    if kind is Or:
        return _Term(equality, 0)
    if isinstance(equality, Comparison) and type(equality.value) is not bool:
        return _Term(Comparison(equality.name, "!=", equality.value), 0)
    return _Term(Not(equality), 1)


def _balanced(kind: type[And | Or], terms: Iterable[_Term]) -> _Term:
    """Return the terms as a tree that is as low as it can be: the two lowest are joined first."""
    heap = [(term.height, place, term.filter) for place, term in enumerate(terms)]
    heapq.heapify(heap)
    place = len(heap)
    while len(heap) > 1:
        _, _, left = heapq.heappop(heap)
        height, _, right = heapq.heappop(heap)
        heapq.heappush(heap, (height + 1, place, kind(left, right)))
        place += 1
    height, _, whole = heap[0]
    return _Term(whole, height)


def _too_large(how: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"the filter {how}; say field(...).is_in([...]) for many values, or ask several times"
    )
