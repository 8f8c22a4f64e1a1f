"""The backend: tables of a PostgreSQL database as indexes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

from psycopg import errors, sql
from psycopg.pq import TransactionStatus

from vecbridge import (
    ConfigurationError,
    FieldType,
    IndexInfo,
    SchemaMismatchError,
    Scope,
)
from vecbridge.diagnosis import Finding
from vecbridge.fields import FIELD_TYPES, base_of
from vecbridge.ranking import EngineGeometry
from vecbridge.remote import (
    RemoteBackend,
    RemoteIndex,
    from_document,
    storage_name,
    to_document,
)
from vecbridge_pgvector._adoption import NAME, adopted
from vecbridge_pgvector._approximate import Layout
from vecbridge_pgvector._connection import ERRORS, Session, connected
from vecbridge_pgvector._filters import column_type, holds_time
from vecbridge_pgvector._settings import PgvectorSettings
from vecbridge_pgvector._table import MAX_DIMENSION, Table

_LONGEST = 63
# All but the first three are PostgreSQL's own, in every table.
_TAKEN = ("id", "embedding", "norm", "ctid", "xmin", "xmax", "cmin", "cmax", "tableoid")
_ITERATIVE = (0, 8)
# IF NOT EXISTS fails where two create at once. The lock lasts as long as the transaction.
_ONE_CREATOR = "SELECT pg_advisory_xact_lock(hashtextextended('vecbridge: extension, schema', 0))"
_OLDEST_SERVER = 140_000
_ROWS, _INDEXED_ROWS = 50_000, 1_000
_TABLES = """
    SELECT c.relname, obj_description(c.oid, 'pg_class'), pg_has_role(c.relowner, 'USAGE'),
           pg_is_in_recovery(),
           EXISTS (SELECT FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
                   WHERE a.attrelid = c.oid AND t.typname IN ('vector', 'halfvec')
                     AND a.atttypmod > 0 AND NOT a.attisdropped),
           EXISTS (SELECT FROM pg_attribute a
                   WHERE a.attrelid = c.oid AND a.attname = 'norm' AND a.attgenerated = 's')
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
        secrets = [settings.password] if settings.password else []
        super().__init__(
            settings, ERRORS, place=settings.place, clients=settings.pool_size, secrets=secrets
        )

    def connect(self) -> Session:
        """Return a session in which calls end in time, and commits are on disk when they return."""
        return connected(self.settings)

    def is_usable(self, client: Session) -> bool:
        """Return whether a session is connected and in no transaction."""
        return client.info.transaction_status == TransactionStatus.IDLE

    def make(self, client: Session, info: IndexInfo) -> Table | None:
        """Make a table, with its schema in the table's comment."""
        self._check_version(client, self._ensure_extension(client))
        layout = self._layout(info)
        columns = [
            sql.SQL('{} text COLLATE "C" PRIMARY KEY').format(layout.key),
            sql.SQL("{} vector({}) NOT NULL").format(layout.vector, sql.Literal(info.dimension)),
            # Generated, so that no program can change a vector and leave its norm behind.
            sql.SQL("{} double precision GENERATED ALWAYS AS (vector_norm({})) STORED").format(
                layout.norm, layout.vector
            ),
            *(
                sql.SQL("{} {}").format(layout.fields[name], column_type(kind))
                for name, kind in info.fields.items()
            ),
            *(
                sql.SQL("CHECK ({})").format(holds_time(layout.fields[name]))
                for name, kind in info.fields.items()
                if base_of(kind) == "timestamp"
            ),
        ]
        try:
            with client.transaction():
                self._ensure_schema(client)
                create = sql.SQL("CREATE TABLE {} ({})")
                client.execute(create.format(layout.table, sql.SQL(", ").join(columns)))
                client.execute(self._norm_index(layout))
                comment = sql.SQL("COMMENT ON TABLE {} IS {}")
                client.execute(comment.format(layout.table, sql.Literal(to_document(info))))
        except (errors.DuplicateTable, errors.UniqueViolation):
            return None
        return Table(layout, self.settings)

    def find(self, client: Session, name: str) -> Table | None:
        """Return the table of an index."""
        rows = client.execute(_TABLES, [self.settings.schema_name, self._table_name(name)])
        row = rows.fetchone()
        if row is None:
            return None
        self._check_version(client, self._version(client))
        if _is_ours(row[1]):
            info = from_document(row[1], backend=self.name)
            layout = self._layout(info, owned=row[2])
            if not row[5]:
                raise SchemaMismatchError(self._ungenerated(client, name))
        elif row[4]:
            layout = adopted(client, self.settings, name, self._table(name))
        else:
            return None
        return Table(replace(layout, standby=row[3]), self.settings)

    def names(self, client: Session) -> list[str]:
        """Return the names of the indexes in the schema."""
        rows = client.execute(_TABLES, [self.settings.schema_name, None]).fetchall()
        names = {table: name for name, table in self.settings.table_names.items()}
        found: list[str] = []
        for table, comment, _, _, has_vectors, _ in rows:
            name = str(names.get(table, table))
            if _is_ours(comment):
                found.append(from_document(comment, backend=self.name).name)
            elif has_vectors and NAME.fullmatch(name):
                found.append(name)
        return found

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

    def diagnose(self) -> Iterator[Finding]:
        """Look at the server, the role and every index; change nothing."""
        yield from self.link.run("diagnose", self._findings)
        for name in self.index_names():
            try:
                table = self.open_index(name)
            except SchemaMismatchError as error:
                yield Finding(f"index {name}", "warning", "it cannot be opened", str(error))
                continue
            info, rows = table.info, table.count(Scope())
            found = f"{rows:,} records, {info.dimension} dimensions, {info.metric}"
            yield Finding(f"index {name}", "ok", found)

    def _findings(self, client: Session) -> list[Finding]:
        settings, info, version = self.settings, client.info, self._version(client)
        server = f"PostgreSQL {info.parameter_status('server_version')} at {self.link.place}"
        tls = client.pgconn.ssl_in_use
        findings = [
            Finding("server", "ok", f"{server}, database {info.dbname!r}, role {info.user!r}"),
            Finding("connection", "ok", "encrypted")
            if tls or info.host.startswith(("/", "@"))
            else Finding("connection", "warning", "not encrypted", "give sslmode='verify-full'"),
        ]
        if version is None:
            findings.append(
                Finding(
                    "extension",
                    "warning",
                    "this database has no extension 'vector'",
                    "ask the administrator to run in it: CREATE EXTENSION vector",
                )
            )
        else:
            findings.append(Finding("extension", "ok", f"pgvector {version}"))
        rights = "SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = %s"
        row = client.execute(rights, [settings.schema_name]).fetchone()
        if row is None or not row[0]:
            advice = f"to make indexes, GRANT USAGE, CREATE ON SCHEMA {settings.schema_name}"
            found = f"the role makes no tables in schema {settings.schema_name!r}"
            findings.append(Finding("rights", "warning", found, f"{advice} TO {info.user}"))
        return findings

    def versions(self) -> dict[str, str]:
        """Return what the live server and its extension call themselves."""
        return self.link.run("versions", self._versions)

    def _versions(self, client: Session) -> dict[str, str]:
        server = client.info.parameter_status("server_version") or ""
        return {"postgresql": server, "pgvector": self._version(client) or "none"}

    def _layout(self, info: IndexInfo, *, owned: bool = True) -> Layout:
        return Layout(
            info,
            self._table(info.name),
            key=sql.Identifier("id"),
            vector=sql.Identifier("embedding"),
            vector_column=sql.Identifier("embedding"),
            norm=sql.Identifier("norm"),
            fields={
                name: sql.Identifier(storage_name(name, longest=_LONGEST, taken=_TAKEN))
                for name in info.fields
            },
            index_type=self.settings.index_type,
            owned=owned,
        )

    def _norm_index(self, layout: Layout) -> sql.Composed:
        """Return what makes records quick to find on which float32 is no good."""
        create = sql.SQL("CREATE INDEX ON {} ({})").format(layout.table, layout.norm)
        if layout.info.metric == "dotproduct":
            return create
        low, high = EngineGeometry(layout.info.metric, layout.info.dimension, "distance").band
        below, above = sql.Literal(low), sql.Literal(high)
        outside = sql.SQL(" WHERE {0} < {1}::double precision OR {0} > {2}::double precision")
        return create + outside.format(layout.norm, below, above)

    def _ungenerated(self, client: Session, name: str) -> str:
        table = self._table(name).as_string(client)
        return (
            f"the column 'norm' of the table of index {name!r} is not computed by the server, so "
            f"that it may not fit the vectors. Run: ALTER TABLE {table} DROP COLUMN norm, ADD "
            f"COLUMN norm float8 GENERATED ALWAYS AS (vector_norm(embedding)) STORED"
        )

    def _table(self, name: str) -> sql.Identifier:
        return sql.Identifier(self.settings.schema_name, self._table_name(name))

    def _table_name(self, name: str) -> str:
        return self.settings.table_names.get(name, storage_name(name, longest=_LONGEST))

    def _ensure_extension(self, client: Session) -> str | None:
        version = self._version(client)
        if version is not None:
            return version
        try:
            with client.transaction():
                client.execute(_ONE_CREATOR)
                client.execute("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public")
        except (errors.UniqueViolation, errors.DuplicateObject):
            # A program that does not lock was faster.
            pass
        except (
            errors.InsufficientPrivilege,
            errors.UndefinedFile,
            errors.FeatureNotSupported,
        ) as e:
            info = client.info
            lacking = isinstance(e, errors.InsufficientPrivilege)
            first = "" if lacking else "install pgvector on the server, and then "
            raise ConfigurationError(
                f"database {info.dbname!r} of PostgreSQL at {self.link.place} has no extension "
                f"'vector', and role {info.user!r} cannot create it. Ask the administrator to "
                f"{first}run in this database: CREATE EXTENSION vector"
            ) from None
        return self._version(client)

    def _ensure_schema(self, client: Session) -> None:
        name = self.settings.schema_name
        if client.execute("SELECT to_regnamespace(quote_ident(%s))", [name]).fetchall()[0][0]:
            return
        try:
            with client.transaction():
                client.execute(_ONE_CREATOR)
                create = sql.SQL("CREATE SCHEMA IF NOT EXISTS {}")
                client.execute(create.format(sql.Identifier(name)))
        except (errors.UniqueViolation, errors.DuplicateSchema):
            pass
        except errors.InsufficientPrivilege:
            raise ConfigurationError(
                f"there is no schema {name!r}, and role {client.info.user!r} may not create it. "
                f"Ask the administrator to run: CREATE SCHEMA {name} AUTHORIZATION "
                f"{client.info.user}; or correct the setting schema_name"
            ) from None

    def _version(self, client: Session) -> str | None:
        query = "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
        row = client.execute(query).fetchone()
        return None if row is None else str(row[0])

    def _check_version(self, client: Session, version: str | None) -> None:
        """Refuse a server that cannot do what the settings ask for."""
        info, problem = client.info, ""
        parts = tuple(map(int, re.findall(r"\d+", version or "0")[:2]))
        if info.server_version < _OLDEST_SERVER:
            problem = (
                f"PostgreSQL 14 or newer is needed, and this is {info.server_version // 10000}"
            )
        elif info.parameter_status("server_encoding") != "UTF8":
            problem = "its database has to be encoded in UTF8"
        elif self.settings.index_type != "none" and parts < _ITERATIVE:
            problem = (
                f"index_type={self.settings.index_type!r} needs pgvector 0.8, and this is "
                f"{version}: ask the administrator for ALTER EXTENSION vector UPDATE, or search "
                f"exactly, with index_type='none'"
            )
        if problem:
            raise ConfigurationError(f"PostgreSQL at {self.link.place}: {problem}")


def _is_ours(comment: str | None) -> bool:
    return comment is not None and comment.startswith('{"vecbridge":')
