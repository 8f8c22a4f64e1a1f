"""The fields of hits: read by id after the search, and only where they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from typing import Any, TypeAlias

import numpy as np

from vecbridge._client._checked import CheckedEngine
from vecbridge._contract._consistency import Consistency
from vecbridge._contract._field_types import FieldType, FieldValue, for_caller
from vecbridge._contract._hits import Hits
from vecbridge._contract._records import IndexInfo, Records
from vecbridge._errors import InvalidArgumentError

FieldNames: TypeAlias = Iterable[str] | bool | None
"""Names of fields to return; ``True`` for all."""

_SEARCHES = 3
"""How often a search is done until no hit of it is deleted before its fields are read."""


def parse_field_names(wanted: Any, info: IndexInfo) -> tuple[str, ...]:
    """Return the names of the fields that a read was asked for.

    Args:
        wanted: names; ``True`` for all fields of the index, ``False`` and ``None`` for none.
        info: of the index.

    Raises:
        InvalidArgumentError: it is none of these, or the index has no field of such a name.
    """
    if wanted is None or wanted is False:
        return ()
    if wanted is True:
        return tuple(info.fields)
    names: tuple[Any, ...] | None = None
    if not isinstance(wanted, (str, bytes)):
        # An array without dimensions has an iterator that raises, and a list has no hash.
        with suppress(TypeError):
            names = tuple(dict.fromkeys(wanted))
    if names is None:
        raise InvalidArgumentError(
            f"fields must be a list of names, or True for all of them; got {wanted!r}"
        )
    unknown = [name for name in names if name not in info.fields]
    if unknown:
        raise InvalidArgumentError(
            f"index {info.name!r} has no field {unknown[0]!r}; it has {sorted(info.fields)}"
        )
    return names


def projected(
    records: Records, types: Mapping[str, FieldType], names: Sequence[str], *, vectors: bool
) -> Records:
    """Return what was asked for of records: some of their fields, and vectors or none.

    Args:
        records: as the engine gave them.
        types: of the fields of the index.
        names: of the fields.
        vectors: whether to return the vectors; otherwise there are ``(n, 0)`` of them.
    """
    kept = records.vectors if vectors else np.empty((len(records), 0), dtype=np.float32)
    wanted: dict[str, FieldType] = {name: types[name] for name in names}
    columns = {name: for_caller(records.fields[name], kind) for name, kind in wanted.items()}
    return Records(records.ids, kept, columns, records.missing, wanted)


def with_fields(
    index: CheckedEngine,
    search: Callable[[], list[Hits]],
    names: Sequence[str],
    consistency: Consistency,
) -> list[Hits]:
    """Return the answers of a search with the fields of their hits.

    A hit may be deleted before its fields are read. Then the search is done again; a hit that is
    lost the last time is left out, and the answer says ``exact=False``.

    Args:
        index: the engine.
        search: does the search.
        names: of the fields.
        consistency: level of the reads.
    """
    answers = search()
    if not names:
        return answers
    for _ in range(_SEARCHES - 1):
        known = _read(index, answers, names, consistency)
        if all(name in known for hits in answers for name in hits.ids):
            break
        answers = search()
    else:
        known = _read(index, answers, names, consistency)
    types: dict[str, FieldType] = {name: index.info.fields[name] for name in names}
    return [_joined(hits, known, types) for hits in answers]


def _read(
    index: CheckedEngine, answers: Sequence[Hits], names: Sequence[str], consistency: Consistency
) -> dict[str, tuple[FieldValue, ...]]:
    """Return a row of values per id; each id is read once, in bounded memory beside the values."""
    ids = list(dict.fromkeys(chain.from_iterable(hits.ids for hits in answers)))
    known: dict[str, tuple[FieldValue, ...]] = {}
    for start in range(0, len(ids), index.scan_rows):
        part = ids[start : start + index.scan_rows]
        found = index.fetch(part, vectors=False, consistency=consistency)
        columns = [found.fields[name] for name in names]
        known.update(zip(found.ids, zip(*columns, strict=True), strict=True))
    return known


def _joined(
    hits: Hits, known: dict[str, tuple[FieldValue, ...]], types: Mapping[str, FieldType]
) -> Hits:
    rows = [row for row, name in enumerate(hits.ids) if name in known]
    if len(rows) < len(hits):
        hits = replace(hits.take(rows), exact=False)
    columns = zip(*(known[name] for name in hits.ids), strict=True) if rows else ((),) * len(types)
    found = zip(types.items(), columns, strict=True)
    fields = {name: for_caller(column, kind) for (name, kind), column in found}
    return replace(hits, fields=fields, types=types)
