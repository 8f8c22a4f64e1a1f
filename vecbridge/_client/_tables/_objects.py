"""Python objects as a column of Arrow: each value keeps its own kind, and none becomes another.

pyarrow infers one type for a list of objects and converts the values to it: a boolean among floats
becomes 1.0, a half-precision float among integers loses its fraction, a time without a zone
becomes one in UTC. Here a column whose values are of several kinds is a union of a column of each.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from vecbridge._contract._records import encodable

MISSING = "missing"
BEYOND = "an integer beyond 64 bits"
UNENCODABLE = "a string that UTF-8 cannot hold"
_FLOATS, _INTEGERS, _STRINGS, _BOOLEANS = ("floats", "integers", "strings", "booleans")
_LISTS = (_FLOATS, _INTEGERS, _STRINGS, _BOOLEANS)
_EMPTY = "empty"
_STRUCT = "struct"
_MOST_DEEP = 32
"""Levels of mappings in mappings; the format that keeps them on disk has at most 64."""

_ERRORS = (pa.ArrowException, ValueError, TypeError, OverflowError)
_SIMPLE: dict[type, Any] = {
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    str: pa.string(),
}
_NUMPY_LISTS = {"f": _FLOATS, "i": _INTEGERS, "u": _INTEGERS, "b": _BOOLEANS, "U": _STRINGS}
_INFERRED = (bytes, Decimal, uuid.UUID, time, timedelta)


def column(values: Sequence[Any], depth: int = 0) -> Any:
    """Return objects as a column of Arrow.

    Args:
        values: of any kinds; ``None``, and what pandas and NumPy have for it, are missing.
        depth: in how many mappings the values are.

    Returns:
        A column of one type where all values are of one kind, or are integers and floats that
        floats hold exactly; otherwise a dense union. Values that no column holds are nulls in it,
        under a name that says what they are; those that are missing are under :data:`MISSING`.
    """
    (*kinds,) = set(map(type, values)) - {type(None)}
    if len(kinds) == 1 and kinds[0] in _SIMPLE:
        try:
            return pa.array(values, _SIMPLE[kinds[0]])
        except _ERRORS:
            # One of them has no such form: it is looked for below.
            pass
    return _of_several([_plain(value) for value in values], depth)


def _of_several(values: list[Any], depth: int) -> Any:
    kinds = [_kind(value, depth) for value in values]
    kinds = _together(values, kinds)
    rows: dict[str, list[int]] = {MISSING: []}
    for row, kind in enumerate(kinds):
        rows.setdefault(kind, []).append(row)
    present = [kind for kind in rows if kind != MISSING]
    for row in rows[MISSING]:
        values[row] = None
    if not present:
        return pa.nulls(len(values))
    if len(present) == 1 and not is_unusable(present[0]):
        built = _built(present[0], values, depth)
        if built is not None:
            return built
    return _union({kind: (at, [values[row] for row in at]) for kind, at in rows.items()}, depth)


def _union(groups: Mapping[str, tuple[list[int], list[Any]]], depth: int) -> Any:
    """Return values as a dense union, a column for each kind."""
    count = sum(len(rows) for rows, _ in groups.values())
    codes, offsets = np.zeros(count, np.int8), np.zeros(count, np.int32)
    names: list[str] = []
    children: list[Any] = []
    for kind, (rows, values) in groups.items():
        child = None if is_unusable(kind) else _built(kind, values, depth)
        codes[rows], offsets[rows] = len(names), np.arange(len(rows))
        if child is not None:
            names.append(str(child.type))
        else:
            names.append(kind if is_unusable(kind) else f"a value of type {kind}")
        children.append(pa.nulls(len(rows)) if child is None else child)
    return pa.UnionArray.from_dense(pa.array(codes), pa.array(offsets), children, names)


def is_unusable(kind: str) -> bool:
    """Tell the kinds of values of which nothing is kept."""
    return kind == MISSING or kind.startswith(("a ", "an "))


def _plain(value: Any) -> Any:
    """Return a tensor as an array, and what holds one value as that value."""
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu().numpy()
    elif hasattr(value, "as_py"):
        value = value.as_py()
    return value[()] if isinstance(value, np.ndarray) and not value.ndim else value


def _kind(value: Any, depth: int = 0) -> str:
    """Return the kind of a value; values of two kinds do not become one column."""
    if value is None or _is_pandas_missing(value):
        return MISSING
    if isinstance(value, (bool, np.bool_)):
        return "boolean"
    if isinstance(value, np.timedelta64):
        return _unnamed(value)
    if isinstance(value, (int, np.integer)):
        return _integer_kind(int(value))
    if isinstance(value, (float, np.floating)):
        return "float" if np.isnan(value) or float(value) == value else _unnamed(value)
    if isinstance(value, (datetime, date, np.datetime64)):
        return _time_kind(value)
    return _kind_of_others(value, depth)


def _kind_of_others(value: Any, depth: int) -> str:
    if isinstance(value, str):
        return "string" if encodable(str.__str__(value)) else UNENCODABLE
    if isinstance(value, Mapping):
        named = all(isinstance(name, str) and encodable(name) for name in value)
        if depth == _MOST_DEEP:
            return "a mapping in too many others"
        return _STRUCT if named else "a mapping with names that are no strings"
    if isinstance(value, (list, tuple, np.ndarray)):
        return _list_kind(value)
    return type(value).__name__ if isinstance(value, _INFERRED) else _unnamed(value)


def _unnamed(value: Any) -> str:
    return f"a value of type {type(value).__name__}"


def _is_pandas_missing(value: Any) -> bool:
    kind = type(value)
    return kind.__name__ in {"NAType", "NaTType"} and kind.__module__.partition(".")[0] == "pandas"


def _integer_kind(value: int) -> str:
    if -(1 << 63) <= value < 1 << 63:
        return "integer"
    return "unsigned" if 0 < value < 1 << 64 else BEYOND


def _time_kind(value: datetime | date | np.datetime64) -> str:
    if isinstance(value, np.datetime64):
        return MISSING if np.isnat(value) else value.dtype.name
    if not isinstance(value, datetime):
        return "date"
    try:
        zoned = value.utcoffset() is not None
    except Exception:  # noqa: BLE001 - another's class of zones
        return "a time of which the zone is unusable"
    finer = " with nanoseconds" if getattr(value, "nanosecond", 0) else ""
    return f"{'instant' if zoned else 'local time'}{finer}"


def _list_kind(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.dtype != object:
        if value.ndim != 1:
            return f"an array of {value.ndim} dimensions"
        kind = _NUMPY_LISTS.get(value.dtype.kind, f"an array of {value.dtype}")
        if kind != _STRINGS or all(map(encodable, value.tolist())):
            return kind if len(value) else _EMPTY
        return "a list with " + UNENCODABLE
    types = set(map(type, value)) - {type(None)}
    if types == {float}:
        return _FLOATS
    if not types:
        return _EMPTY
    kinds = {_kind(each) for each in value if each is not None} - {MISSING}
    if kinds == {"integer"}:
        return _INTEGERS
    if kinds <= {"integer", "float", "unsigned"}:
        return _FLOATS
    if kinds in ({"string"}, {"boolean"}):
        return f"{kinds.pop()}s"
    said = sorted(kind if kind in _SAID else "other" for kind in kinds)
    return f"a list of {' and '.join(said)} values"


_SAID = {"boolean", "integer", "float", "string", UNENCODABLE, BEYOND}


def _together(values: Sequence[Any], kinds: list[str]) -> list[str]:
    """Return the kinds where those are one that become one column without a change."""
    there = set(kinds)
    if {"integer", "float"} <= there and all(
        float(value) == int(value)
        for value, kind in zip(values, kinds, strict=True)
        if kind == "integer"
    ):
        kinds = ["float" if kind == "integer" else kind for kind in kinds]
    if {"integer", "unsigned"} <= there and not any(
        value < 0 for value, kind in zip(values, kinds, strict=True) if kind == "integer"
    ):
        kinds = ["unsigned" if kind == "integer" else kind for kind in kinds]
    if {_INTEGERS, _FLOATS} <= there:
        # Vectors are of single precision: no float of 64 bits is further from it.
        kinds = [_FLOATS if kind == _INTEGERS else kind for kind in kinds]
    (*lists,) = set(kinds) & set(_LISTS)
    if len(lists) == 1:
        kinds = [lists[0] if kind == _EMPTY else kind for kind in kinds]
    return kinds


def _built(kind: str, values: list[Any], depth: int) -> Any:
    """Return values of one kind, or ``None``, as a column; ``None`` where there is none of such."""
    if kind == _STRUCT:
        return _struct(values, depth)
    if kind in _LISTS:
        return _lists(kind, values)
    if kind.startswith("datetime64"):
        return pa.array(np.array([np.datetime64("NaT") if v is None else v for v in values], kind))
    wanted, convert = _COLUMNS.get(kind, (None, None))
    if convert is not None:
        values = [None if value is None else convert(value) for value in values]
    try:
        return pa.array(values, wanted)
    except _ERRORS:
        return None


_COLUMNS: dict[str, tuple[Any, Callable[[Any], Any] | None]] = {
    "boolean": (pa.bool_(), bool),
    "integer": (pa.int64(), int),
    "unsigned": (pa.uint64(), int),
    "float": (pa.float64(), float),
    "string": (pa.string(), str.__str__),
    "date": (pa.date32(), None),
    "instant": (pa.timestamp("us", tz="UTC"), None),
    "local time": (pa.timestamp("us"), None),
    "instant with nanoseconds": (pa.timestamp("ns", tz="UTC"), None),
    "local time with nanoseconds": (pa.timestamp("ns"), None),
    _EMPTY: (pa.list_(pa.null()), list),
}


def _struct(values: Sequence[Any], depth: int) -> Any:
    """Return mappings as a struct without nulls: of what is missing, all is missing.

    A union in it could not say where the struct itself is null.
    """
    names = list(dict.fromkeys(chain.from_iterable(value for value in values if value)))
    if not names:
        return pa.array([{}] * len(values), pa.struct([]))
    held: Iterable[Mapping[str, Any]] = [value or {} for value in values]
    children = [column([each.get(name) for each in held], depth + 1) for name in names]
    return pa.StructArray.from_arrays(children, names)


def _lists(kind: str, values: Sequence[Any]) -> Any:
    """Return lists of one kind as a column."""
    if kind in {_FLOATS, _INTEGERS, _BOOLEANS} and all(
        isinstance(value, np.ndarray) and value.dtype != object for value in values
    ):
        return _of_arrays(values)
    convert: Callable[[Any], Any]
    wanted, convert = _ELEMENTS[kind]
    types = set(map(type, chain.from_iterable(value for value in values if value is not None)))
    lists = values
    if types - {type(None), _EXACT[kind]} or any(isinstance(v, np.ndarray) for v in values):
        lists = [
            None if value is None else [_element(convert, each) for each in value]
            for value in values
        ]
    return pa.array(lists, pa.list_(wanted))


def _element(convert: Callable[[Any], Any], value: Any) -> Any:
    return None if value is None or _is_pandas_missing(value) else convert(value)


_ELEMENTS: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    _FLOATS: (pa.float64(), float),
    _INTEGERS: (pa.int64(), int),
    _STRINGS: (pa.string(), str.__str__),
    _BOOLEANS: (pa.bool_(), bool),
}
_EXACT: dict[str, type] = {_FLOATS: float, _INTEGERS: int, _STRINGS: str, _BOOLEANS: bool}


def _of_arrays(arrays: Sequence[Any]) -> Any:
    flat = np.concatenate(arrays)
    flat = flat.astype(np.float64 if flat.dtype.itemsize > 8 else flat.dtype.newbyteorder("="))
    offsets = np.cumsum([0, *map(len, arrays)])
    fits = offsets[-1] < 1 << 31
    made = pa.ListArray if fits else pa.LargeListArray
    return made.from_arrays(pa.array(offsets, pa.int32() if fits else pa.int64()), pa.array(flat))
