"""A filter is settled once: into values of the fields' own types, and a tree that engines can walk.

What no value of a field could mean is refused here, for every store alike. What needs no store is
decided. What is left is a shallow tree: chains of ``&`` and ``|`` come as balanced trees, whatever
order they were built in, since stores parse and evaluate by recursion.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeAlias, cast

from vecbridge._contract._field import several
from vecbridge._contract._field_types import (
    BaseType,
    FieldType,
    Scalar,
    base_of,
    is_optional,
)
from vecbridge._contract._filters import (
    And,
    Comparison,
    Contains,
    ContainsAny,
    Filter,
    FilterOperator,
    IsMissing,
    Not,
    OneOf,
    Or,
    StartsWith,
    is_condition,
    postorder,
    shown,
)
from vecbridge._contract._limits import UNLIMITED, FieldLimits
from vecbridge._contract._operands import (
    OPERATORS,
    Decided,
    compared,
    contained,
    listed,
    one_of,
    started,
)
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


_Settled: TypeAlias = _Term | bool
_Join: TypeAlias = type[And | Or]


class _Chain(NamedTuple):
    """What is settled of the operands of a ``~``, or of those of ``&`` or ``|`` in a row."""

    kind: type[And | Or | Not] | None
    terms: list[_Settled]

    def settled(self, fields: Mapping[str, FieldType]) -> _Settled:
        """Return the chain as one filter, or its outcome."""
        if self.kind is And or self.kind is Or:
            return _joined(self.kind, self.terms, fields)
        return _negated(*self.terms)


def settle(
    where: object,
    fields: Mapping[str, FieldType],
    limits: Mapping[str, FieldLimits] = MappingProxyType({}),
) -> Filter | bool:
    """Return what a filter means for an index with these fields, in a form that engines translate.

    Every value is a plain ``str``, ``int``, ``float`` or ``bool``, and of exactly its field's type:
    an integer of 64 bits, a finite float that is not ``-0.0``, a string without NUL or lone
    surrogates of at most 65535 bytes of UTF-8. Booleans are compared with ``==`` only. A
    :class:`OneOf` holds at least two values, none twice. A time is its microseconds since 1970 in
    UTC. A :class:`StartsWith` is the range of strings that it means, :class:`Contains` and
    :class:`ContainsAny` are of fields of their type, and :class:`IsMissing` is of an optional one.
    A condition on an optional field below a :class:`Not` stands beside ``~is_missing``, so that
    *unknown* and *false* come to the same in every store. The tree is at most 22 high and has at
    most 10 000 conditions, and no :class:`Not` holds a :class:`Not`.

    Args:
        where: what the caller gave.
        fields: name and type of each scalar field of the index.
        limits: as in ``IndexInfo.limits``: an integer is then in the field's range, and a float
            that is compared with a 32-bit field has 32 bits.

    Returns:
        The filter; or ``True`` where every record matches, and ``False`` where none does.

    Raises:
        InvalidArgumentError: it is not a filter, it names a field that does not exist, it compares
            a field with something that no value of it could be, or it is too large.

    Example:
        >>> from vecbridge import field
        >>> settle(field("size") < 2.5, {"size": "integer"})
        parse('size <= 2')
        >>> settle(field("size") == 2.5, {"size": "integer"})
        False
    """
    whole = _Chain(None, [])
    waiting: list[tuple[object, _Chain]] = [(where, whole)]
    parts = 0
    while waiting:
        node, chain = waiting.pop()
        if isinstance(node, _Chain):
            chain.terms.append(node.settled(fields))
            continue
        parts += 1
        if parts > _MAX_PARTS:
            raise _too_large(f"has more than {_MAX_PARTS} parts")
        if not isinstance(node, (And, Or, Not)):
            chain.terms.append(_leaf(node, fields, limits))
            continue
        if type(node) is not chain.kind or isinstance(node, Not):
            inner = _Chain(type(node), [])
            waiting.append((inner, chain))
            chain = inner
        waiting.extend((operand, chain) for operand in reversed(node.operands()))
    (found,) = whole.terms
    if isinstance(found, bool):
        return found
    if found.height > MAX_HEIGHT:
        raise _too_large(f"alternates &, | and ~ on more than {MAX_HEIGHT} levels")
    guarded = _guarded(found.filter, fields)
    conditions = [node for node in postorder(guarded) if is_condition(node)]
    if len(conditions) > MAX_CONDITIONS:
        how = f"has {len(conditions)} conditions; at most {MAX_CONDITIONS} are taken"
        elements = sum(isinstance(node, Contains) for node in conditions)
        # Each element of contains_all is a condition, and no list of values stands for it.
        raise _too_large(how, _PARTS if elements > len(conditions) // 2 else _LISTED)
    return guarded


def operator_of(node: Filter) -> FilterOperator:
    """Return the operator of a settled filter, or of a part of one."""
    return node.operator if isinstance(node, Comparison) else _WORDS[type(node)]


_WORDS: dict[type[object], FilterOperator] = {
    OneOf: "is_in",
    IsMissing: "is_missing",
    Contains: "contains",
    ContainsAny: "contains_any",
    And: "&",
    Or: "|",
    Not: "~",
}


def _leaf(
    node: object, fields: Mapping[str, FieldType], limits: Mapping[str, FieldLimits]
) -> _Settled:
    if not is_condition(node):
        raise _no_filter(node)
    kind, held = _kind(node.name, fields), limits.get(node.name, UNLIMITED)
    if isinstance(node, IsMissing):
        return _Term(node, 0) if is_optional(kind) else False
    found = _condition(node, base_of(kind), held)
    if found is True and is_optional(kind):
        return _Term(Not(IsMissing(node.name)), 1)
    if isinstance(found, bool):
        return found
    return _Term(found, 1 if isinstance(found, And) else 0)


def _condition(node: object, kind: BaseType, limits: FieldLimits) -> Decided | And:
    """Return what a condition means for a record that has a value of the field."""
    match node:
        case OneOf(name, values):
            return listed(name, kind, several(name, values, "is_in"), limits)
        case Comparison(name, word, value) if word in OPERATORS:
            return compared(name, kind, word, value, limits)
        case StartsWith(name, prefix):
            return started(name, kind, prefix)
        case Contains(name, value):
            return contained(name, kind, [value], "contains")
        case ContainsAny(name, values):
            found = several(name, values, "contains_any")
            return contained(name, kind, found, "contains_any")
    raise _no_filter(node)


def _guarded(where: Filter, fields: Mapping[str, FieldType]) -> Filter:
    """Return a filter whose conditions below a ``~`` are false, not unknown, of missing values.

    A store whose logic has three values then agrees with one that has two: above every ``~``,
    *unknown* and *false* find the same records.
    """
    if not any(is_optional(kind) for kind in fields.values()):
        return where

    def rebuilt(node: Filter, *, below: bool) -> Filter:
        match node:
            case And(left, right) | Or(left, right):
                return type(node)(rebuilt(left, below=below), rebuilt(right, below=below))
            case Not(IsMissing()):
                return node
            case Not(operand):
                return Not(rebuilt(operand, below=True))
            case IsMissing():
                return node
            case _:
                guard = below and is_optional(fields[node.name])
                return And(Not(IsMissing(node.name)), node) if guard else node

    return rebuilt(where, below=False)


def _no_filter(node: object) -> InvalidArgumentError:
    hint = "; vecbridge.filters.parse reads a filter from text" if isinstance(node, str) else ""
    return InvalidArgumentError(
        f"a filter is made of fields, as in field('label') == 'cat', combined with &, | and ~; got "
        f"{shown(node)} ({type(node).__name__}){hint}"
    )


def _kind(name: object, fields: Mapping[str, FieldType]) -> FieldType:
    if isinstance(name, str) and name in fields:
        return fields[name]
    raise InvalidArgumentError(
        f"the index has the fields {sorted(fields)}; the filter names {name!r}"
    )


def _joined(kind: _Join, terms: list[_Settled], fields: Mapping[str, FieldType]) -> _Settled:
    decisive = kind is Or
    if any(term is decisive for term in terms):
        return decisive
    merged = _merged(kind, [term for term in terms if not isinstance(term, bool)], fields)
    if isinstance(merged, bool):
        return merged
    return _balanced(kind, merged) if merged else not decisive


def _negated(term: _Settled) -> _Settled:
    if isinstance(term, bool):
        return not term
    if isinstance(term.filter, Not):
        return _Term(term.filter.operand, term.height - 1)
    return _Term(Not(term.filter), term.height + 1)


def _merged(
    kind: _Join, terms: Iterable[_Term], fields: Mapping[str, FieldType]
) -> list[_Term] | bool:
    """Return the terms; equalities of a field are one list, which stores parse quickly.

    In a chain of ``|`` these are what equals one of several values, in a chain of ``&`` what
    equals none of them. The latter only of fields that have a value in every record: a missing one
    meets ``~(x == 1)``, and not ``x != 1``.
    """
    gathered: dict[str | int, _Term | list[Scalar]] = {}
    for place, term in enumerate(terms):
        equality = _equality(kind, term.filter)
        if equality is None or (kind is And and is_optional(fields[equality[0]])):
            gathered[place] = term
        else:
            values = gathered.setdefault(equality[0], [])
            cast(list[Scalar], values).extend(equality[1])
    merged: list[_Term] = []
    for key, each in gathered.items():
        found = each if isinstance(each, _Term) else one_of(str(key), each)
        if found is True and is_optional(fields[str(key)]):
            found = _Term(Not(IsMissing(str(key))), 1)
        if isinstance(found, bool):
            return found if kind is Or else not found
        merged.append(found if isinstance(found, _Term) else _equal(kind, found))
    return merged


def _equality(kind: _Join, term: Filter) -> tuple[str, tuple[Scalar, ...]] | None:
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


def _equal(kind: _Join, equality: Comparison | OneOf) -> _Term:
    """Return the term of a chain that an equality, or its opposite, is."""
    if kind is Or:
        return _Term(equality, 0)
    if isinstance(equality, Comparison) and type(equality.value) is not bool:
        return _Term(Comparison(equality.name, "!=", equality.value), 0)
    return _Term(Not(equality), 1)


def _balanced(kind: _Join, terms: Iterable[_Term]) -> _Term:
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


_LISTED = "use field(...).is_in([...]) for many values, or search several times"
_PARTS = "search for some of the elements at a time, and keep the records in every answer"


def _too_large(how: str, advice: str = _LISTED) -> InvalidArgumentError:
    return InvalidArgumentError(f"the filter {how}; {advice}")
