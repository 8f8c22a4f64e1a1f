"""The boundary to chromadb: clients with deadlines, and what their errors mean."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import chromadb
import httpx
from chromadb.api import ServerAPI
from chromadb.api.shared_system_client import SharedSystemClient
from chromadb.config import Settings, System
from chromadb.errors import (
    AuthorizationError,
    ChromaAuthError,
    InternalError,
    NotFoundError,
    RateLimitError,
)

from vecbridge import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailedError,
    CorruptStoreError,
    IndexNotFoundError,
    OperationTimeoutError,
)
from vecbridge.locks import reentrant_lock
from vecbridge.remote import Cause, ErrorTable, ProcessLock
from vecbridge_chroma._settings import ChromaSettings

_FILE = "chroma.sqlite3"
_LOCK = "vecbridge.lock"
_SEGMENT = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PORT = 8000
_inherited: list[object] = []


class Session:
    """A client of Chroma's own interface, below its collections.

    A store in a folder is opened when it is there, or when it is first written.

    Args:
        settings: where Chroma is.
    """

    def __init__(self, settings: ChromaSettings) -> None:
        self._settings = settings
        self._opening = reentrant_lock()
        self._ends: list[Callable[[], None]] = []
        self._api: Any = None
        if settings.path is None:
            try:
                self._connect()
            except BaseException:
                self.close()
                raise
        elif self.is_there():
            self._open()

    @property
    def api(self) -> ServerAPI:
        """Chroma's interface; a folder that is not there is made."""
        with self._opening:
            if self._api is None:
                self.is_there()
                self._open()
            return cast(ServerAPI, self._api)

    def is_there(self) -> bool:
        """Return whether there is a store at all."""
        path = self._settings.path
        if path is None or self._api is not None:
            return True
        return _is_store(Path(path))

    def close(self) -> None:
        """End it. May be called twice."""
        while self._ends:
            self._ends.pop()()

    def _connect(self) -> None:
        settings, root = self._settings, self._settings.ssl_root_cert
        token = settings.token.get_secret_value() if settings.token else None
        headers = {"x-chroma-token": token} if token else {}
        if token and settings.token_scheme == "bearer":  # noqa: S105 - no token
            headers = {"Authorization": f"Bearer {token}"}
        system: Any = System(
            _settings(
                chroma_api_impl="chromadb.api.fastapi.FastAPI",
                chroma_server_host=settings.place,
                chroma_server_http_port=_PORT,
                chroma_server_ssl_enabled=settings.place.startswith("https:"),
                chroma_server_ssl_verify=None if root is None else str(root),
                chroma_server_headers=headers,
            )
        )
        self._api = system.instance(ServerAPI)
        # What chromadb offers has no limit of time.
        client = self._api._session  # noqa: SLF001
        client.timeout = httpx.Timeout(settings.timeout)
        self._ends.append(client.close)
        system.start()
        self._api.get_database(settings.database, settings.tenant)

    def _open(self) -> None:
        settings, folder = self._settings, Path(str(self._settings.path))
        folder.mkdir(parents=True, exist_ok=True)
        lock = ProcessLock(folder / _LOCK)
        if not lock.acquire():
            raise ConfigurationError(
                f"another process has the Chroma store {folder} open, and Chroma would show each "
                f"of them old answers; close it there, or let a server serve it: chroma run "
                f"--path {folder}, and give its uri here"
            )
        try:
            client: Any = chromadb.PersistentClient(
                folder, _settings(), settings.tenant, settings.database
            )
        except BaseException:
            lock.release()
            # Otherwise chromadb lends what did not start to the next one that asks.
            if str(folder) not in SharedSystemClient._identifier_to_refcount:  # noqa: SLF001
                SharedSystemClient._identifier_to_system.pop(str(folder), None)  # noqa: SLF001
            raise
        self._ends += [lock.release, client.close]
        self._api = client._server  # noqa: SLF001


def _is_store(folder: Path) -> bool:
    """Return whether a folder is a store; of what is left of one, nothing is made.

    Raises:
        ConfigurationError: it is a file.
        CorruptStoreError: it was a store, and its records are gone.
    """
    if not folder.exists():
        return False
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is a file; the setting path names a folder")
    file = folder / _FILE
    if file.exists() and file.stat().st_size:
        return True
    if file.exists() or any(_SEGMENT.fullmatch(each.name) for each in folder.iterdir()):
        raise CorruptStoreError(
            f"the Chroma store {folder} cannot be read: its file {_FILE} is empty or missing; "
            f"restore it from a backup",
            backend="chroma",
            operation="connect",
        )
    return False


def _settings(**given: Any) -> Settings:
    """Return settings of chromadb's that no file in the working directory adds to."""
    return Settings(**{"_env_file": None, "anonymized_telemetry": False, **given})


def _says(*texts: str) -> Callable[[Exception], bool]:
    """Return a test for failures that only their text tells apart."""
    return lambda error: any(text in str(error) for text in texts)


ERRORS = ErrorTable(
    "chroma",
    "Chroma",
    [
        Cause(
            match=httpx.TimeoutException,
            kind=OperationTimeoutError,
            retryable=True,
            advice="It may be overloaded or frozen; try again, or raise the setting timeout",
        ),
        Cause(
            match=httpx.TransportError,
            kind=ConnectionFailedError,
            retryable=True,
            advice="Is the server running?",
        ),
        Cause(
            match=(ChromaAuthError, AuthorizationError),
            kind=AuthenticationError,
            advice="Check the settings token and token_scheme",
        ),
        Cause(match=RateLimitError, retryable=True),
        Cause(
            match=_says("Tenant [", "Database ["),
            kind=ConfigurationError,
            advice="Correct the settings tenant and database",
        ),
        Cause(match=NotFoundError, kind=IndexNotFoundError, advice="It was dropped"),
        Cause(match=_says("file is not a database", "malformed"), kind=CorruptStoreError),
        # A read met a write: what it found is not in the graph any more, or not yet.
        Cause(match=_says("Error finding id", "Nothing found on disk"), retryable=True),
        Cause(match=InternalError),
        Cause(match=OSError, kind=ConfigurationError, advice="Correct the setting path"),
        # chromadb raises the plain class where a server, or what stands before it, says no more.
        Cause(match=lambda error: type(error) is Exception),
    ],
    packages=["chromadb", "chromadb_rust_bindings", "httpx"],
)


def _after_fork() -> None:
    # chromadb would lend a child the engines of its parent, whose threads are not in the child.
    _inherited.append(SharedSystemClient._identifier_to_system)  # noqa: SLF001
    SharedSystemClient.clear_system_cache()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
