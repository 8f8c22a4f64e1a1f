"""Mutants that keep other fields than they were given, or filter by something like them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from vecbridge import FieldValue, Filter, Scalar, Scope
from vecbridge.filters import And, Comparison, Not, OneOf, Or
from vecbridge_conformance.mutants._backend import mutant
from vecbridge_conformance.mutants._reference import ReferenceIndex
from vecbridge_conformance.mutants._shelf import Row


def _single(value: float) -> float:
    """Return what 32 bits keep of a float."""
    with np.errstate(all="ignore"):
        return float(np.float32(value))


def _with_each(row: Row, change: Callable[[FieldValue], FieldValue]) -> Row:
    """Return the row with each of its values changed."""
    return row._replace(fields={name: change(value) for name, value in row.fields.items()})


class _Column(ReferenceIndex):
    """Keeps a value that is like the one it was given."""

    def merged(self, rows: list[Row], new: list[Row]) -> list[Row]:
        return super().merged(rows, [_with_each(row, self.like) for row in new])

    def like(self, value: FieldValue) -> FieldValue:
        """Return what is kept of a value."""
        return value


@mutant("integers-through-floats", "REC-6")
class IntegersThroughFloats(_Column):
    """Keeps integers as floats, which tell none apart beyond 53 bits."""

    def like(self, value: FieldValue) -> FieldValue:
        return int(float(value)) if type(value) is int else value


@mutant("texts-trimmed", "REC-6")
class TextsTrimmed(_Column):
    """Blanks at the end of a text are lost."""

    def like(self, value: FieldValue) -> FieldValue:
        return value.rstrip() if isinstance(value, str) else value


@mutant("texts-cut", "REC-6")
class TextsCut(_Column):
    """Keeps the first 255 characters of a text, and does not say so."""

    def like(self, value: FieldValue) -> FieldValue:
        return value[:255] if isinstance(value, str) else value


@mutant("floats-of-32-bits", "REC-10")
class FloatsOf32Bits(_Column):
    """Keeps floats in 32 bits, acknowledges those that are rounded, and declares nothing."""

    def like(self, value: FieldValue) -> FieldValue:
        return _single(value) if type(value) is float else value


class _Matching(ReferenceIndex):
    """Filters rows by something that is like their values."""

    def in_scope(self, rows: list[Row], scope: Scope) -> list[Row]:
        looked_at = [_with_each(row, self.seen_as) for row in rows]
        names = {row.id for row in super().in_scope(looked_at, scope)}
        return [row for row in rows if row.id in names]

    def seen_as(self, value: FieldValue) -> FieldValue:
        """Return what a filter takes a value for."""
        return value


@mutant("filter-pads-texts", "SEARCH-8", "trinodb/trino/pull/29952")
class FilterPadsTexts(_Matching):
    """To a filter, blanks at the end of a text do not count."""

    def seen_as(self, value: FieldValue) -> FieldValue:
        return value.rstrip(" ") if isinstance(value, str) else value


@mutant("filter-by-first-word", "SEARCH-8", "weaviate/weaviate/issues/8035")
class FilterByFirstWord(_Matching):
    """A filter for a text finds longer texts that begin with it as a word."""

    def seen_as(self, value: FieldValue) -> FieldValue:
        return value.partition(" ")[0] if isinstance(value, str) else value


@mutant("filter-integers-as-floats", "SEARCH-8")
class FilterIntegersAsFloats(_Matching):
    """A filter compares integers as floats, so large neighbours are the same."""

    def seen_as(self, value: FieldValue) -> FieldValue:
        return float(value) if type(value) is int else value


@mutant("filter-list-cut", "SEARCH-8")
class FilterListCut(ReferenceIndex):
    """Of a list of values in a filter, the first thousand count."""

    def in_scope(self, rows: list[Row], scope: Scope) -> list[Row]:
        where = scope.where
        if isinstance(where, OneOf):
            where = OneOf(where.name, where.values[:1000])
        return super().in_scope(rows, replace(scope, where=where))


class _Operands(ReferenceIndex):
    """Filters by something that is like what it was asked for."""

    def in_scope(self, rows: list[Row], scope: Scope) -> list[Row]:
        changed = None if scope.where is None else self._changed(scope.where)
        return super().in_scope(rows, replace(scope, where=changed))

    def _changed(self, where: Filter) -> Filter:
        if isinstance(where, Not):
            return Not(self._changed(where.operand))
        if isinstance(where, (And, Or)):
            return type(where)(self._changed(where.left), self._changed(where.right))
        if isinstance(where, Comparison):
            return Comparison(where.name, where.operator, self.put(where.value))
        return where

    def put(self, value: Scalar) -> Scalar:
        """Return what a value is compared with, as it is put into the store's language."""
        return value


@mutant("filter-operand-of-another-type", "SEARCH-13")
class FilterOperandOfAnotherType(_Matching):
    """To a filter, a text that reads as a number is the number: "1" equals "1.0"."""

    def seen_as(self, value: FieldValue) -> FieldValue:
        return value.removesuffix(".0") if isinstance(value, str) else value


@mutant("filter-float-bound-rounded", "SEARCH-13")
class FilterFloatBoundRounded(_Operands):
    """Writes a float into the filter with 15 digits, which do not tell all floats apart."""

    def put(self, value: Scalar) -> Scalar:
        return float(f"{value:.15g}") if type(value) is float else value


@mutant("filter-float-bound-of-32-bits", "SEARCH-13")
class FilterFloatBoundOf32Bits(_Operands):
    """Takes the float in a filter for one of 32 bits."""

    def put(self, value: Scalar) -> Scalar:
        return _single(value) if type(value) is float else value


@mutant("filter-characters-of-16-bits", "SEARCH-13")
class FilterCharactersOf16Bits(_Operands):
    """Of a character in a filter, the last 16 bits count."""

    def put(self, value: Scalar) -> Scalar:
        if not isinstance(value, str):
            return value
        return "".join(chr(ord(character) & 0xFFFF) for character in value)


@mutant("filter-list-by-bits", "SEARCH-13")
class FilterListByBits(ReferenceIndex):
    """Looks for the values of a list by their bits, so that minus zero is not zero."""

    def in_scope(self, rows: list[Row], scope: Scope) -> list[Row]:
        found, where = super().in_scope(rows, scope), scope.where
        if not isinstance(where, OneOf):
            return found
        return [row for row in found if repr(row.fields[where.name]) in map(repr, where.values)]


@mutant("filter-or-of-one-side", "SEARCH-14", "milvus-io/milvus/issues/42903")
class FilterOrOfOneSide(_Operands):
    """Of an ``or`` with a text on one side, looks at the records of that text alone."""

    def _changed(self, where: Filter) -> Filter:
        for side in (where.left, where.right) if isinstance(where, Or) else ():
            if isinstance(side, Comparison) and type(side.value) is str and side.operator == "==":
                return side
        return super()._changed(where)


@mutant("filter-chain-cut", "SEARCH-16")
class FilterChainCut(_Operands):
    """Leaves out what nests deeper than eight levels."""

    def _changed(self, where: Filter, depth: int = 0) -> Filter:
        if isinstance(where, Not):
            return Not(self._changed(where.operand, depth + 1))
        if isinstance(where, (And, Or)):
            left = self._changed(where.left, depth + 1)
            right = self._changed(where.right, depth + 1)
            return left if depth >= 8 else type(where)(left, right)
        return where
