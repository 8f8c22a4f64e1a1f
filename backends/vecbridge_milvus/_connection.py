"""A connection of one store's own: made on first use, and made again where it is lost."""

from __future__ import annotations

import os
import re
import sys
import threading
import uuid
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from vecbridge import (
    AuthenticationError,
    BackendError,
    ClosedError,
    ConfigurationError,
    ConnectionFailedError,
    MissingDependencyError,
    VecbridgeError,
)
from vecbridge.locks import reentrant_lock
from vecbridge_milvus import lite as milvus_lite
from vecbridge_milvus._diagnosis import cause
from vecbridge_milvus._errors import boundary, failure, quieten, quietly, translate, with_retries
from vecbridge_milvus._settings import MilvusSettings

if TYPE_CHECKING:
    from pymilvus import MilvusClient

T = TypeVar("T")
Step = Callable[["MilvusClient", int], T]
"""Makes calls of a client, given the number of the attempt, from 0."""

# After an outage, gRPC by itself would look for the server only every two minutes.
_CHANNEL = {
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1000,
    "grpc.use_local_subchannel_pool": 1,
}
_connections: weakref.WeakSet[Connection] = weakref.WeakSet()
_inherited: list[object] = []
_loading = reentrant_lock()


class Connection:
    """The connection that the indexes of one store share.

    Attributes:
        place: where the server is, without any credentials; or Milvus Lite's directory.
        timeout: seconds that one call may take.
    """

    def __init__(self, settings: MilvusSettings) -> None:
        self._settings = settings
        self.place = settings.place
        self.timeout = settings.call_timeout
        self._lock = reentrant_lock()
        self._client: MilvusClient | None = None
        self._version = ""
        self._endings: list[weakref.finalize[..., Any]] = []
        self._lite: milvus_lite.Lease | None = None
        self._release: weakref.finalize[..., Any] | None = None
        self._reached = False
        self._closed = False
        _connections.add(self)

    @property
    def version(self) -> str:
        """The live server's version; connects where that has not happened yet."""
        self.client("connect")
        return self._version

    @property
    def lite(self) -> bool:
        """Return whether this is Milvus Lite, read from the live connection.

        The server that is packaged for pip calls itself ``v2.3.5-lite``, and is a server.
        """
        is_path = self._settings.lite_path is not None
        return is_path or self.version.lower().startswith("milvus_lite")

    @property
    def shared(self) -> bool:
        """Return whether other processes see what this one writes."""
        self.client("connect")
        return self._lite is None or self._lite.shared

    @property
    def unmade(self) -> bool:
        """Return whether Milvus Lite's directory is still to be made, which connecting does.

        Raises:
            ConnectionFailedError: no directory can be there.
        """
        path = self._settings.lite_path
        with self._lock:
            if path is None or self._closed or self._lite is not None:
                return False
            _imported()
            return not milvus_lite.is_there(path)

    def client(self, operation: str) -> MilvusClient:
        """Return the live client.

        Raises:
            ClosedError: the store was closed.
            ConnectionFailedError: the server cannot be reached, or its certificate not trusted.
            AuthenticationError: it refuses the credentials.
            ConfigurationError: it has no such database.
        """
        with self._lock:
            if self._closed:
                raise self._was_closed(operation)
            self.confirm()
            if self._client is None:
                self._client = self._connected()
                self._reached = True
            return self._client

    def confirm(self) -> None:
        """Raise an error where Milvus Lite's directory is no longer at its path.

        What was written then went into the directory that was opened: it is not acknowledged as
        written to the one that the path names.
        """
        if self._lite is not None:
            self._lite.verify()

    def with_retries(
        self,
        operation: str,
        step: Step[T],
        on_retry: Callable[[BackendError], None] | None = None,
    ) -> T:
        """Do what may safely be done twice, again while the server is away or busy.

        The calls of a step stand or fall together; before the next attempt, the connection is made
        again where it was lost, and ``on_retry`` is called.
        """
        if not self._reached:
            # An address at which no server ever answered is more likely wrong.
            self.client(operation)
        client: MilvusClient | None = None

        def attempted(attempt: int) -> T:
            nonlocal client
            client = None
            try:
                client = self.client(operation)
                with boundary(operation):
                    answer = step(client, attempt)
                self.confirm()
            except BackendError as error:
                if self._closed and not isinstance(error, ClosedError):
                    raise self._was_closed(operation) from error
                raise
            return answer

        def prepared(error: BackendError) -> None:
            if isinstance(error, ConnectionFailedError) and client is not None:
                self._renew(client)
            if on_retry is not None:
                on_retry(error)

        seconds = self._settings.retry_timeout
        return with_retries(attempted, operation=operation, seconds=seconds, on_retry=prepared)

    def call(self, operation: str, method: str, *arguments: Any, **options: Any) -> Any:
        """Call one method of the client, as :meth:`with_retries` does."""
        return self.with_retries(
            operation,
            lambda client, _: getattr(client, method)(*arguments, timeout=self.timeout, **options),
        )

    def writing(self) -> AbstractContextManager[object]:
        """Return what a write holds while it lasts."""
        path = self._settings.lite_path
        return nullcontext() if path is None else milvus_lite.writing(path)

    def close(self) -> None:
        """Close the connection. May be called twice."""
        with self._lock:
            self._closed = True
            self._client = None
            try:
                self._end_clients()
            finally:
                # Lite's directory is unlocked however the client ended.
                self._leave_lite()

    def abandon(self) -> None:
        """Make a forked child connect for itself: what it inherits is its parent's, half dead."""
        # Kept, because its end would hang, or end the parent's.
        _inherited.append(self._client)
        self._client = None
        for ending in [*self._endings, *([self._release] if self._release else [])]:
            ending.detach()
        self._endings, self._release, self._lite = [], None, None

    def _renew(self, failed: MilvusClient) -> None:
        """Drop a client that failed, unless another thread has done so."""
        with self._lock:
            if self._client is failed:
                self._client = None
                self._end_clients()

    def _end_clients(self) -> None:
        endings, self._endings = self._endings, []
        for ending in endings:
            ending()

    def _connected(self) -> MilvusClient:
        """Return a new client; the process that serves Lite may be succeeded meanwhile."""
        is_path = self._settings.lite_path is not None
        return with_retries(
            lambda _: self._connect(),
            operation="connect",
            seconds=self._settings.retry_timeout if is_path else 0.0,
            on_retry=lambda _: self.confirm(),
        )

    def _connect(self) -> MilvusClient:
        pymilvus = _imported()
        self._check_files()
        self._join_lite()
        with quietly() as logged:
            try:
                client: MilvusClient = pymilvus.MilvusClient(**self._arguments())
            except Exception as error:
                raise self._failure(error, logged) from error
        self._endings.append(weakref.finalize(self, _end, client))
        try:
            with boundary("connect"):
                self._version = str(client.get_server_version(timeout=self.timeout))
                self._check_database(client)
        except BaseException:
            self._end_clients()
            raise
        return client

    def _join_lite(self) -> None:
        path = self._settings.lite_path
        if path is not None and self._lite is None:
            self._lite = milvus_lite.join(path, self.timeout)
            # A store that is forgotten unlocks the directory all the same.
            self._release = weakref.finalize(self, self._lite.forget)

    def _leave_lite(self) -> None:
        if self._release is not None and self._release.detach() and self._lite is not None:
            self._lite.leave()

    def _arguments(self) -> dict[str, Any]:
        settings = self._settings
        arguments: dict[str, Any] = {
            "uri": self._settings.place if self._lite is None else self._lite.address,
            "timeout": settings.timeout,
            "token": settings.plain_token,
            "db_name": settings.db_name or "",
            "grpc_options": dict(_CHANNEL),
            **settings.tls_files,
        }
        if settings.secure:
            arguments["secure"] = True
        if settings.server_name is not None:
            arguments["server_name"] = settings.server_name
        # pymilvus shares connections by a key that leaves out all that makes TLS safe.
        if find_spec("pymilvus.client.connection_manager") is not None:
            arguments["dedicated"] = True
        else:
            arguments["alias"] = uuid.uuid4().hex
        return arguments

    def _check_files(self) -> None:
        for name, path in self._settings.tls_files.items():
            if not Path(path).is_file():
                raise ConfigurationError(f"{name}: there is no file {path}")

    def _check_database(self, client: MilvusClient) -> None:
        """Refuse a database that does not exist now, not at some later call."""
        name = self._settings.db_name
        if name and self._settings.lite_path is None:
            # An account that may not list them still finds out at its first call.
            with suppress(AuthenticationError), boundary("connect"):
                client.list_collections(timeout=self.timeout)

    def _failure(self, error: Exception, logged: list[BaseException]) -> VecbridgeError:
        if self._lite is None:
            # pymilvus before 2.6 asks for the database itself.
            ours = translate(error, "connect")
            return ours if isinstance(ours, ConfigurationError) else cause(self._settings, error)
        return self._lite.silent(str(logged[-1]) if logged else str(error))

    def _was_closed(self, operation: str) -> ClosedError:
        text = (
            f"the store was closed, so it cannot {operation}; get another one from "
            f"vecbridge.get_backend('milvus', ...)"
        )
        return failure(ClosedError, operation, text)


def _imported() -> ModuleType:
    """Return the package ``pymilvus``, imported on first use."""
    with _loading:
        try:
            import pymilvus
        except ModuleNotFoundError as error:
            if error.name != "pymilvus":
                raise
            raise MissingDependencyError(
                "the milvus backend needs pymilvus, which is not installed: "
                "pip install 'vecbridge[milvus]'"
            ) from error
        quieten()
        package: ModuleType = pymilvus
    return package


def _end(client: MilvusClient) -> None:
    with quietly():
        client.close()


def _forget_inherited() -> None:
    """Make pymilvus start without connections in a forked child.

    Its registry may have been locked, for good, by a thread that only the parent has.
    """
    manager = sys.modules.get("pymilvus.client.connection_manager")
    if manager is not None and hasattr(manager.ConnectionManager, "_instance"):
        manager.ConnectionManager._instance = None  # noqa: SLF001 - nothing public does it
        manager.ConnectionManager._instance_lock = threading.Lock()  # noqa: SLF001


def _after_fork() -> None:
    _forget_inherited()
    for connection in list(_connections):
        connection.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def release_of(version: str) -> tuple[int, ...] | None:
    """Return the numbers of what a server calls itself; ``None`` where it has none."""
    found = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", version)
    return None if found is None else tuple(int(each) for each in found.groups() if each)
