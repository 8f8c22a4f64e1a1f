"""Say what differs between two indexes: in their schemas, and record by record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from vecbridge._client import Index
from vecbridge._contract._field_types import FieldValue
from vecbridge._contract._records import Records
from vecbridge.bulk._checksum import Checksum, Summing, coded
from vecbridge.bulk._plan import Partition
from vecbridge.bulk._running import Told


@dataclass(frozen=True)
class Changed:
    """A record that two indexes hold differently.

    Attributes:
        id: its id.
        fields: the values of each field that differs, in the first index and in the second.
        components: how many components of the vectors differ, in any bit.
        component: the first of them: its position, and its value in the first and in the second
            index; ``None`` if the vectors are the same.
    """

    id: str
    fields: Mapping[str, tuple[FieldValue, FieldValue]]
    components: int
    component: tuple[int, float, float] | None


@dataclass(frozen=True)
class Differences:
    """What differs between two indexes.

    The counts cover all records. The first few records of each kind are named, in ascending order
    of ids.

    Attributes:
        schema: ``"metric"`` and ``"field NAME"`` if these differ, each with the value of the first
            index and of the second; ``None`` if one has no such field.
        missing: number of records that only the first index has.
        extra: number of records that only the second index has.
        changed: number of records that are in both but differ, in the vector or in a field of both.
        missing_ids: ids of the missing ones.
        extra_ids: ids of the extra ones.
        changed_records: the changed ones, with what differs in each.
    """

    schema: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)
    missing: int = 0
    extra: int = 0
    changed: int = 0
    missing_ids: tuple[str, ...] = ()
    extra_ids: tuple[str, ...] = ()
    changed_records: tuple[Changed, ...] = ()


def schema_differences(first: Index, second: Index) -> dict[str, tuple[str | None, str | None]]:
    """Return what differs in the schemas, by what it is."""
    one, other = ({"metric": str(each.info.metric), **_fields(each)} for each in (first, second))
    names = dict.fromkeys([*one, *other])
    return {
        name: (one.get(name), other.get(name)) for name in names if one.get(name) != other.get(name)
    }


def record_differences(
    first: Index,
    second: Index,
    parts: Iterable[tuple[Partition, Checksum, Checksum]],
    *,
    limit: int,
    told: Told,
) -> Differences:
    """Return which records differ, in bounded memory: a few batches, and ``limit`` of each kind.

    Args:
        first: an index.
        second: the other one, of as many dimensions.
        parts: the ranges of ids that are looked at, with the checksum of either there.
        limit: how many of each kind are named.
        told: counts the records of the first.
    """
    shared = [name for name in first.info.fields if name in second.info.fields]
    missing, extra, changed = _Found(limit), _Found(limit), _Found(limit)
    summing = Summing(first.info.dimension)
    for part, one_sum, other_sum in parts:
        before = missing.count
        for records in first.scan(start=part.start, stop=part.stop, consistency="strong"):
            theirs = second.fetch(records.ids, fields=shared, consistency="strong")
            missing.add(theirs.missing)
            mine = _those_of(records, theirs, shared)
            if len(mine):
                differ = (summing.hashes(mine) != summing.hashes(theirs)).any(axis=1)
                changed.add(mine.ids[row] for row in np.flatnonzero(differ))
            told.add(len(records))
        # Where the numbers tell that there are no others, the second need not be read.
        if other_sum.records != one_sum.records - (missing.count - before):
            for records in second.scan(
                start=part.start,
                stop=part.stop,
                fields=False,
                vectors=False,
                consistency="strong",
            ):
                known = first.contains(records.ids, consistency="strong")
                extra.add(records.ids[row] for row in np.flatnonzero(~known))
    return Differences(
        missing=missing.count,
        extra=extra.count,
        changed=changed.count,
        missing_ids=tuple(missing.ids),
        extra_ids=tuple(extra.ids),
        changed_records=tuple(_changes(first, second, changed.ids, shared)),
    )


class _Found:
    """Counts ids, and keeps the first of them by code point."""

    def __init__(self, limit: int) -> None:
        self.count = 0
        self.ids: list[str] = []
        self._limit = limit

    def add(self, ids: Iterable[str]) -> None:
        new = list(ids)
        self.count += len(new)
        self.ids = sorted([*self.ids, *new])[: self._limit]


def _fields(index: Index) -> dict[str, str]:
    return {f"field {name}": str(kind) for name, kind in index.info.fields.items()}


def _those_of(records: Records, fetched: Records, fields: Iterable[str]) -> Records:
    """Return the records that were fetched too, with some of their fields."""
    absent = set(fetched.missing)
    rows = [row for row, name in enumerate(records.ids) if name not in absent]
    columns = {name: records.fields[name] for name in fields}
    return Records(records.ids, records.vectors, columns).take(rows)


def _changes(first: Index, second: Index, ids: list[str], shared: list[str]) -> Iterable[Changed]:
    mine, theirs = (
        index.fetch(ids, fields=shared, consistency="strong") for index in (first, second)
    )
    there = {name: row for row, name in enumerate(theirs.ids)}
    for row, name in enumerate(mine.ids):
        # It may have been deleted meanwhile.
        if name in there:
            yield _change(name, mine.take([row]), theirs.take([there[name]]))


def _change(name: str, mine: Records, theirs: Records) -> Changed:
    values = {key: (mine.fields[key][0], theirs.fields[key][0]) for key in mine.fields}
    one, other = mine.vectors[0], theirs.vectors[0]
    differing = np.flatnonzero(one.view(np.uint32) != other.view(np.uint32))
    at = int(differing[0]) if len(differing) else None
    return Changed(
        name,
        {key: pair for key, pair in values.items() if coded(pair[0]) != coded(pair[1])},
        len(differing),
        None if at is None else (at, float(one[at]), float(other[at])),
    )
