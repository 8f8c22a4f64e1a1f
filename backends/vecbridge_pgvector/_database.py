"""What a database must have, and what is wrong with one: its version, the extension, rights."""

from __future__ import annotations

import re

from psycopg import errors, sql

from vecbridge import ConfigurationError
from vecbridge.diagnosis import Finding
from vecbridge_pgvector._connection import Session
from vecbridge_pgvector._settings import IndexType

_ITERATIVE = (0, 8)
_OLDEST_SERVER = 140_000
# IF NOT EXISTS fails where two create at once. The lock lasts as long as the transaction.
_ONE_CREATOR = "SELECT pg_advisory_xact_lock(hashtextextended('vecbridge: extension, schema', 0))"


def version(client: Session) -> str | None:
    """Return the version of the extension; ``None`` where the database lacks it."""
    query = "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
    row = client.execute(query).fetchone()
    return None if row is None else str(row[0])


def check(client: Session, place: str, index_type: IndexType) -> None:
    """Refuse a server that cannot do what the settings ask for.

    Raises:
        ConfigurationError: it is too old, or its database is of another encoding than UTF-8.
    """
    info, problem, found = client.info, "", version(client)
    parts = tuple(map(int, re.findall(r"\d+", found or "0")[:2]))
    if info.server_version < _OLDEST_SERVER:
        problem = f"PostgreSQL 14 or newer is needed, and this is {info.server_version // 10000}"
    elif info.parameter_status("server_encoding") != "UTF8":
        problem = "its database has to be encoded in UTF8"
    elif index_type != "none" and parts < _ITERATIVE:
        problem = (
            f"index_type={index_type!r} needs pgvector 0.8, and this is "
            f"{found}: ask the administrator for ALTER EXTENSION vector UPDATE, or search "
            f"exactly, with index_type='none'"
        )
    if problem:
        raise ConfigurationError(f"PostgreSQL at {place}: {problem}")


def ensure_extension(client: Session, place: str) -> None:
    """Create the extension, where the database lacks it.

    Raises:
        ConfigurationError: the role may not, or the server has none.
    """
    if version(client) is not None:
        return
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
            f"database {info.dbname!r} of PostgreSQL at {place} has no extension "
            f"'vector', and role {info.user!r} cannot create it. Ask the administrator to "
            f"{first}run in this database: CREATE EXTENSION vector"
        ) from None


def ensure_schema(client: Session, name: str) -> None:
    """Create the schema of the tables, where there is none.

    Raises:
        ConfigurationError: the role may not.
    """
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


def findings(client: Session, place: str, schema: str) -> list[Finding]:
    """Look at the server, the extension and the rights of the role."""
    info, found = client.info, version(client)
    server = f"PostgreSQL {info.parameter_status('server_version')} at {place}"
    tls = client.pgconn.ssl_in_use
    findings = [
        Finding("server", "ok", f"{server}, database {info.dbname!r}, role {info.user!r}"),
        Finding("connection", "ok", "encrypted")
        if tls or info.host.startswith(("/", "@"))
        else Finding("connection", "warning", "not encrypted", "give sslmode='verify-full'"),
    ]
    if found is None:
        findings.append(
            Finding(
                "extension",
                "warning",
                "this database has no extension 'vector'",
                "ask the administrator to run in it: CREATE EXTENSION vector",
            )
        )
    else:
        findings.append(Finding("extension", "ok", f"pgvector {found}"))
    rights = "SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = %s"
    row = client.execute(rights, [schema]).fetchone()
    if row is None or not row[0]:
        advice = f"to make indexes, GRANT USAGE, CREATE ON SCHEMA {schema}"
        lacking = f"the role makes no tables in schema {schema!r}"
        findings.append(Finding("rights", "warning", lacking, f"{advice} TO {info.user}"))
    return findings
