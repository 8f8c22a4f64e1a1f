"""Filters as Haystack's stores take them: translated whole, or refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from vecbridge import Filter, InvalidArgumentError, InvalidInputError
from vecbridge._documents import Keys, extra, joined
from vecbridge.filters import And, Not, Or

with extra("haystack"):
    from haystack.dataclasses import Document
    from haystack.errors import FilterError

_ORDERED = {"<", "<=", ">", ">="}
_LISTED = {"in", "not in"}
_COMPARED = {"==", "!=", *_ORDERED, *_LISTED}
_OWN = {each.name for each in fields(Document)}


def translated(filters: Mapping[str, Any] | None, keys: Keys) -> Filter | None:
    """Return a filter of vecbridge, or ``None`` for none.

    Args:
        filters: comparisons of declared keys of the metadata, and ``AND``, ``OR``, ``NOT`` of them.
        keys: the keys that it may name.

    Raises:
        FilterError: a part of it has no translation.
    """
    if not filters:
        return None
    try:
        return _filter(filters, keys)
    except InvalidInputError as error:
        raise FilterError(str(error)) from error


def required(filters: Mapping[str, Any] | None, keys: Keys) -> Filter:
    """Return a filter that says which documents are to be changed.

    Raises:
        FilterError: as above; or there is none, which would match them all.
    """
    found = translated(filters, keys)
    if found is None:
        raise FilterError("there is no filter; delete_all_documents() removes every document")
    return found


def _filter(given: Any, keys: Keys) -> Filter:
    wanted = {"field", "operator", "value"} if "field" in given else {"operator", "conditions"}
    if not isinstance(given, Mapping) or given.keys() != wanted:
        raise InvalidArgumentError(
            f"a filter is a dict of 'field', 'operator' and 'value', or of 'operator' and "
            f"'conditions'; got {given!r}"
        )
    if "field" in given:
        return _comparison(given["field"], given["operator"], given["value"], keys)
    operator, conditions = given["operator"], given["conditions"]
    if operator not in {"AND", "OR", "NOT"} or not isinstance(conditions, list):
        raise InvalidArgumentError(
            f"conditions are a list, joined by AND, OR or NOT; got {operator!r} of {conditions!r}"
        )
    whole = joined(Or if operator == "OR" else And, [_filter(each, keys) for each in conditions])
    return Not(whole) if operator == "NOT" else whole


def _comparison(name: str, operator: str, value: Any, keys: Keys) -> Filter:
    if name in _OWN:
        raise InvalidArgumentError(
            f"cannot filter by {name!r} of a document, only by its metadata, as 'meta.{name}'"
        )
    key = name.removeprefix("meta.")
    if operator not in _COMPARED:
        raise InvalidArgumentError(f"there is no operator {operator!r}, only {sorted(_COMPARED)}")
    if operator in _LISTED and not isinstance(value, list):
        raise InvalidArgumentError(f"{operator!r} takes a list of values; got {value!r}")
    if operator in _ORDERED and keys.kind(key) == "string" and value is not None:
        raise InvalidArgumentError(
            f"texts have no order in Haystack, unless they are times; declare {key!r} a timestamp"
        )
    return keys.condition(key, operator, value)
