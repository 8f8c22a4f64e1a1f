"""The backend around the reference engine, and its mutants by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar, cast

from vecbridge import (
    ClosedError,
    Consistency,
    FieldType,
    IndexExistsError,
    IndexInfo,
    IndexNotFoundError,
    Metric,
)
from vecbridge.settings import Settings
from vecbridge_conformance.mutants._reference import ReferenceIndex
from vecbridge_conformance.mutants._shelf import FileShelf, Shelf, Table, Tables


class ReferenceSettings(Settings):
    """Settings of the reference.

    Attributes:
        path: the file that keeps the records and that processes share; in memory otherwise.
    """

    path: Path | None = None


class ReferenceBackend:
    """A :class:`vecbridge.Backend` that keeps the contract.

    Args:
        settings: where the records are.
    """

    name: ClassVar[str] = "reference"
    settings_type: ClassVar[type[ReferenceSettings]] = ReferenceSettings
    index_type: type[ReferenceIndex] = ReferenceIndex

    def __init__(self, settings: ReferenceSettings) -> None:
        self._path = settings.path
        self._shelf = self.new_shelf()
        self._opened: list[ReferenceIndex] = []
        self._closed = False

    def new_shelf(self) -> Shelf:
        """Return where this backend keeps its tables; nothing is read or made yet."""
        return Shelf() if self._path is None else FileShelf(self._path)

    def create_index(
        self,
        name: str,
        *,
        dimension: int,
        metric: Metric,
        fields: Mapping[str, FieldType],
        consistency: Consistency | None,
    ) -> ReferenceIndex:
        """Make an empty index."""
        self.check_open("create_index")
        info = IndexInfo(name, dimension, metric, dict(fields), consistency or "strong")
        self._shelf.change(lambda tables: self.add(tables, info))
        return self.opened(info)

    def add(self, tables: Tables, info: IndexInfo) -> None:
        """Put an empty index among the tables."""
        if info.name in tables:
            raise IndexExistsError(f"there is an index {info.name!r} already; open it or drop it")
        tables[info.name] = Table(info)

    def open_index(self, name: str) -> ReferenceIndex:
        """Open an index with the schema that is stored."""
        return self.opened(self._found(name).info)

    def opened(self, info: IndexInfo) -> ReferenceIndex:
        """Return the object for an index that is there."""
        read_only = replace(info, fields=MappingProxyType(info.fields))
        index = self.index_type(read_only, self._shelf)
        self._opened.append(index)
        return index

    def index_names(self) -> list[str]:
        """Return the names, sorted."""
        self.check_open("index_names")
        return sorted(self._shelf.read())

    def drop_index(self, name: str) -> None:
        """Remove an index and its rows."""
        self._found(name)
        self._shelf.change(lambda tables: tables.pop(name, None))

    def check_open(self, operation: str) -> None:
        """Refuse a call of a closed store."""
        if self._closed:
            raise ClosedError("the store was closed", backend=self.name, operation=operation)

    def close(self) -> None:
        """Close every index that was opened here."""
        self._closed = True
        for index in self._opened:
            index.close()

    def _found(self, name: str) -> Table:
        self.check_open("open_index")
        table = self._shelf.read().get(name)
        if table is None:
            raise IndexNotFoundError(f"there is no index {name!r}; create it first")
        return table


Kind = TypeVar("Kind", bound=type[ReferenceIndex] | type[ReferenceBackend])


@dataclass(frozen=True)
class Mutant:
    """A backend that is broken on purpose.

    Attributes:
        name: its name, such as ``"squared-l2"``.
        defect: what it gets wrong, in one sentence.
        link: a public report of the real defect; empty where one is only easy to imagine.
        clause: the clause that must kill it.
        backend: the broken backend's class.
    """

    name: str
    defect: str
    link: str
    clause: str
    backend: type[ReferenceBackend]


MUTANTS: dict[str, Mutant] = {}
"""Every mutant by its name."""


class MutantSettings(ReferenceSettings):
    """Settings of a mutant.

    Attributes:
        mutant: its name; the correct reference where there is none.
    """

    mutant: str | None = None


class MutantBackend(ReferenceBackend):
    """The backend that :attr:`MutantSettings.mutant` names.

    One class for an entry point, so that a mutant is run as any backend is: by name, with options.
    """

    settings_type = MutantSettings

    def __new__(cls, settings: MutantSettings) -> MutantBackend:
        name = settings.mutant
        if name is None:
            return object.__new__(cls)
        bases: tuple[type, ...] = (MUTANTS[name].backend, MutantBackend)
        chosen: Any = type(name, bases, {})  # pyright: ignore[reportGeneralTypeIssues]
        return cast(MutantBackend, object.__new__(chosen))


def mutant(name: str, clause: str, report: str = "") -> Callable[[Kind], Kind]:
    """Register a broken index or backend; its docstring says what it gets wrong.

    Args:
        name: its name.
        clause: the clause that must kill it.
        report: a public report of the real defect, as its path on GitHub.
    """
    link = f"https://github.com/{report}" if report else ""

    def register(kind: Kind) -> Kind:
        backend: type[ReferenceBackend] = (
            kind
            if issubclass(kind, ReferenceBackend)
            else type(kind.__name__, (ReferenceBackend,), {"index_type": kind})
        )
        defect = (inspect.getdoc(kind) or "").partition("\n\n")[0].replace("\n", " ")
        MUTANTS[name] = Mutant(name, defect, link, clause, backend)
        return kind

    return register
