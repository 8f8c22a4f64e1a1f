"""What columns of Arrow can be: ids, vectors, or fields of some types.

Importing this needs pyarrow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pyarrow as pa
from pyarrow import types

from vecbridge._client._tables._columns import Column
from vecbridge._client._tables._objects import BEYOND, UNENCODABLE, is_unusable
from vecbridge._client._tables._unions import kinds_of, placed
from vecbridge._contract._field_types import BASE_TYPES, BaseType

_UUID_BYTES = 16
_NOWHERE: Mapping[str, int] = MappingProxyType({})
_STRUCT = "its values become columns of their own by flatten=True (--flatten)"
NO_ZONE = "its times name no time zone; say which they are in: timezone='UTC' (--timezone UTC)"


def described(
    name: str, kinds: Sequence[Any], *, zoned: bool, firsts: Mapping[str, int] = _NOWHERE
) -> Column:
    """Return what a column can be.

    Args:
        name: of the column.
        kinds: its type; of each batch, where they differ.
        zoned: whether a zone is known of times that name none.
        firsts: the first row of each kind of value, where they are of several.
    """
    found = kinds_of(kinds)
    if len(found) > 1 or any(map(is_unusable, found)):
        return _mixed(name, found, firsts, zoned=zoned)
    kind = next(iter(found.values()), kinds[0])
    default, others = _kinds(kind, zoned=zoned)
    return Column(
        name,
        str(kind),
        default,
        others,
        identifies=identifies(kind),
        vectors=numbers_of(kind),
        reason=_reason(kind),
    )


def _mixed(
    name: str, kinds: Mapping[str, Any], firsts: Mapping[str, int], *, zoned: bool
) -> Column:
    """Return what a column can be whose values are of several kinds."""
    can = [taken_as(label, kind, zoned=zoned) for label, kind in kinds.items()]
    defaults: set[BaseType | None] = {default for default, _ in can}
    default = _default(defaults)
    every: dict[BaseType | None, None] = dict.fromkeys(
        each for first, others in can for each in (first, *others)
    )
    usable = [kind for label, kind in kinds.items() if not is_unusable(label)]
    ids = [kind for kind in usable if identifies(kind)]
    numbers = {numbers_of(kind) for kind in usable}
    is_zone = any(map(types.is_timestamp, usable)) and not zoned
    return Column(
        name,
        placed(kinds, firsts),
        default,
        [each for each in every if each is not None and each != default],
        # As text, the integer 1 and the string "1" would be one id.
        identifies=bool(ids) and len({bool(types.is_integer(kind)) for kind in ids}) == 1,
        vectors=next((each for each in ("float", "integer") if each in numbers), ""),
        reason=NO_ZONE
        if is_zone and every.keys() <= {"timestamp", "string", None}
        else "its values are of several kinds (rows are counted from 0)",
    )


def _default(kinds: set[BaseType | None]) -> BaseType | None:
    if kinds == {"integer", "float"}:
        return "float"
    return next(iter(kinds)) if len(kinds) == 1 else None


def taken_as(label: str, kind: Any, *, zoned: bool) -> tuple[BaseType | None, tuple[BaseType, ...]]:
    """Return what values of one kind can be beside those of others."""
    if is_unusable(label):
        return _UNHELD.get(label), ()
    default, others = _kinds(kind, zoned=zoned)
    # Beside booleans, a number is not one of them.
    return default, tuple(each for each in others if each != "boolean")


_UNHELD: dict[str, BaseType] = {BEYOND: "integer", UNENCODABLE: "string"}
"""What values would be that no column holds."""


def _kinds(kind: Any, *, zoned: bool) -> tuple[BaseType | None, tuple[BaseType, ...]]:
    """Return the type of field that a column becomes by itself, and those that may be asked for."""
    kind = stored_as(kind)
    if is_text(kind):
        return "string", ("timestamp",)
    if types.is_boolean(kind):
        return "boolean", ()
    if types.is_integer(kind):
        return "integer", ("float", "boolean", "string")
    if types.is_floating(kind):
        return "float", ("integer",)
    if types.is_timestamp(kind):
        return ("timestamp", ()) if kind.tz or zoned else (None, ())
    if types.is_date(kind):
        return "timestamp", ("string",)
    if is_list(kind):
        inner = stored_as(kind.value_type)
        if is_text(inner):
            return "strings", ()
        return None, ("strings",) if types.is_null(inner) else ()
    if types.is_decimal(kind) or is_sixteen_bytes(kind):
        return None, ("string",)
    return None, BASE_TYPES if types.is_null(kind) else ()


def _reason(kind: Any) -> str:
    if types.is_struct(kind):
        return _STRUCT
    if types.is_timestamp(kind):
        return NO_ZONE
    if types.is_null(kind):
        return "nothing says what its values would be"
    return "no type of field holds such values"


def stored_as(kind: Any) -> Any:
    """Return the type that a dictionary or a type of Arrow's own stands for."""
    if types.is_dictionary(kind):
        return stored_as(kind.value_type)
    match getattr(kind, "extension_name", None):
        case "arrow.uuid":
            return pa.string()
        case "arrow.bool8":
            return pa.bool_()
        case "arrow.json":
            return kind.storage_type
        case _:
            return kind


def is_text(kind: Any) -> bool:
    """Tell the types of strings."""
    is_view = getattr(types, "is_string_view", lambda _: False)
    return bool(types.is_string(kind) or types.is_large_string(kind) or is_view(kind))


def is_list(kind: Any) -> bool:
    """Tell the types of lists."""
    return bool(
        types.is_list(kind)
        or types.is_large_list(kind)
        or types.is_fixed_size_list(kind)
        or is_list_view(kind)
    )


def is_list_view(kind: Any) -> bool:
    tests = (getattr(types, name, None) for name in ("is_list_view", "is_large_list_view"))
    return any(test(kind) for test in tests if test is not None)


def is_sixteen_bytes(kind: Any) -> bool:
    return bool(types.is_fixed_size_binary(kind)) and kind.byte_width == _UUID_BYTES


def identifies(kind: Any) -> bool:
    stored = stored_as(kind)
    return is_text(stored) or bool(types.is_integer(stored)) or is_sixteen_bytes(stored)


def numbers_of(kind: Any) -> str:
    """Return of which numbers the values are vectors; nothing where they are none."""
    kind = _listed_type(kind)
    if kind is None:
        return ""
    if types.is_floating(kind.value_type):
        return "float"
    return "integer" if types.is_integer(kind.value_type) else ""


def _listed_type(kind: Any) -> Any:
    """Return the type of lists that vectors are kept as; ``None`` where they are none."""
    if getattr(kind, "extension_name", None) == "arrow.fixed_shape_tensor":
        return kind.storage_type if len(kind.shape) == 1 else None
    return kind if is_list(kind) else None


def fixed_length(kind: Any) -> int | None:
    """Return how long all lists of a type are; ``None`` where they differ."""
    listed = _listed_type(kind)
    if listed is None or not types.is_fixed_size_list(listed):
        return None
    return int(listed.list_size)
