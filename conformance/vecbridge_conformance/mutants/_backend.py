"""The backend around the reference engine, and around its mutants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

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
from vecbridge_conformance.mutants._shelf import FileShelf, MemoryShelf, Shelf, Table, Tables


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
        return MemoryShelf() if self._path is None else FileShelf(self._path)

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
        info = IndexInfo(name, dimension, metric, dict(fields), consistency or "strong")

        def add(tables: Tables) -> None:
            if name in tables:
                raise IndexExistsError(f"there is an index {name!r} already; open it or drop it")
            tables[name] = Table(info)

        self._check_open("create_index")
        self._shelf.change(add)
        return self.opened(info)

    def open_index(self, name: str) -> ReferenceIndex:
        """Open an index with the schema that is stored."""
        return self.opened(self._found(name).info)

    def opened(self, info: IndexInfo) -> ReferenceIndex:
        """Return the object for an index that is there."""
        shown = replace(info, fields=MappingProxyType(info.fields))
        index = self.index_type(shown, self._shelf)
        self._opened.append(index)
        return index

    def index_names(self) -> list[str]:
        """Return the names, sorted."""
        self._check_open("index_names")
        return sorted(self._shelf.read())

    def drop_index(self, name: str) -> None:
        """Remove an index and its rows."""
        self._found(name)
        self._shelf.change(lambda tables: tables.pop(name, None))

    def close(self) -> None:
        """Close every index that was opened here."""
        self._closed = True
        for index in self._opened:
            index.close()

    def _found(self, name: str) -> Table:
        self._check_open("open_index")
        table = self._shelf.read().get(name)
        if table is None:
            raise IndexNotFoundError(f"there is no index {name!r}; create it first")
        return table

    def _check_open(self, operation: str) -> None:
        if self._closed:
            raise ClosedError("the store was closed", backend=self.name, operation=operation)
