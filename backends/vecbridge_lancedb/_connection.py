"""The boundary to LanceDB: connections, one per process, and what its errors mean."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import lancedb

from vecbridge import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailedError,
    CorruptStoreError,
    IndexNotFoundError,
    OperationTimeoutError,
)
from vecbridge.remote import Cause, ErrorTable
from vecbridge_lancedb._settings import LancedbSettings

_HINT = "latest_version_hint.json"
_state = {"used": False, "forked": False}


class Database:
    """The tables of a folder or a bucket. A folder is made by the first table.

    Args:
        settings: where it is.
    """

    def __init__(self, settings: LancedbSettings) -> None:
        if _state["forked"]:
            raise ConnectionFailedError(
                "this process was forked from one that had used LanceDB, whose threads it does not "
                "have, and LanceDB may hang in it. Start it with 'spawn' or 'forkserver', or use "
                "LanceDB after the fork alone",
                backend="lancedb",
                operation="connect",
            )
        _state["used"] = True
        self._settings = settings
        self._connection: Any = None

    @property
    def exists(self) -> bool:
        """Whether there is anything to read."""
        folder = self._settings.folder
        return folder is None or folder.exists()

    @property
    def connection(self) -> Any:
        """LanceDB's own; it makes the folder."""
        if self._connection is None:
            options = self._settings.options()
            place = self._settings.folder or self._settings.uri
            self._connection = lancedb.connect(str(place), storage_options=options or None)
        return self._connection

    def names(self) -> list[str]:
        """Return the names of all tables."""
        if not self.exists:
            return []
        found: list[str] = self.connection.list_tables(limit=2**31 - 1).tables
        return found

    def claim(self, table: str) -> bool:
        """Make the folder of a new table; ``False`` where another has made it."""
        folder = self._settings.folder
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            try:
                (folder / f"{table}.lance").mkdir()
            except FileExistsError:
                return False
        return True

    def release(self, table: str) -> None:
        """Remove the folder of a table that could not be made."""
        folder = self._settings.folder
        if folder is not None:
            with suppress(OSError):
                (folder / f"{table}.lance").rmdir()

    def table(self, name: str) -> Any:
        """Open the newest version of a table.

        Raises:
            CorruptStoreError: its folder has had a newer version, whose manifest is gone.
        """
        newest = self._noted(name)
        table = self.connection.open_table(name)
        # A table that was made again meanwhile starts with version 1, and so does its note.
        if newest > table.version and self._noted(name) >= newest:
            raise CorruptStoreError(
                f"the newest version of {name}.lance that can be read is {table.version}, and "
                f"version {newest} was written: the manifest of the newer one is missing. Restore "
                f"the folder from a copy; or go on from version {table.version}, without what was "
                f"written later, by removing _versions/{_HINT} in it",
                backend="lancedb",
                operation="open_table",
            )
        return table

    def _noted(self, name: str) -> int:
        """Return the newest version of a table that a writer noted after its commit; 0 if none."""
        folder = self._settings.folder
        if folder is not None:
            # LanceDB writes it after the commit, if it can: it may be missing, old or half written.
            with suppress(OSError, ValueError, LookupError, TypeError):
                noted = json.loads((folder / f"{name}.lance" / "_versions" / _HINT).read_bytes())
                return int(noted["version"])
        return 0

    def close(self) -> None:
        """Forget the connection; nothing is held open."""
        self._connection = None


def _says(pattern: str) -> Callable[[Exception], bool]:
    """Return a test for failures: all that LanceDB tells of them is a text."""
    matching = re.compile(pattern)
    kinds = (RuntimeError, ValueError, OSError)
    return lambda error: isinstance(error, kinds) and matching.search(str(error)) is not None


ERRORS = ErrorTable(
    "lancedb",
    "LanceDB",
    [
        Cause(
            match=_says("[Qq]uery timeout|timed out|TimedOut|kind: Timeout"),
            kind=OperationTimeoutError,
            retryable=True,
            advice="Raise the setting timeout",
        ),
        Cause(
            match=_says("[Cc]onflict|[Cc]ontention|concurrent (writ|commit|trans)"), retryable=True
        ),
        Cause(
            match=_says("No space left|[Qq]uota|File too large"),
            advice="Make room; what was acknowledged is kept",
        ),
        Cause(
            match=_says(
                "AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|Unauthenticated|Forbidden|"
                "Unauthorized|PermissionDenied|lacked valid authentication|status: 40[13]"
            ),
            kind=AuthenticationError,
            advice="Check the setting storage_options",
        ),
        Cause(
            match=_says("NoSuchBucket|bucket does not exist"),
            kind=ConfigurationError,
            advice="Correct the setting uri, or make the bucket",
        ),
        Cause(
            match=_says("error sending request|Connect|ConnectionRefused|dns error|HttpError"),
            kind=ConnectionFailedError,
            retryable=True,
            advice="Is the object store running? Check uri and storage_options['endpoint']",
        ),
        Cause(
            match=_says("Permission denied|Read-only file system|Not a directory|File exists"),
            kind=ConfigurationError,
            advice="Give this user the rights to the folder, or correct the setting uri",
        ),
        Cause(
            match=_says(r"^Table '.*' was not found"),
            kind=IndexNotFoundError,
            advice="It was dropped",
        ),
        Cause(
            match=_says(
                r"sufficient data|too small|Invalid range|Not found: .*\.(lance|txn|manifest)|"
                "[Cc]orrupt|magic|failed to decode|[Pp]rotobuf"
            ),
            kind=CorruptStoreError,
            advice="Restore its folder from a copy",
        ),
        Cause(match=_says("^lance error|^Invalid input|LanceError|^Table ")),
    ],
    packages=["lancedb"],
)


def _after_fork() -> None:
    _state["forked"] = _state["used"]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
