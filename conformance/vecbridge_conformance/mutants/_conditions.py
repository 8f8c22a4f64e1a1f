"""Mutants whose filters mean something else: of missing values, of texts in texts and in lists."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from vecbridge import Filter
from vecbridge.filters import And, Comparison, Contains, ContainsAny, IsMissing, Not, OneOf, Or
from vecbridge_conformance.mutants._backend import mutant
from vecbridge_conformance.mutants._reference import ReferenceIndex
from vecbridge_conformance.mutants._shelf import Row


@mutant("missing-meets-not-equal", "SEARCH-17", "milvus-io/milvus/issues/49891")
class MissingMeetsNotEqual(ReferenceIndex):
    """A missing value is not equal to any, and so is found."""

    def meets(self, condition: Filter, value: Any) -> bool:
        if isinstance(condition, Comparison) and condition.operator == "!=":
            return value is None or super().meets(condition, value)
        return super().meets(condition, value)


@mutant("missing-is-the-smallest", "SEARCH-17", "milvus-io/milvus/issues/46861")
class MissingIsTheSmallest(ReferenceIndex):
    """A missing value is less than every other one, and so is found."""

    def meets(self, condition: Filter, value: Any) -> bool:
        if isinstance(condition, Comparison) and condition.operator in {"<", "<="}:
            return value is None or super().meets(condition, value)
        return super().meets(condition, value)


@mutant("missing-is-empty", "SEARCH-17", "weaviate/weaviate/pull/2367")
class MissingIsEmpty(ReferenceIndex):
    """A filter for missing values finds empty texts and empty lists as well."""

    def meets(self, condition: Filter, value: Any) -> bool:
        if isinstance(condition, IsMissing) and isinstance(value, (str, list, tuple)):
            return not value
        return super().meets(condition, value)


@mutant("unknown-swallows-false", "SEARCH-17", "milvus-io/milvus/issues/48441")
class UnknownSwallowsFalse(ReferenceIndex):
    """What is false *and* unknown is unknown, and its opposite too: ``~`` loses missing values."""

    def accepts(self, where: Filter, row: Row) -> bool:
        return self._truth(where, row) is True

    def _truth(self, where: Filter, row: Row) -> bool | None:
        if isinstance(where, (And, Or)):
            sides = [self._truth(side, row) for side in where.operands()]
            if None in sides:
                return None
            return all(sides) if isinstance(where, And) else any(sides)
        if isinstance(where, Not):
            inner = self._truth(where.operand, row)
            return None if inner is None else not inner
        known = isinstance(where, IsMissing) or row.fields[where.name] is not None
        return super().accepts(where, row) if known else None


@mutant("contains-folds-case", "SEARCH-18", "chroma-core/chroma/issues/1699")
class ContainsFoldsCase(ReferenceIndex):
    """Looks for a text in a text whatever its case."""

    def holds(self, condition: Filter, value: Any) -> bool:
        if isinstance(condition, Contains) and isinstance(value, str):
            return condition.value.casefold() in value.casefold()
        return super().holds(condition, value)


@mutant("contains-by-pattern", "SEARCH-18", "langchain4j/langchain4j/pull/5600")
class ContainsByPattern(ReferenceIndex):
    """In a text that is looked for, ``%`` stands for any characters, and ``_`` for any one."""

    def holds(self, condition: Filter, value: Any) -> bool:
        if isinstance(condition, Contains) and isinstance(value, str):
            wild = {"%": ".*", "_": "."}
            pattern = "".join(wild.get(each, re.escape(each)) for each in condition.value)
            return re.search(pattern, value, re.DOTALL) is not None
        return super().holds(condition, value)


@mutant("contains-at-the-beginning", "SEARCH-18")
class ContainsAtTheBeginning(ReferenceIndex):
    """Looks for a text at the beginning of a text alone."""

    def holds(self, condition: Filter, value: Any) -> bool:
        if isinstance(condition, Contains) and isinstance(value, str):
            return value.startswith(condition.value)
        return super().holds(condition, value)


@mutant("contains-in-the-written-list", "SEARCH-18")
class ContainsInTheWrittenList(ReferenceIndex):
    """Looks for an element in the list as it is written, and finds it in a longer element."""

    def holds(self, condition: Filter, value: Any) -> bool:
        if isinstance(condition, Contains) and not isinstance(value, str):
            return any(condition.value in text for text in value)
        return super().holds(condition, value)


@mutant("contains-any-means-all", "SEARCH-18")
class ContainsAnyMeansAll(ReferenceIndex):
    """Finds lists that have each of several elements, where one would do."""

    def holds(self, condition: Filter, value: Any) -> bool:
        if isinstance(condition, ContainsAny):
            return set(condition.values) <= set(value)
        return super().holds(condition, value)


@mutant("texts-ordered-by-utf-16", "SEARCH-13", "partiql/partiql-lang-kotlin/issues/1346")
class TextsOrderedByUtf16(ReferenceIndex):
    """Orders texts by the units of UTF-16, in which U+10000 comes before U+FFFF."""

    def holds(self, condition: Filter, value: Any) -> bool:
        if isinstance(condition, Comparison) and isinstance(condition.value, str):
            condition = replace(condition, value=_units(condition.value))
            value = _units(value)
        return super().holds(condition, value)


def _units(text: str) -> Any:
    return text.encode("utf-16-be")


@mutant("filter-times-by-milliseconds", "SEARCH-13")
class FilterTimesByMilliseconds(ReferenceIndex):
    """To a filter, two times of the same millisecond are equal."""

    def accepts(self, where: Filter, row: Row) -> bool:
        if isinstance(where, Comparison) and self._is_time(where.name):
            return self.meets(replace(where, value=_cut(where.value)), _cut(row.fields[where.name]))
        if isinstance(where, OneOf) and self._is_time(where.name):
            values = tuple(map(_cut, where.values))
            return self.meets(OneOf(where.name, values), _cut(row.fields[where.name]))
        return super().accepts(where, row)

    def _is_time(self, name: str) -> bool:
        return self.info.fields[name] in {"timestamp", "timestamp?"}


def _cut(microseconds: Any) -> Any:
    return None if microseconds is None else microseconds // 1000
