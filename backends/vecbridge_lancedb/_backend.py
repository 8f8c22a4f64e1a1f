"""The backend: tables of a LanceDB database as indexes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import Any, ClassVar, cast
from uuid import uuid4

import lancedb
import pyarrow as pa
from lancedb.index import BTree

from vecbridge import CorruptStoreError, FieldType, IndexInfo, SchemaMismatchError, Scope
from vecbridge.diagnosis import Finding
from vecbridge.fields import FIELD_TYPES, base_of, is_optional
from vecbridge.remote import (
    RemoteBackend,
    RemoteIndex,
    from_document,
    storage_name,
    to_document,
)
from vecbridge_lancedb._adoption import NAME, adopted
from vecbridge_lancedb._connection import ERRORS, Database
from vecbridge_lancedb._layout import DOCUMENT, TABLE_ID, Layout, identity_of
from vecbridge_lancedb._settings import LancedbSettings
from vecbridge_lancedb._table import MAX_DIMENSION, Table, index_config

_LONGEST = 200
_TAKEN = frozenset({"id", "vector", "norm"})
_PAUSES = (0.05, 0.2, 0.5)
_KEY = {"lance-schema:unenforced-primary-key": "true"}
"""With it, LanceDB lets no two writers insert one id; without, two that begin at once both do."""

_TYPES = {
    "string": pa.string(),
    "integer": pa.int64(),
    "float": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us", "UTC"),
    "strings": pa.list_(pa.string()),
}


class LancedbBackend(RemoteBackend[Database]):
    """Indexes as tables. Connects on first use, and makes the folder with the first index.

    Args:
        settings: where the tables are.
    """

    settings: LancedbSettings
    name: ClassVar[str] = "lancedb"
    settings_type: ClassVar[type[LancedbSettings]] = LancedbSettings
    field_types: ClassVar[frozenset[FieldType]] = frozenset(FIELD_TYPES)
    max_dimension = MAX_DIMENSION

    def __init__(self, settings: LancedbSettings) -> None:
        if settings.index_type != "none":
            index_config(settings, "cosine")
        secrets = settings.storage_options.values()
        super().__init__(settings, ERRORS, place=str(settings.uri), secrets=secrets)

    def connect(self) -> Database:
        """Return a connection; object stores are asked with the first call."""
        return Database(self.settings)

    def make(self, client: Database, info: IndexInfo) -> Table | None:
        """Make a table, with the schema of the index in the table's own."""
        layout = self._layout(info)
        if layout.table in client.names() or not client.claim(layout.table):
            return None
        vector = pa.list_(pa.field("item", pa.float32(), nullable=False), info.dimension)
        columns = [
            pa.field("id", pa.string(), nullable=False, metadata=_KEY),
            pa.field("vector", vector, nullable=False),
            pa.field("norm", pa.float64(), nullable=False),
            *(
                pa.field(layout.fields[name], _TYPES[base_of(kind)], nullable=is_optional(kind))
                for name, kind in info.fields.items()
            ),
        ]
        schema = pa.schema(columns, metadata={DOCUMENT: to_document(info), TABLE_ID: uuid4().hex})
        try:
            table = client.connection.create_table(layout.table, schema=schema)
        except Exception as error:
            client.release(layout.table)
            if "already exists" in str(error):
                return None
            raise
        if table.version > 1:
            # Two that make a table at once both succeed, and the later one hides the other's.
            table.restore(table.version - 1)
            return None
        # It makes reads by id faster, and nothing else: the other maker may be in its way.
        with suppress(RuntimeError):
            table.create_index("id", config=BTree())
        return Table(replace(layout, identity=identity_of(schema)), self.settings)

    def find(self, client: Database, name: str) -> Table | None:
        """Return the table of an index."""
        table = self._opened(client, self._table_name(name))
        if table is None:
            return None
        info = self._read_info(table)
        if info is None:
            return Table(adopted(table, self.settings, name), self.settings)
        layout = self._layout(replace(info, name=name))
        layout = replace(layout, identity=identity_of(table.schema))
        layout.check(table.schema)
        # What another program added: a write would erase it.
        added = [column for column in table.schema if column.name not in layout.columns]
        info = replace(
            layout.info,
            unsupported=MappingProxyType({each.name: str(each.type) for each in added}),
            required=frozenset(each.name for each in added if not each.nullable),
        )
        return Table(replace(layout, info=info), self.settings)

    def names(self, client: Database) -> list[str]:
        """Return the names of the indexes."""
        names = {table: name for name, table in self.settings.table_names.items()}
        found = []
        for table in client.names():
            name = names.get(table, table)
            if NAME.fullmatch(name):
                found.append(name)
            elif "." in table and (info := self._read_info(client.table(table))):
                # A name that is too long for a file.
                found.append(info.name)
        return found

    def remove(self, client: Database, name: str) -> bool:
        """Drop a table."""
        if self._table_name(name) not in client.names():
            return False
        client.connection.drop_table(self._table_name(name), ignore_missing=True)
        return True

    def index_over(self, collection: Any) -> RemoteIndex[Database]:
        """Return the index over a table."""
        settings = self.settings
        effort = settings.ef if "hnsw" in settings.index_type else settings.nprobes
        return RemoteIndex(self.link, collection, recall=settings.recall, effort=effort)

    def diagnose(self) -> Iterator[Finding]:
        """Look at the place and at every index; change nothing."""
        names = self.index_names()
        yield Finding("place", "ok", f"{self.link.place}, {len(names)} indexes")
        for name in names:
            try:
                index = self.open_index(name)
                info, rows = index.info, index.count(Scope())
                table = cast(Table, index.collection)
                strays = self.link.run("diagnose", table.strays)
                twins = self.link.run("diagnose", table.twins)
            except (SchemaMismatchError, CorruptStoreError) as error:
                yield Finding(f"index {name}", "warning", "it cannot be opened", str(error))
                continue
            found = f"{rows:,} records, {info.dimension} dimensions, {info.metric}"
            yield Finding(f"index {name}", "ok", found)
            if strays:
                yield Finding(
                    f"index {name}",
                    "warning",
                    f"of {strays:,} records, another program changed the vector and not the norm",
                    "a search may miss them: upsert them again",
                )
            if twins:
                yield Finding(
                    f"index {name}",
                    "warning",
                    f"{len(twins):,} ids are there twice, {twins[0]!r} among them",
                    "scans and searches are refused: upsert the records of these ids again",
                )

    def versions(self) -> dict[str, str]:
        """Return what the library calls itself."""
        return {"lancedb": lancedb.__version__}

    def _opened(self, client: Database, place: str) -> Any:
        """Open a table; ``None`` where there is none."""
        if not client.exists:
            return None
        for pause in _PAUSES:
            try:
                return client.table(place)
            except ValueError as error:
                if not str(error).endswith("was not found"):
                    raise
            if place not in client.names():
                return None
            # Another process may be making it just now.
            time.sleep(pause)
        raise CorruptStoreError(
            f"{place}.lance in {self.link.place} holds no table that can be read; restore it from "
            f"a copy, or remove it",
            backend=self.name,
            operation="open_index",
        )

    def _read_info(self, table: Any) -> IndexInfo | None:
        """Return the schema of an index that a table keeps; ``None`` of another program's."""
        document, _ = identity_of(table.schema)
        return None if document is None else from_document(document.decode(), backend=self.name)

    def _layout(self, info: IndexInfo) -> Layout:
        # A dot in the name of a column would mean a part of it, and what begins with an underscore
        # may be LanceDB's own.
        taken = _TAKEN | {name for name in info.fields if name.startswith("_")}
        fields = {
            name: storage_name(name, longest=_LONGEST, taken=taken).replace(".", "-")
            for name in info.fields
        }
        return Layout(info, self._table_name(info.name), fields)

    def _table_name(self, name: str) -> str:
        return self.settings.table_names.get(name, storage_name(name, longest=_LONGEST))
