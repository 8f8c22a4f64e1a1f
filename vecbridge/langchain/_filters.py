"""Filters as LangChain's stores take them, in MongoDB's language: translated whole, or refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from vecbridge import Filter, InvalidArgumentError
from vecbridge._documents import Keys, joined
from vecbridge.filters import And, Not, Or

_COMPARED = {"$eq": "==", "$ne": "!=", "$lt": "<", "$lte": "<=", "$gt": ">", "$gte": ">="}
_LISTED = {"$in": "in", "$nin": "not in"}
_OF_STRINGS = {"$eq", "$ne", *_LISTED}


def translated(given: Any, keys: Keys) -> Filter | None:
    """Return a filter of vecbridge; one that is given comes back as it is.

    Args:
        given: ``{"year": 2024}``, ``{"year": {"$gt": 2020}}``, ``{"$or": [..., ...]}``; ``None`` or
            ``{}`` for no filter.
        keys: the keys that it may name.

    Raises:
        InvalidArgumentError: a part of it has no translation.
    """
    if given is None or given == {}:
        return None
    return given if isinstance(given, get_args(Filter)) else _filter(given, keys)


def _filter(given: Any, keys: Keys) -> Filter:
    if not isinstance(given, Mapping):
        raise InvalidArgumentError(
            f'a filter is a dict, as {{"year": {{"$gt": 2020}}}}, or made by vecbridge.field; got '
            f"{type(given).__name__}"
        )
    return joined(And, [_part(name, value, keys) for name, value in given.items()])


def _part(name: str, value: Any, keys: Keys) -> Filter:
    if name in {"$and", "$or"}:
        if not isinstance(value, (list, tuple)):
            raise InvalidArgumentError(f"{name} takes a list of filters; got {value!r}")
        return joined(And if name == "$and" else Or, [_filter(each, keys) for each in value])
    if name == "$not":
        return Not(_filter(value, keys))
    if not isinstance(value, Mapping):
        return _condition(name, "$eq", value, keys)
    return joined(And, [_condition(name, *each, keys) for each in value.items()])


def _condition(name: str, operator: str, value: Any, keys: Keys) -> Filter:
    if operator == "$not":
        return Not(_part(name, value, keys))
    if operator == "$exists" and isinstance(value, bool):
        return keys.condition(name, "!=" if value else "==", None)
    if keys.kind(name) == "strings" and operator in _OF_STRINGS:
        return _of_strings(name, operator, value, keys)
    if operator in _LISTED and isinstance(value, (list, tuple, set, frozenset)):
        return keys.condition(name, _LISTED[operator], value)
    if operator in _COMPARED:
        return keys.condition(name, _COMPARED[operator], value)
    known = sorted([*_COMPARED, *_LISTED, "$exists", "$not"])
    raise InvalidArgumentError(
        f"the filter's {{{name!r}: {{{operator!r}: {value!r}}}}} has no meaning here; there are "
        f"{known}, with a list for $in and $nin, and True or False for $exists"
    )


def _of_strings(name: str, operator: str, value: Any, keys: Keys) -> Filter:
    """Return a condition of a key that holds a list of strings: MongoDB compares each of them."""
    listed = operator in _LISTED
    wanted = value if listed else [value]
    texts = isinstance(wanted, (list, tuple, set, frozenset)) and all(
        each is None or isinstance(each, str) for each in wanted
    )
    if not texts:
        raise InvalidArgumentError(
            f"{name!r} holds strings, each of which is compared: {operator} takes "
            f"{'a list of strings' if listed else 'one string'}; got {value!r}"
        )
    found = keys.condition(name, "contains any", wanted)
    return found if operator in {"$eq", "$in"} else Not(found)
