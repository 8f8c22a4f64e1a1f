"""Arrow tables as records: what their columns can be, and their values as upsert takes them.

Importing this needs pyarrow.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import pyarrow as pa
from pyarrow import types

from vecbridge._client._tables._arrow_kinds import described, fixed_length, is_list
from vecbridge._client._tables._arrow_values import ids_of, lengths_of, values_of, vectors_of
from vecbridge._client._tables._columns import Chosen, Column, Selection, choose
from vecbridge._client._tables._source import Fault, Place, Rows, Source, rows_at_once
from vecbridge._client._tables._unions import kinds_of
from vecbridge._contract._arrow import MARK
from vecbridge._contract._field_types import FIELD_TYPES, FieldType, base_of
from vecbridge._contract._metric import METRICS, Metric
from vecbridge._contract._records import IndexInfo

_MOST_TEXTS = 4096
"""Read at a time: a dictionary may say a long text once, and every row of it is long in Python."""

_FIRST_LOOK = 1024


@dataclass(frozen=True)
class Batches:
    """Record batches that can be read several times, and what is known of them.

    Attributes:
        place: what they are read from.
        schemas: of each of its parts, and the part's name.
        records: how many there are.
        row_bytes: about how large a record is.
        read: gives batches of at most some rows, of some columns.
        instants: columns whose times name no zone and are in UTC.
        metric: as the table says.
        said: types of fields, as the table says of itself.
        sparse: whether a record may leave out a column.
        faults: what is wrong with rows that could not be read, by their numbers.
        firsts: of each column of Python objects, the first row of each kind of value.
    """

    place: Place
    schemas: Sequence[tuple[str, Any]]
    records: int
    row_bytes: int
    read: Callable[[int, Sequence[str]], Iterator[Any]]
    instants: frozenset[str] = frozenset()
    metric: Metric | None = None
    said: Mapping[str, FieldType] = field(default_factory=dict)
    sparse: bool = False
    faults: Mapping[int, Fault] = field(default_factory=dict)
    firsts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def metric_of(schema: Any) -> Metric | None:
    """Return the metric that a table names for itself; one from elsewhere may say anything."""
    metric = _said(schema, "metric")
    return metric if metric in METRICS else None


def said_of(schema: Any) -> dict[str, FieldType]:
    """Return the types of fields that a table names for itself."""
    said = _said(schema, "fields")
    known = said if isinstance(said, dict) else {}
    return {name: kind for name, kind in known.items() if kind in FIELD_TYPES}


def _said(schema: Any, what: str) -> Any:
    try:
        said = json.loads((schema.metadata or {}).get(MARK, b""))
    except (ValueError, RecursionError):
        return None
    return said.get(what) if isinstance(said, dict) else None


class _Found(NamedTuple):
    """A column of a part: what it can be, where it is, and its types."""

    column: Column
    path: tuple[str, ...]
    types: tuple[Any, ...]

    @property
    def is_mixed(self) -> bool:
        """Return whether its values are of several kinds."""
        return len(kinds_of(self.types)) > 1


def source_of(
    batches: Batches,
    selection: Selection,
    info: IndexInfo | None,
    batch_bytes: int,
) -> Source:
    """Return record batches as a table of records.

    Args:
        batches: they.
        selection: what the caller says of their columns.
        info: of the index that they are for, where there is one.
        batch_bytes: most bytes of records that are read at a time.

    Raises:
        InvalidArgumentError: a column cannot be taken, or nothing says how long the vectors are.
    """
    if info is not None and not batches.records:
        return _nothing(batches.place, info)
    with batches.place.reading("the description of its columns"):
        found = _found(batches, selection)
    chosen = choose(
        [each.column for each in found],
        selection,
        batches.place,
        info,
        batches.said,
        absent_is_missing=batches.sparse,
    )
    reader = _Reader(batches, chosen, {each.column.name: each for each in found}, selection)
    return reader.source(batch_bytes, None if info is None else info.dimension)


def _nothing(place: Place, info: IndexInfo) -> Source:
    """Return a table without records, which any index takes: its columns may have no type."""
    kinds = ("null", "null")
    return Source(place, 0, info.dimension, None, (), lambda: iter(()), lambda: iter(()), kinds)


def _found(batches: Batches, selection: Selection) -> list[_Found]:
    """Return the columns of all parts; those of a file in parts hold values of one kind."""
    if batches.sparse:
        return _of_all(batches, selection)
    (label, schema), *others = batches.schemas
    found = list(_columns_of(schema, selection, batches))
    merged = {each.column.name: each for each in found}
    for part, other in others:
        here = {each.column.name: each for each in _columns_of(other, selection, batches)}
        if uneven := sorted(merged.keys() ^ here.keys()):
            raise batches.place.unusable(
                f"{label} and {part} do not have the same columns: only one of them has {uneven}"
            )
        for name, each in here.items():
            merged[name] = _of_both(merged[name], each, label, part, batches)
    return [*merged.values()] if others else found


def _of_all(batches: Batches, selection: Selection) -> list[_Found]:
    """Return the columns of batches that each have those of their own records."""
    if not batches.schemas:
        raise batches.place.unusable(
            "there are no records, so nothing says what their vectors would be"
        )
    paths: dict[tuple[str, ...], list[Any]] = {}
    for _, schema in batches.schemas:
        for path, kind in _leaves(schema, selection, batches.place):
            paths.setdefault(path, []).append(kind)
    return [_column_of(path, kinds, selection, batches) for path, kinds in paths.items()]


def _of_both(one: _Found, other: _Found, first: str, second: str, batches: Batches) -> _Found:
    """Return what a column is that two parts have."""
    if _is_empty(other.types[0]) or _traits(one.column) == _traits(other.column):
        return one
    if _is_empty(one.types[0]):
        return other
    raise batches.place.unusable(
        f"{batches.place.word} {one.column.name!r} is of {one.column.type} in {first} and of "
        f"{other.column.type} in {second}; write both alike"
    )


def _traits(column: Column) -> tuple[object, ...]:
    return column.default, tuple(column.others), bool(column.identifies), column.vectors


def _is_empty(kind: Any) -> bool:
    """Tell the type of a column that has no values, which says nothing of other parts' values."""
    return bool(types.is_null(kind) or (is_list(kind) and types.is_null(kind.value_type)))


def _columns_of(schema: Any, selection: Selection, batches: Batches) -> Iterator[_Found]:
    for path, kind in _leaves(schema, selection, batches.place):
        yield _column_of(path, [kind], selection, batches)


def _leaves(
    schema: Any, selection: Selection, place: Place
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the path and the type of each column."""
    parts: list[tuple[tuple[str, ...], Any]] = [
        ((name,), kind) for name, kind in zip(schema.names, schema.types, strict=True)
    ]
    while parts:
        path, kind = parts.pop(0)
        if selection.flatten and types.is_struct(kind):
            parts[:0] = [((*path, each.name), each.type) for each in kind]
        elif selection.flatten and any(map(types.is_struct, kinds_of([kind]).values())):
            # Left out as a column of its own, it would take the values of the mappings with it.
            raise place.unusable(
                f"{place.word} {'.'.join(path)!r} holds mappings and other values, so flatten=True "
                f"(--flatten) has no columns to make of it; mend it"
            )
        else:
            yield path, kind


def _column_of(
    path: tuple[str, ...], kinds: Sequence[Any], selection: Selection, batches: Batches
) -> _Found:
    name = ".".join(path)
    zoned = selection.timezone is not None or name in batches.instants
    firsts = batches.firsts.get(name, {})
    return _Found(described(name, kinds, zoned=zoned, firsts=firsts), path, tuple(kinds))


class _Reader:
    """Gives the batches of a table, and decodes them."""

    def __init__(
        self,
        batches: Batches,
        chosen: Chosen,
        found: Mapping[str, _Found],
        selection: Selection,
    ) -> None:
        self._batches = batches
        self._place = replace(batches.place, id=chosen.id.name, vector=chosen.vector.name)
        self._chosen = chosen
        self._found = found
        self._zones = {
            each.column: "UTC" if each.column in batches.instants else selection.timezone
            for each in chosen.taken
        }

    def source(self, batch_bytes: int, known: int | None) -> Source:
        """Return the table.

        Args:
            batch_bytes: most bytes that are read at a time.
            known: length of vectors, where the index says it.
        """
        dimension = self._fixed_length() or known
        if dimension is None:
            dimension = self._usual_length()
        rows = rows_at_once(max(4 * dimension, self._batches.row_bytes), batch_bytes)
        if {"string", "strings"} & {base_of(each.kind) for each in self._chosen.taken}:
            rows = min(rows, _MOST_TEXTS)

        def batches() -> Iterator[Rows]:
            start = 0
            taken = (each.column for each in self._chosen.taken)
            for batch in self._read(rows, [self._place.id, self._place.vector, *taken]):
                yield self._decoded(batch, start, dimension)
                start += len(batch)

        def ids() -> Iterator[list[Any]]:
            for batch in self._read(rows, [self._place.id]):
                yield self._ids(batch)[0]

        return Source(
            self._place,
            self._batches.records,
            dimension,
            self._batches.metric,
            self._chosen.taken,
            ids,
            batches,
            (self._chosen.id.type, self._chosen.vector.type),
        )

    def _read(self, rows: int, columns: Sequence[str]) -> Iterator[Any]:
        """Yield batches of at most some rows."""
        tops = list(dict.fromkeys(self._found[name].path[0] for name in columns))
        with self._place.reading("the table"):
            batches = iter(self._batches.read(rows, tops))
        while True:
            with self._place.reading("the table"):
                batch = next(batches, None)
                if batch is None:
                    return
                # Texts that are not UTF-8, offsets that lead elsewhere.
                batch.validate(full=True)
            yield batch

    def _decoded(self, batch: Any, start: int, dimension: int) -> Rows:
        """Return a batch as rows, of which the first is row ``start`` of the table."""
        faults: dict[int, Fault] = {}
        for row in range(start, start + len(batch)) if self._batches.faults else ():
            if (fault := self._batches.faults.get(row)) is not None:
                faults[row - start] = fault
        ids, wrong = self._ids(batch)
        for position, reason in wrong.items():
            faults.setdefault(position, Fault(self._place.id, reason))
        with self._place.reading(f"{self._place.word} {self._place.vector!r}"):
            vectors, wrong = vectors_of(self._column(batch, self._place.vector), dimension)
        for position, reason in wrong.items():
            faults.setdefault(position, Fault(self._place.vector, reason))
        fields = {}
        for each in self._chosen.taken:
            with self._place.reading(f"{self._place.word} {each.column!r}"):
                column = self._column(batch, each.column)
                fields[each.field], wrong = values_of(
                    column,
                    base_of(each.kind),
                    self._zones[each.column],
                    mixed=self._found[each.column].is_mixed,
                )
            for position, reason in wrong.items():
                faults.setdefault(position, Fault(each.column, reason))
        return Rows(ids, vectors, fields, faults)

    def _ids(self, batch: Any) -> tuple[list[Any], dict[int, str]]:
        with self._place.reading(f"{self._place.word} {self._place.id!r}"):
            return ids_of(self._column(batch, self._place.id))

    def _column(self, batch: Any, name: str) -> Any:
        """Return a column of a batch, out of its structs; of nulls where the batch has none."""
        top, *inner = self._found[name].path
        at = batch.schema.get_field_index(top)
        if at < 0:
            return pa.nulls(len(batch))
        column = batch.column(at)
        for each in inner:
            names = [child.name for child in column.type] if types.is_struct(column.type) else []
            if each not in names:
                return pa.nulls(len(batch))
            column = column.flatten()[names.index(each)]
        return column

    def _fixed_length(self) -> int | None:
        """Return how long all vectors are, where their type says it."""
        kinds = self._found[self._chosen.vector.name].types
        return fixed_length(kinds[0]) if len(kinds) == 1 else None

    def _usual_length(self) -> int:
        """Return the length that most of the first vectors have, where the type says none."""
        for batch in self._read(_FIRST_LOOK, [self._place.vector]):
            lengths = lengths_of(self._column(batch, self._place.vector))
            if (lengths > 0).any():
                # Of several that are as frequent, the first.
                return int(Counter(lengths[lengths > 0].tolist()).most_common(1)[0][0])
        if self._batches.records:
            raise self._place.unusable(f"{self._place.word} {self._place.vector!r} has no vectors")
        raise self._place.unusable(
            f"it has no records, and {self._place.word} {self._place.vector!r} is of lists of any "
            f"length: nothing says which dimension an index of it has"
        )
