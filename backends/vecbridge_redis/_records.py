"""A record as a hash: its exact values, and what the server searches beside them.

The exact values stand under the names of their fields, and what is indexed of them under names with
a dot, which no field has.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecbridge import Fields, IndexInfo
from vecbridge.fields import BaseType, base_of

EXACT = 2**53
"""Integers of less than this have a float each, and NUMERIC keeps nothing else."""


def tag(text: str) -> str:
    """Return what stands for a string in a TAG, which would split it, trim it and fold it."""
    return blake2b(text.encode(), digest_size=20).hexdigest()


def schema_of(info: IndexInfo, vector: Sequence[Any]) -> list[Any]:
    """Return what the hashes of an index have to search by, as ``FT.CREATE`` takes it."""
    schema = [".norm", "NUMERIC", ".none", "TAG", "CASESENSITIVE", ".vector", "VECTOR", *vector]
    for name, kind in info.fields.items():
        base = base_of(kind)
        schema += [f"{name}.tag", "TAG"] if "string" in base else [f"{name}.number", "NUMERIC"]
        schema += [f"{name}.rest", "NUMERIC"] if base in {"integer", "timestamp"} else []
    return schema


def hashes(
    info: IndexInfo,
    vectors: NDArray[np.float32],
    norms: NDArray[np.float64],
    fields: Fields,
    band: tuple[float, float],
) -> Iterator[list[Any]]:
    """Yield the names and the values of each record's hash, in turns.

    Args:
        info: the schema.
        vectors: ``(n, d)``.
        norms: ``(n,)`` of them.
        fields: a column of ``n`` values each.
        band: the norms on which the server's arithmetic is safe. Other vectors are not indexed:
            what is no number would spoil the order of all.
    """
    kinds: dict[str, BaseType] = {name: base_of(kind) for name, kind in info.fields.items()}
    for row, (vector, norm) in enumerate(zip(vectors, norms.tolist(), strict=True)):
        place = ".vector" if band[0] <= norm <= band[1] else ".unsafe"
        held: list[Any] = [place, vector.tobytes(), ".norm", repr(norm)]
        if missing := [name for name in kinds if fields[name][row] is None]:
            held += [".none", ",".join(missing)]
        for name, kind in kinds.items():
            value = fields[name][row]
            held += () if value is None else _WRITERS[kind](name, value)
        yield held


def value_of(kind: BaseType, text: bytes | None) -> Any:
    """Return the value of a field from a hash.

    Raises:
        ValueError: it is none of this type.
    """
    return None if text is None else _READERS[kind](text)


def _boolean(text: bytes) -> bool:
    if text not in {b"0", b"1"}:
        raise ValueError("a boolean is 0 or 1")
    return text == b"1"


def _strings(text: bytes) -> list[str]:
    found = json.loads(text)
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise ValueError("strings are a JSON array of them")
    return found


def _text(name: str, value: str) -> tuple[str, ...]:
    return (name, value, f"{name}.tag", tag(value))


def _list(name: str, value: Sequence[str]) -> tuple[str, ...]:
    tags = (f"{name}.tag", ",".join(map(tag, value))) if value else ()
    return (name, json.dumps(list(value), ensure_ascii=False), *tags)


def _number(name: str, value: Any) -> tuple[str, ...]:
    near = float(value)
    rest: tuple[str, ...] = ()
    if isinstance(value, int) and abs(value) >= EXACT:
        rest = (f"{name}.rest", str(value - int(near)))
    # A boolean is written as the integer that it is.
    exact = repr(value) if isinstance(value, float) else f"{value:d}"
    return (name, exact, f"{name}.number", repr(near), *rest)


_WRITERS: dict[BaseType, Callable[[str, Any], tuple[str, ...]]] = {
    "string": _text,
    "integer": _number,
    "float": _number,
    "boolean": _number,
    "timestamp": _number,
    "strings": _list,
}
_READERS: dict[BaseType, Callable[[bytes], Any]] = {
    "string": bytes.decode,
    "integer": int,
    "float": float,
    "boolean": _boolean,
    "timestamp": int,
    "strings": _strings,
}
