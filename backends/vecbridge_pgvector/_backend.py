"""The backend: tables of a PostgreSQL database as indexes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

from psycopg import errors, sql
from psycopg.pq import TransactionStatus

from vecbridge import FieldType, IndexInfo, SchemaMismatchError
from vecbridge.diagnosis import Finding
from vecbridge.fields import FIELD_TYPES
from vecbridge.remote import (
    RemoteBackend,
    RemoteIndex,
    from_document,
    index_names,
    storage_name,
)
from vecbridge_pgvector import _database as database
from vecbridge_pgvector._adoption import adopted
from vecbridge_pgvector._connection import ERRORS, Session, connected
from vecbridge_pgvector._layout import LONGEST, Layout, creation, own_layout
from vecbridge_pgvector._settings import PgvectorSettings
from vecbridge_pgvector._table import MAX_DIMENSION, Table

_ROWS, _INDEXED_ROWS = 50_000, 1_000
_TABLES = """
    SELECT c.relname, obj_description(c.oid, 'pg_class'), pg_has_role(c.relowner, 'USAGE'),
           pg_is_in_recovery(),
           EXISTS (SELECT FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
                   WHERE a.attrelid = c.oid AND t.typname IN ('vector', 'halfvec')
                     AND a.atttypmod > 0 AND NOT a.attisdropped),
           EXISTS (SELECT FROM pg_attribute a
                   WHERE a.attrelid = c.oid AND a.attname = 'norm' AND a.attgenerated = 's'),
           c.oid
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relkind IN ('r', 'p') AND c.relname = coalesce(%s, c.relname)
"""


class PgvectorBackend(RemoteBackend[Session]):
    """Indexes as tables. Connects on first use.

    Args:
        settings: where the server is, and who asks.
    """

    settings: PgvectorSettings
    name: ClassVar[str] = "pgvector"
    settings_type: ClassVar[type[PgvectorSettings]] = PgvectorSettings
    field_types: ClassVar[frozenset[FieldType]] = frozenset(FIELD_TYPES)

    def __init__(self, settings: PgvectorSettings) -> None:
        self.max_dimension = MAX_DIMENSION[settings.index_type]
        super().__init__(settings, ERRORS, place=settings.place, clients=settings.pool_size)

    def connect(self) -> Session:
        """Return a session in which calls end in time, and commits are on disk when they return."""
        return connected(self.settings)

    def is_usable(self, client: Session) -> bool:
        """Return whether a session is connected and in no transaction."""
        return client.info.transaction_status == TransactionStatus.IDLE

    def make(self, client: Session, info: IndexInfo) -> Table | None:
        """Make a table, with its schema in the table's comment."""
        database.ensure_extension(client, self.link.place)
        self._check(client)
        layout = self._layout(info)
        try:
            with client.transaction():
                database.ensure_schema(client, self.settings.schema_name)
                for statement in creation(layout):
                    client.execute(statement)
                name = self._table_name(info.name)
                rows = client.execute(_TABLES, [self.settings.schema_name, name]).fetchall()
        except (errors.DuplicateTable, errors.UniqueViolation):
            return None
        return Table(replace(layout, oid=rows[0][6]), self.settings)

    def find(self, client: Session, name: str) -> Table | None:
        """Return the table of an index."""
        rows = client.execute(_TABLES, [self.settings.schema_name, self._table_name(name)])
        row = rows.fetchone()
        if row is None:
            return None
        self._check(client)
        if _is_ours(row[1]):
            info = from_document(row[1], backend=self.name)
            layout = self._layout(info, owned=row[2])
            if not row[5]:
                table = layout.table.as_string(client)
                raise SchemaMismatchError(
                    f"the column 'norm' of the table of index {name!r} is not computed by the "
                    f"server, so that it may not fit the vectors. Run: ALTER TABLE {table} DROP "
                    f"COLUMN norm, ADD COLUMN norm float8 GENERATED ALWAYS AS "
                    f"(vector_norm(embedding)) STORED"
                )
        elif row[4]:
            layout = adopted(client, self.settings, name, self._table(name))
        else:
            return None
        return Table(replace(layout, standby=row[3], oid=row[6]), self.settings)

    def names(self, client: Session) -> list[str]:
        """Return the names of the indexes in the schema."""
        rows = client.execute(_TABLES, [self.settings.schema_name, None]).fetchall()
        places = [
            (table, comment if _is_ours(comment) else None)
            for table, comment, _, _, has_vectors, *_ in rows
            if has_vectors or _is_ours(comment)
        ]
        return index_names(places, backend=self.name, given=self.settings.table_names)

    def remove(self, client: Session, name: str) -> bool:
        """Drop a table."""
        found = self.find(client, name)
        if found is None:
            return False
        try:
            client.execute(sql.SQL("DROP TABLE {}").format(self._table(name)))
        except (errors.UndefinedTable, errors.InvalidSchemaName):
            # Another program was faster.
            return False
        return True

    def index_over(self, collection: Any) -> RemoteIndex[Session]:
        """Return the index over a table."""
        settings = self.settings
        effort = settings.hnsw_ef_search
        if settings.index_type == "ivfflat":
            effort = settings.ivfflat_probes
        # An approximate index takes milliseconds per record, and a call ends in time.
        rows = _ROWS if collection.capabilities.exact else _INDEXED_ROWS
        return RemoteIndex(
            self.link, collection, put_rows=rows, recall=settings.recall, effort=effort
        )

    def findings(self) -> Iterator[Finding]:
        """Look at the server and the role."""
        yield from self.link.run(
            "diagnose",
            lambda client: database.findings(client, self.link.place, self.settings.schema_name),
        )

    def versions(self) -> dict[str, str]:
        """Return what the live server and its extension call themselves."""
        return self.link.run("versions", self._versions)

    def _versions(self, client: Session) -> dict[str, str]:
        server = client.info.parameter_status("server_version") or ""
        return {"postgresql": server, "pgvector": database.version(client) or "none"}

    def _layout(self, info: IndexInfo, *, owned: bool = True) -> Layout:
        return own_layout(info, self._table(info.name), self.settings.index_type, owned=owned)

    def _check(self, client: Session) -> None:
        database.check(client, self.link.place, self.settings.index_type)

    def _table(self, name: str) -> sql.Identifier:
        return sql.Identifier(self.settings.schema_name, self._table_name(name))

    def _table_name(self, name: str) -> str:
        return self.settings.table_names.get(name, storage_name(name, longest=LONGEST))


def _is_ours(comment: str | None) -> bool:
    return comment is not None and comment.startswith('{"vecbridge":')
