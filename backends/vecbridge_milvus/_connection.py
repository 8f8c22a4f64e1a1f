"""A connection of one store's own: made on first use, shared with nobody."""

from __future__ import annotations

import socket
import threading
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from vecbridge import ClosedError, ConfigurationError, ConnectionFailedError
from vecbridge_milvus import _lite
from vecbridge_milvus._errors import BACKEND, boundary
from vecbridge_milvus._pymilvus import load, quietly
from vecbridge_milvus._settings import MilvusSettings

if TYPE_CHECKING:
    from pymilvus import MilvusClient

_PROBE_SECONDS = 2.0


class Connection:
    """What the indexes of one store share.

    Args:
        settings: where the server is, and who asks.
    """

    def __init__(self, settings: MilvusSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._client: MilvusClient | None = None
        self._version = ""
        self._release: Callable[[], Any] | None = None
        self._closed = False

    @property
    def timeout(self) -> float:
        """Seconds that one call may take."""
        return self._settings.timeout

    @property
    def version(self) -> str:
        """What the live server calls itself; connects where that has not happened yet."""
        self.client("connect")
        return self._version

    @property
    def place(self) -> str:
        """Where the server is, without any credentials."""
        path = self._settings.lite_path
        if path is not None:
            return str(path)
        parts = urlsplit(self._settings.uri)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname}{port}" if parts.hostname else self._settings.uri

    @property
    def account(self) -> str | None:
        """Name of the account that is asked for; ``None`` where none is, or a key stands for it."""
        name, colon, _ = self._settings.plain_token.partition(":")
        return name if colon else None

    @property
    def database(self) -> str:
        """The server's database."""
        return self._settings.db_name or "default"

    @property
    def lite(self) -> bool:
        """Whether this is Milvus Lite, read from the live connection.

        The server that is packaged for pip calls itself ``v2.3.5-lite``, and is a server.
        """
        self.client("connect")
        is_path = self._settings.lite_path is not None
        return is_path or self._version.lower().startswith("milvus_lite")

    def client(self, operation: str) -> MilvusClient:
        """The live client.

        Raises:
            ClosedError: the store was closed.
            ConnectionFailedError: the server cannot be reached, or refuses.
        """
        with self._lock:
            if self._closed:
                raise ClosedError(
                    f"the store was closed, so it cannot {operation}; get another one from "
                    f"vecbridge.get_backend('milvus', ...)",
                    backend=BACKEND,
                    operation=operation,
                )
            if self._client is None:
                self._client = self._connect()
            return self._client

    def writing(self) -> AbstractContextManager[object]:
        """What a write holds while it lasts."""
        path = self._settings.lite_path
        return nullcontext() if path is None else _lite.writing(path)

    def close(self) -> None:
        """Closes the connection. May be called twice."""
        with self._lock:
            self._closed = True
            client, self._client = self._client, None
            try:
                if client is not None:
                    with quietly():
                        client.close()
            finally:
                # Lite's directory is unlocked however the client ended.
                if self._release is not None:
                    self._release()

    def _connect(self) -> MilvusClient:
        pymilvus = load()
        path = self._settings.lite_path
        self._check_files()
        if path is not None:
            _lite.check(path)
        with quietly() as causes:
            try:
                client: MilvusClient = pymilvus.MilvusClient(**self._arguments())
            except Exception as error:
                raise self._failure(error, causes) from error
            if path is not None:
                _lite.hold(path)
                # A store that is forgotten unlocks the directory all the same.
                self._release = weakref.finalize(self, _lite.let_go, path)
        with boundary("connect"):
            self._version = _version_of(client)
        return client

    def _arguments(self) -> dict[str, Any]:
        settings = self._settings
        path = settings.lite_path
        arguments: dict[str, Any] = {
            "uri": settings.uri if path is None else str(path),
            "timeout": settings.timeout,
            "token": settings.plain_token,
            "db_name": settings.db_name or "",
            **settings.tls_files,
        }
        if settings.secure:
            arguments["secure"] = True
        if settings.server_name is not None:
            arguments["server_name"] = settings.server_name
        # Where connections are pooled, the pool's key leaves out all that makes TLS safe.
        if find_spec("pymilvus.client.connection_manager") is not None:
            arguments["dedicated"] = True
        return arguments

    def _check_files(self) -> None:
        for name, path in self._settings.tls_files.items():
            if not Path(path).is_file():
                raise ConfigurationError(f"{name}: there is no file {path}")

    def _failure(self, error: Exception, causes: list[BaseException]) -> ConnectionFailedError:
        if self._settings.lite_path is not None:
            reason = str(causes[-1]) if causes else str(error)
            return _lite.failed(
                f"{self._settings.lite_path}: {reason}. Milvus Lite admits one process at a time: "
                f"close the store in the other one, or run a Milvus server and give its address"
            )
        parts = urlsplit(self._settings.uri)
        place = f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
        if _answers(parts.hostname, parts.port):
            text = (
                f"something answers at {place}, but refuses to talk: wrong or missing credentials "
                f"(user and password, or token), a wrong TLS setting or certificate, or no Milvus"
            )
        else:
            text = (
                f"nobody answers at {place}. Start a Milvus server there, correct the uri, or use "
                f"the embedded one: uri='vectors.db'"
            )
        return ConnectionFailedError(text, backend=BACKEND, operation="connect", retryable=True)


def _version_of(client: MilvusClient) -> str:
    return str(client.get_server_version())


def _answers(host: str | None, port: int | None) -> bool:
    try:
        with socket.create_connection((host or "localhost", port or 19530), _PROBE_SECONDS):
            return True
    except OSError:
        return False
