"""The boundary to psycopg: connections with deadlines, and what their errors mean."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from vecbridge import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailedError,
    CorruptStoreError,
    IndexNotFoundError,
    OperationTimeoutError,
)
from vecbridge.remote import Cause, ErrorTable
from vecbridge_pgvector._settings import PgvectorSettings

_GRACE_S = 2.0
_REFUSED = "authentication failed|no password|pg_hba.conf|role .* does not exist|certificate"
_SESSION = """
SELECT set_config('statement_timeout', %(ms)s, false), set_config('lock_timeout', %(ms)s, false),
       set_config('search_path', concat_ws(', ', quote_ident(%(schema)s), 'public', quote_ident((
           SELECT nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = extnamespace
           WHERE extname = 'vector'))), false),
       set_config('work_mem', coalesce(%(work)s, current_setting('work_mem')), false),
       CASE current_setting('synchronous_commit') WHEN 'off'
           THEN set_config('synchronous_commit', 'on', false) END
"""


class SilentServerError(psycopg.OperationalError):
    """A server said nothing for longer than a call may take."""


class Session(psycopg.Connection[Any]):
    """A connection that waits for its server no longer than a call may take.

    Attributes:
        patience: seconds that it waits for an answer; ``None`` for as long as it takes.
        effort: the last search effort that was set on it.
    """

    patience: float | None = None
    effort: tuple[str, int] | None = None

    def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
        """Wait for what a generator of psycopg does, and give up in time."""
        return super().wait(self._limited(gen), *arguments, **options)

    @contextmanager
    def patiently(self) -> Iterator[None]:
        """Let what is done inside take as long as it takes."""
        patience, self.patience = self.patience, None
        limit = self.execute("SHOW statement_timeout").fetchall()[0][0]
        self.execute("SET statement_timeout = 0")
        try:
            yield
        finally:
            self.patience = patience
            if not self.closed:
                self.execute("SELECT set_config('statement_timeout', %s, false)", [limit])

    def _limited(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        started = time.monotonic()
        try:
            state = next(gen)
            while True:
                ready = yield state
                # psycopg comes by ten times a second while nothing arrives.
                waited = time.monotonic() - started
                if not ready and self.patience is not None and waited > self.patience:
                    self.close()
                    raise SilentServerError(f"it has not answered for {waited:.1f} s")
                state = gen.send(ready)
        except StopIteration as end:
            return end.value


def connected(settings: PgvectorSettings) -> Session:
    """Return a session in which calls end in time, and commits are on disk when they return."""
    given = {"connect_timeout": max(2, round(settings.timeout)), **settings.conninfo()}
    # PGCLIENTENCODING, the role or the database may name an encoding that cannot hold every text.
    given["client_encoding"] = "utf8"
    # Nothing is prepared: a table that is altered would make its plans fail, and poolers that
    # stand before a server know of none.
    session = Session.connect(**given, autocommit=True, prepare_threshold=None)
    session.patience = settings.timeout + _GRACE_S
    limits = {
        "ms": str(round(1000 * settings.timeout)),
        "schema": settings.schema_name,
        "work": settings.work_mem,
    }
    try:
        session.execute(_SESSION, limits)
    except BaseException:
        session.close()
        raise
    return session


def _says(pattern: str) -> Callable[[Exception], bool]:
    """Return a test for failures whose text tells more than an SQLSTATE, or has none."""
    matching = re.compile(pattern)
    return lambda error: (
        isinstance(error, psycopg.Error) and matching.search(str(error)) is not None
    )


ERRORS = ErrorTable(
    "pgvector",
    "PostgreSQL",
    [
        Cause(
            match=SilentServerError,
            kind=OperationTimeoutError,
            retryable=True,
            advice="It may be overloaded or frozen; try again, or raise the setting timeout",
        ),
        Cause(
            match="57014|55P03",
            kind=OperationTimeoutError,
            retryable=True,
            advice="Raise the setting timeout, or look for what blocks it in pg_stat_activity",
        ),
        Cause(match="57P|08|25P03", kind=ConnectionFailedError, retryable=True),
        Cause(
            match="53300",
            kind=ConnectionFailedError,
            retryable=True,
            advice="Lower the setting pool_size, or raise max_connections of the server",
        ),
        Cause(match="40001|40P01", retryable=True),
        Cause(
            match="28",
            kind=AuthenticationError,
            advice="Check the settings user and password",
        ),
        Cause(
            match=_says("^must be owner of"),
            kind=AuthenticationError,
            advice="Only the owner may drop or alter it; ask for a member of the owner's role",
        ),
        Cause(
            match="42501",
            kind=AuthenticationError,
            advice="Ask the owner for GRANT SELECT, INSERT, UPDATE, DELETE ON the table, or for "
            "GRANT USAGE, CREATE ON SCHEMA where indexes are made",
        ),
        Cause(match="3D000", kind=ConfigurationError, advice="Correct the setting dbname"),
        Cause(match="42P01|3F000", kind=IndexNotFoundError, advice="It was dropped"),
        Cause(match="XX00[12]", kind=CorruptStoreError),
        Cause(
            match="25006",
            advice="Is this a standby? Name the primary, or give target_session_attrs=read-write",
        ),
        # Whatever else has an SQLSTATE was said by a server that is there.
        Cause(match="."),
        Cause(
            match=_says(_REFUSED),
            kind=AuthenticationError,
            advice="Check the settings user, password and sslmode",
        ),
        Cause(
            match=_says("database .* does not exist"),
            kind=ConfigurationError,
            advice="Correct the setting dbname, or create the database",
        ),
        # A server that refuses a connection has answered, and psycopg keeps no SQLSTATE of it.
        Cause(match=_says("FATAL: "), kind=ConnectionFailedError, retryable=True),
        Cause(
            match=(psycopg.OperationalError, psycopg.InterfaceError),
            kind=ConnectionFailedError,
            retryable=True,
            advice="Is the server running?",
        ),
    ],
    packages=["psycopg"],
    code="sqlstate",
)
