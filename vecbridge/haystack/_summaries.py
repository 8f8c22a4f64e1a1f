"""What Haystack asks about the metadata of all documents: types, counts, extremes, values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from vecbridge._documents import extra
from vecbridge._plans import Plan, awaited, plain

with extra("haystack"):
    from haystack.dataclasses import Document

_TYPES = {bool: "boolean", int: "int", float: "float"}


class MetadataSummaries:
    """The methods of a document store that read the metadata of every document that matches."""

    def _waiting(self) -> Any:
        raise NotImplementedError

    async def _awaiting(self) -> Any:
        raise NotImplementedError

    def _matching(
        self, filters: Mapping[str, Any] | None, *, embeddings: bool = True
    ) -> Plan[list[Document]]:
        raise NotImplementedError

    @plain
    def get_metadata_fields_info(self, /) -> Plan[dict[str, dict[str, str]]]:
        """Return the type of each key of ``meta``: keyword, int, float or boolean."""
        found = yield from self._matching(None, embeddings=False)
        values = ((key, value) for each in found for key, value in each.meta.items())
        return {
            key: {"type": _TYPES.get(type(value), "keyword")}
            for key, value in values
            if value is not None
        }

    @plain
    def get_metadata_field_min_max(self, /, metadata_field: str) -> Plan[dict[str, Any]]:
        """Return the least and the greatest value of a key, or ``None`` where there is none."""
        found = yield from self._matching(None, embeddings=False)
        values = [
            each for each in _values(found, metadata_field) if isinstance(each, (int, float, str))
        ]
        try:
            return {"min": min(values, default=None), "max": max(values, default=None)}
        except TypeError:
            # Texts among numbers, which have no order.
            return {"min": None, "max": None}

    @plain
    def get_metadata_field_unique_values(
        self,
        /,
        metadata_field: str,
        search_term: str | None = None,
        from_: int = 0,
        size: int = 10,
        filters: dict[str, Any] | None = None,
    ) -> Plan[tuple[list[Any], int]]:
        """Return a page of the values of a key, each once, and how many there are.

        Args:
            metadata_field: the key, with or without ``meta.`` before it.
            search_term: only values with this text in them, in any case.
            from_: how many to leave out first.
            size: most values to return.
            filters: only of documents that match.
        """
        found = yield from self._matching(filters, embeddings=False)
        distinct = _distinct(_values(found, metadata_field))
        kept = [each for each in distinct if (search_term or "").lower() in str(each).lower()]
        ordered = sorted(kept, key=lambda each: (str(each), type(each).__name__))
        return ordered[from_ : from_ + size], len(ordered)

    @plain
    def count_unique_metadata_by_filter(
        self, /, filters: dict[str, Any], metadata_fields: list[str]
    ) -> Plan[dict[str, int]]:
        """Return how many different values each of some keys has in the documents that match."""
        found = yield from self._matching(filters, embeddings=False)
        return {
            name.removeprefix("meta."): len(_distinct(_values(found, name)))
            for name in metadata_fields
        }

    get_metadata_fields_info_async = awaited(get_metadata_fields_info)
    get_metadata_field_min_max_async = awaited(get_metadata_field_min_max)
    get_metadata_field_unique_values_async = awaited(get_metadata_field_unique_values)
    count_unique_metadata_by_filter_async = awaited(count_unique_metadata_by_filter)


def _values(documents: list[Document], name: str) -> list[Any]:
    found = [each.meta.get(name.removeprefix("meta.")) for each in documents]
    return [each for each in found if each is not None]


def _distinct(values: list[Any]) -> list[Any]:
    """Return each value once: ``1``, ``1.0``, ``True`` and ``"1"`` are four, as in JSON."""
    return list({json.dumps(each, sort_keys=True): each for each in values}.values())
