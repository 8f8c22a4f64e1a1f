"""Documents as records: a text, metadata as JSON, and copies of declared keys that filters can use.

What other libraries call a document has a text and metadata of any shape. A record has fields of
declared types. So the text is one field, everything else is JSON in another one, from which it
comes back as it was, and a key that filters need is declared and copied into a field of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import reduce
from types import MappingProxyType
from typing import Any

from vecbridge import (
    FieldType,
    FieldValue,
    Filter,
    Index,
    IndexInfo,
    InvalidArgumentError,
    Metric,
    MissingDependencyError,
    SchemaMismatchError,
    Store,
    field,
)
from vecbridge.fields import BaseType, base_of
from vecbridge.filters import And, ContainsAny, Not, OneOf, Or, settle

TEXT = "document_text"
"""The field of a document's text."""
JSON = "document_json"
"""The field of all else that a document holds."""

Condition = Callable[[field, Any], Filter]

_CONDITIONS: dict[str, Condition] = {
    "==": lambda key, value: key == value,
    "<": lambda key, value: key < value,
    "<=": lambda key, value: key <= value,
    ">": lambda key, value: key > value,
    ">=": lambda key, value: key >= value,
}


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Say what to install where a package of a client is missing; put its imports inside.

    Raises:
        MissingDependencyError: a package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"vecbridge.{name} needs the package {error.name!r}, which is not installed: "
            f'pip install "vecbridge[{name}]"',
            name=error.name,
        ) from error


def open_documents(
    store: Store,
    name: str,
    *,
    dimension: int,
    metric: Metric | None,
    fields: Mapping[str, FieldType] | None,
    more: Mapping[str, FieldType] = MappingProxyType({}),
) -> Index:
    """Open an index that keeps documents, or make it where there is none.

    Args:
        store: the store.
        name: of the index.
        dimension: of its vectors.
        metric: that it must have, if that matters; of a new one, by default the store's.
        fields: name and type of each key of the metadata that filters can use.
        more: fields that a client keeps besides.

    Raises:
        InvalidArgumentError: a declared name is one of the other fields'.
        SchemaMismatchError: it exists with another dimension, metric or set of fields.
    """
    own: dict[str, FieldType] = {TEXT: "string", JSON: "string", **more}
    if taken := sorted(own.keys() & (fields or {}).keys()):
        raise InvalidArgumentError(
            f"the field {taken[0]!r} holds what a document is made of; declare another name"
        )
    if fields is None and name in store.index_names():
        return store.open_index(name, dimension=dimension, metric=metric)
    own |= fields or {}
    return store.open_or_create_index(name, dimension=dimension, metric=metric, fields=own)


class Keys:
    """The keys of metadata that an index has copies of. A time without a zone is one in UTC.

    Args:
        info: of the index.
        more: fields that a client keeps besides the text and the JSON.

    Raises:
        SchemaMismatchError: the index was not made for documents.
    """

    def __init__(self, info: IndexInfo, more: Iterable[str] = ()) -> None:
        own = {TEXT, JSON, *more}
        if lacking := sorted(own - info.fields.keys()):
            raise SchemaMismatchError(
                f"index {info.name!r} has no field {lacking[0]!r}, so it was not made for "
                f"documents; make another one for them. It has {sorted(info.fields)}"
            )
        self._info = info
        self._types: dict[str, FieldType] = {
            name: kind for name, kind in info.fields.items() if name not in own
        }

    def kind(self, name: str) -> BaseType:
        """Return what a declared key holds.

        Raises:
            InvalidArgumentError: the key is not declared.
        """
        if name not in self._types:
            raise InvalidArgumentError(
                f"cannot filter by {name!r}: index {self._info.name!r} keeps no field for it, only "
                f"for {sorted(self._types)}. Declare it in fields= when the index is made"
            )
        return base_of(self._types[name])

    def copies(self, metadata: Sequence[Mapping[str, Any]]) -> dict[str, list[FieldValue]]:
        """Return a column per declared key, of one value per document."""
        return {
            name: [self._value(name, each.get(name)) for each in metadata] for name in self._types
        }

    def condition(self, name: str, operator: str, value: Any) -> Filter:
        """Return what one comparison of another library's filter means.

        ``!=`` and ``not in`` are the exact complements of ``==`` and ``in``: they match a document
        without a value too. ``None`` equals a missing value, and has no order.

        Args:
            name: a declared key.
            operator: ``==``, ``!=``, ``<``, ``<=``, ``>``, ``>=``, ``in``, ``not in``; or
                ``contains any`` of a key that holds strings.
            value: what the key is compared with; a sequence of values for the last three.

        Raises:
            InvalidArgumentError: the key is not declared, or holds values of another type.
        """
        self.kind(name)
        found = self._condition(name, operator, value)
        settle(found, self._info.fields, self._info.limits)
        return found

    def _condition(self, name: str, operator: str, value: Any) -> Filter:
        if operator in {"!=", "not in"}:
            return Not(self._condition(name, "==" if operator == "!=" else "in", value))
        if operator in {"in", "contains any"}:
            known = [self._value(name, each) for each in value if each is not None]
            one_of: Filter = (ContainsAny if operator != "in" else OneOf)(name, tuple(known))
            return Or(one_of, field(name).is_missing()) if None in [*value] else one_of
        if value is None:
            return field(name).is_missing() if operator == "==" else OneOf(name, ())
        return _CONDITIONS[operator](field(name), self._value(name, value))

    def _value(self, name: str, value: Any) -> Any:
        """Return a value of metadata as the field holds it: a time may be text without a zone."""
        if base_of(self._types[name]) != "timestamp":
            return value
        time = value
        if isinstance(value, str):
            if re.search(r"[.,]\d{7}", value):
                # Python would cut them off.
                raise InvalidArgumentError(
                    f"{name!r} is declared as a timestamp, which has microseconds, and {value!r} "
                    f"has more digits; round it"
                )
            try:
                # Python 3.10 does not know the Z.
                time = datetime.fromisoformat(value.replace("Z", "+00:00"))
            except ValueError as error:
                raise InvalidArgumentError(
                    f"{name!r} is declared as a timestamp, and {value!r} is no time in ISO 8601"
                ) from error
        if isinstance(time, datetime) and time.tzinfo is None:
            return time.replace(tzinfo=timezone.utc)
        return time


def joined(operator: type[And | Or], filters: Iterable[Filter]) -> Filter:
    """Return several filters as one.

    Raises:
        InvalidArgumentError: there are none.
    """
    parts = list(filters)
    if not parts:
        raise InvalidArgumentError("a filter joins no conditions; leave it out, or give it some")
    return reduce(operator, parts)


def as_json(value: Mapping[str, Any], name: str) -> str:
    """Return what comes back from JSON as it was; tuples come back as lists.

    Args:
        value: of a document.
        name: of the document, for errors.

    Raises:
        InvalidArgumentError: JSON cannot hold it.
    """
    try:
        text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(
            f"the metadata of document {name!r} cannot be kept as JSON: {error}. Convert it first, "
            f"as a time by isoformat()"
        ) from error
    if json.loads(text) != _with_lists(value):
        raise InvalidArgumentError(
            f"the metadata of document {name!r} would come back changed from JSON: a key in it is "
            f"no string"
        )
    return text


def _with_lists(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _with_lists(each) for key, each in value.items()}
    return [_with_lists(each) for each in value] if isinstance(value, (list, tuple)) else value
