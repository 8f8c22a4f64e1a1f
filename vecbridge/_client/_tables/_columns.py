"""Choose, of the columns of a table, the ids, the vectors and the fields, and say what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from vecbridge._client import _validate as validate
from vecbridge._client._tables._source import Place, Taken
from vecbridge._contract._field_types import BaseType, FieldType, as_optional, base_of, is_optional
from vecbridge._contract._records import IndexInfo
from vecbridge._errors import InvalidArgumentError, InvalidInputError

_ALL = "*"
_ID_NAMES = ("id", "ids", "_id", "uuid", "guid", "key")
_VECTOR_NAMES = ("vector", "vectors", "embedding", "embeddings")
_PANDAS_INDEX = "__index_level_"
_NONE: Mapping[str, FieldType] = MappingProxyType({})


@dataclass(frozen=True)
class Selection:
    """What a caller says of the columns of a table.

    Attributes:
        id_column: of the ids; found by its name where it is not given.
        vector_column: of the vectors; the only one that can be, where it is not given.
        fields: columns that become fields, or a mapping of columns to the names of their fields;
            ``"*"`` stands for all others. All that are left by default.
        skip: columns that are left out.
        types: types of fields, by column, where they are to be others than the columns'.
        flatten: take the values of a struct as columns of their own.
        timezone: of times that name none.
    """

    id_column: str | None = None
    vector_column: str | None = None
    fields: Sequence[str] | Mapping[str, str] | None = None
    skip: Sequence[str] = ()
    types: Mapping[str, FieldType] = field(default_factory=dict)
    flatten: bool = False
    timezone: str | None = None

    def __post_init__(self) -> None:
        """Refuse what names no columns or no zone; the types are checked already."""
        for name in ("fields", "skip"):
            if isinstance(given := getattr(self, name), str):
                raise InvalidArgumentError(
                    f"{name} must be a list of names of columns; got one string: {given!r}"
                )
        if self.timezone is not None:
            _check_timezone(self.timezone)

    @property
    def named(self) -> dict[str, str]:
        """Return the name of the field of each column that is named, and ``*`` where that is."""
        if self.fields is None:
            return {_ALL: _ALL}
        given = self.fields if isinstance(self.fields, Mapping) else dict.fromkeys(self.fields, "")
        return {column: name or field_name(column) for column, name in given.items()}


@dataclass(frozen=True)
class Column:
    """A column as its table has it.

    Attributes:
        name: its name; of a value in a struct, with the struct's name before it and a dot.
        type: its type, as the table's format calls it.
        default: the type of field that it becomes by itself.
        others: types of fields that it becomes where that is asked for.
        identifies: whether it can be ids.
        vectors: ``"float"`` or ``"integer"`` where it can be vectors of such numbers.
        reason: why it becomes no field by itself, and what to do.
        fault: why it becomes nothing at all.
    """

    name: str
    type: str
    default: BaseType | None = None
    others: Sequence[BaseType] = ()
    identifies: bool = False
    vectors: str = ""
    reason: str = "no type of field holds such values"
    fault: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.type})"


class Chosen(NamedTuple):
    """The columns that records are made of."""

    id: Column
    vector: Column
    taken: tuple[Taken, ...]


def field_name(column: str) -> str:
    """Return the name of a field for a column that is named no other."""
    return column.replace(".", "_")


def choose(
    columns: Sequence[Column],
    selection: Selection,
    place: Place,
    info: IndexInfo | None,
    said: Mapping[str, FieldType] = _NONE,
    *,
    absent_is_missing: bool = False,
) -> Chosen:
    """Return the columns that records are made of.

    Args:
        columns: of the table.
        selection: what the caller says of them.
        place: the table.
        info: of the index that they are for, where there is one.
        said: types of fields, as the table says of itself.
        absent_is_missing: whether an optional field of the index may have no column.

    Raises:
        InvalidArgumentError: some cannot be taken; all of them are named.
    """
    return _Choice(columns, selection, place, info, said).made(absent_is_missing=absent_is_missing)


class _Choice:
    """A choice in the making, and what is wrong with it."""

    def __init__(
        self,
        columns: Sequence[Column],
        selection: Selection,
        place: Place,
        info: IndexInfo | None,
        said: Mapping[str, FieldType],
    ) -> None:
        self._columns = {column.name: column for column in columns}
        self._selection = selection
        self._place = place
        self._declared = None if info is None else info.fields
        self._said = said
        self._problems: list[str] = []
        if twice := _repeated(column.name for column in columns):
            self._problems.append(f"there are several {place.word}s of one name: {twice}")

    def made(self, *, absent_is_missing: bool) -> Chosen:
        self._look_for_unknown()
        ids, vectors = self._ids(), self._vectors()
        used = {each.name for each in (ids, vectors) if each is not None}
        if ids is None:
            used.add(self._place.id)
        if vectors is None:
            # That one of them has to be chosen was said.
            used |= {each.name for each in self._usable() if each.vectors} | {self._place.vector}
        taken = self._fields(used)
        if twice := _repeated(each.field for each in taken):
            self._problems.append(
                f"several {self._place.word}s would be fields of one name: {twice}; name them by "
                f"fields={{'column': 'field'}} (--fields column=field)"
            )
        self._look_for_absent({each.field for each in taken}, absent_is_missing=absent_is_missing)
        if self._problems or ids is None or vectors is None:
            raise InvalidArgumentError(
                f"{self._place.path} cannot be taken as records; nothing was written:\n"
                + "".join(f"- {problem}\n" for problem in self._problems)
                + f"its {self._place.word}s are: {', '.join(map(str, self._columns.values()))}"
            )
        return Chosen(ids, vectors, tuple(taken))

    def _look_for_unknown(self) -> None:
        said = self._selection
        for option, names in (("skip", said.skip), ("fields", said.named), ("types", said.types)):
            unknown = [n for n in names if n != _ALL and n not in self._columns]
            if unknown:
                self._problems.append(f"{option} names what is not there: {unknown}")

    def _ids(self) -> Column | None:
        name, word = self._selection.id_column, self._place.word
        if name is not None:
            if (column := self._columns.get(name)) is None:
                self._problems.append(f"there is no {word} {name!r} of ids")
            elif not column.identifies:
                self._problems.append(f"{_of(column, word)}: {column.fault or _IDS}")
                return None
            return column
        able = [each for each in self._usable() if each.identifies]
        for wanted in (self._place.id, *_ID_NAMES):
            found = [each for each in able if each.name.lower() == wanted]
            if len(found) == 1:
                return found[0]
        named = self._columns.get(self._place.id)
        if named is not None:
            self._problems.append(f"{_of(named, word)}: {named.fault or _IDS}")
        else:
            could = f"; {_listed(able)} could be" if able else f": {_IDS}"
            self._problems.append(
                f"no {word} is known to be the ids{could}. Say which: id_column= (--id-column)"
            )
        return None

    def _vectors(self) -> Column | None:
        name, word = self._selection.vector_column, self._place.word
        if name is not None:
            if (column := self._columns.get(name)) is None:
                self._problems.append(f"there is no {word} {name!r} of vectors")
            elif not column.vectors:
                self._problems.append(f"{_of(column, word)}: {column.fault or _VECTORS}")
                return None
            return column
        able = [each for each in self._usable() if each.vectors]
        floats = [each for each in able if each.vectors == "float"]
        named = [each for each in able if each.name.lower() in _VECTOR_NAMES]
        ours = [each for each in able if each.name == self._place.vector]
        for found in (ours, floats, named):
            if len(found) == 1:
                return found[0]
        held = self._columns.get(self._place.vector)
        if held is not None and not held.vectors:
            self._problems.append(f"{_of(held, word)}: {held.fault or _VECTORS}")
        else:
            could = f"; {_listed(able)} could be" if able else f": {_VECTORS}"
            self._problems.append(
                f"no {word} is known to be the vectors{could}. Say which: vector_column= "
                f"(--vector-column)"
            )
        return None

    def _usable(self) -> list[Column]:
        left_out = set(self._selection.skip)
        return [each for each in self._columns.values() if each.name not in left_out]

    def _fields(self, used: set[str]) -> list[Taken]:
        named, taken = self._selection.named, []
        for column in self._usable():
            if column.name in used:
                continue
            if column.name in named:
                name = named[column.name]
            elif _ALL in named and not column.name.startswith(_PANDAS_INDEX):
                name = field_name(column.name)
            else:
                continue
            kind = self._kind(column, name)
            if kind is not None:
                taken.append(Taken(column.name, column.type, name, kind))
        return taken

    def _kind(self, column: Column, name: str) -> FieldType | None:
        """Return the type of the field that a column becomes; note it where it becomes none."""
        shown = _of(column, self._place.word)
        leave_out = f"leave it out: skip=[{column.name!r}] (--skip {column.name})"
        try:
            validate.index_name(name)
        except InvalidInputError:
            self._problems.append(
                f"{shown}: the name of a field is letters, digits and underscores; name it by "
                f"fields={{'*': '*', {column.name!r}: 'NAME'}} (--fields '*,{column.name}=NAME'), "
                f"or {leave_out}"
            )
            return None
        wanted, why = self._wanted(column, name)
        if wanted is None and why:
            self._problems.append(f"{shown}: {why}, or {leave_out}")
            return None
        kinds = [*column.others] if column.default is None else [column.default, *column.others]
        base = column.default if wanted is None else base_of(wanted)
        if base is None or base not in kinds:
            reason = (
                (column.fault or column.reason)
                if base is None
                else f"it cannot be of type {base}{why}"
            )
            if base is not None and column.default is None and column.reason:
                reason += f", and {column.reason}"
            # A column for a field that is there becomes what the field is, and nothing else.
            if kinds and self._declared is None:
                offered = " or ".join(kinds)
                one = f"types={{{column.name!r}: {kinds[0]!r}}} (--type {column.name}={kinds[0]})"
                reason += f"; it can become {offered}, as by {one}"
            self._problems.append(f"{shown}: {reason}; or {leave_out}")
            return None
        return as_optional(base) if wanted is not None and is_optional(wanted) else base

    def _wanted(self, column: Column, name: str) -> tuple[FieldType | None, str]:
        """Return the type that was asked for, and a reason where there is none or it is refused."""
        asked = self._selection.types.get(column.name)
        if self._declared is not None:
            declared = self._declared.get(name)
            if declared is None:
                fields = sorted(self._declared)
                return None, f"the index has no field {name!r}; it has {fields}. Name it otherwise"
            if asked is not None and base_of(asked) != base_of(declared):
                return None, f"the index has field {name!r} as {declared}, not {asked}"
            return declared, f", as the index has field {name!r}"
        if asked is not None:
            return asked, ", as was asked for"
        if (said := self._said.get(name)) is not None:
            if column.default is not None and base_of(said) != column.default:
                one = f"types={{{column.name!r}: {column.default!r}}}"
                return None, (
                    f"the {self._place.word} holds {column.default} values, and the file says of "
                    f"itself that the field is {said}; say which by {one} "
                    f"(--type {column.name}={column.default})"
                )
            return said, ", as the file says of itself"
        return None, ""

    def _look_for_absent(self, fields: set[str], *, absent_is_missing: bool) -> None:
        for name, kind in (self._declared or {}).items():
            if name in fields or (absent_is_missing and is_optional(kind)):
                continue
            if not any(f"field {name!r}" in problem for problem in self._problems):
                self._problems.append(
                    f"no {self._place.word} becomes the index's field {name!r} ({kind}); name it "
                    f"by fields={{'column': {name!r}}} (--fields column={name})"
                )


_IDS = "ids are strings, integers or UUIDs, and all of one kind"
_VECTORS = "vectors are lists of numbers"


def _of(column: Column, word: str) -> str:
    return f"{word} {column.name!r} is of {column.type}"


def _listed(columns: Sequence[Column]) -> str:
    return ", ".join(repr(each.name) for each in columns)


def _repeated(names: Iterable[str]) -> list[str]:
    return sorted(name for name, times in Counter(names).items() if times > 1)


def _check_timezone(name: str) -> None:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except Exception as error:
        raise InvalidArgumentError(
            f"timezone must be the name of one, such as 'UTC' or 'Europe/Berlin'; got {name!r}"
        ) from error
