"""Columns whose values are of several kinds: which kinds there are, where, and each one alone.

Importing this needs pyarrow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import types

from vecbridge._client._tables._objects import MISSING

Firsts = dict[str, dict[str, int]]
"""Of each column, by its path, the first row of each kind of its values."""


class Part(NamedTuple):
    """The values of one kind.

    Attributes:
        kind: what they are.
        rows: where they are.
        values: they, as a column; nulls where no column holds such values.
    """

    kind: str
    rows: NDArray[np.int64]
    values: Any


def parts(column: Any) -> Iterator[Part]:
    """Yield the values of each kind that a union has; of those that are missing, nothing."""
    codes = column.type_codes.to_numpy(zero_copy_only=False)
    offsets = column.offsets.to_numpy(zero_copy_only=False)
    for code in range(column.type.num_fields):
        kind = column.type.field(code).name
        rows = np.flatnonzero(codes == code)
        if kind != MISSING and len(rows):
            yield Part(kind, rows, column.field(code).take(pa.array(offsets[rows])))


def missing(column: Any) -> NDArray[np.bool_]:
    """Return where a union has no value."""
    codes = column.type_codes.to_numpy(zero_copy_only=False)
    names = [column.type.field(code).name for code in range(column.type.num_fields)]
    return np.isin(codes, [code for code, name in enumerate(names) if name == MISSING])


def kinds_of(columns: Sequence[Any]) -> dict[str, Any]:
    """Return the types that the values of a column have in its batches, by their names.

    Those are left out of which the values lose nothing as another of them: integers beside floats,
    and lists without values beside lists.

    Args:
        columns: its type in each batch.
    """
    found: dict[str, Any] = {}
    for kind in columns:
        if types.is_union(kind):
            fields = [kind.field(code) for code in range(kind.num_fields)]
            found.update({each.name: each.type for each in fields if each.name != MISSING})
        elif not types.is_null(kind):
            found.setdefault(str(kind), kind)
    for kept, left_out in _ABSORBED:
        if kept in found:
            for name in left_out:
                found.pop(name, None)
    listed = [name for name, kind in found.items() if _is_list_of_values(kind)]
    if listed:
        found.pop(str(_NO_VALUES), None)
    return found


_NO_VALUES = pa.list_(pa.null())
_ABSORBED = [
    (str(pa.float64()), [str(pa.int64())]),
    (str(pa.uint64()), [str(pa.int64())]),
    (str(pa.list_(pa.float64())), [str(pa.list_(pa.int64()))]),
]


def _is_list_of_values(kind: Any) -> bool:
    is_list = types.is_list(kind) or types.is_large_list(kind)
    return bool(is_list and not types.is_null(kind.value_type))


def note_firsts(column: Any, path: str, start: int, firsts: Firsts) -> None:
    """Note in which row each kind of value is first.

    Args:
        column: values.
        path: of the column.
        start: row of the first of them.
        firsts: where that is noted.
    """
    if types.is_struct(column.type):
        for each, inner in zip(column.type, column.flatten(), strict=True):
            note_firsts(inner, f"{path}.{each.name}", start, firsts)
        return
    there = firsts.setdefault(path, {})
    if types.is_union(column.type):
        for part in parts(column):
            there.setdefault(part.kind, start + int(part.rows[0]))
    elif str(column.type) not in there and column.null_count < len(column):
        present = np.flatnonzero(np.asarray(column.is_valid()))
        there[str(column.type)] = start + int(present[0])


def placed(kinds: Mapping[str, Any], firsts: Mapping[str, int]) -> str:
    """Return the kinds of values, and the first row of each."""
    said = [f"{kind} in row {firsts[kind]}" if kind in firsts else kind for kind in kinds]
    return " and ".join([", ".join(said[:-1]), said[-1]] if said[1:] else said)
