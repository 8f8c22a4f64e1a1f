"""The boundary to qdrant-client: a server, or the embedded engine, and what their errors mean."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
from qdrant_client import QdrantClient
from qdrant_client.http.exceptions import ResponseHandlingException

from vecbridge import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailedError,
    CorruptStoreError,
    IndexNotFoundError,
    OperationTimeoutError,
)
from vecbridge.locks import reentrant_lock
from vecbridge.remote import Cause, ErrorTable, TooLargeError
from vecbridge_qdrant._settings import QdrantSettings

_CATALOGUE = "meta.json"
_EMBEDDED_VERSION = version("qdrant-client")


@dataclass
class Session:
    """A client, and what this process knows of the collections behind it.

    Attributes:
        client: of the store; calls of the embedded engine are made one at a time.
        version: of the server, or of the embedded engine.
        embedded: it is the embedded engine.
        norms: of the embedded engine, which no other process writes to: what the norms of a
            collection's records lie between.
        lock: held while ``norms`` are found and changed.
        users: how many stores of this process share it.
    """

    client: QdrantClient
    version: str
    embedded: bool = False
    norms: dict[str, tuple[float, float]] = field(default_factory=dict)
    lock: Any = field(default_factory=reentrant_lock)
    users: int = 1

    def close(self) -> None:
        """End the client, if no other store of this process shares it."""
        with _opening:
            self.users -= 1
            if not self.users:
                _open.pop(next((key for key, one in _open.items() if one is self), ("", 0)), None)
                self.client.close()


class _OneAtATime:
    """The embedded client: not for several threads at once by itself."""

    def __init__(self, client: QdrantClient, lock: Any) -> None:
        self._client = client
        self._lock = lock

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*args: Any, **options: Any) -> Any:
            # Norms beyond float32 overflow in it, and such records are not its to judge.
            with self._lock, np.errstate(all="ignore"):
                return method(*args, **options)

        return call


_open: dict[tuple[str, int], Session] = {}
_opening = threading.Lock()


def connected(settings: QdrantSettings) -> Session:
    """Return a client that has reached its server, or that has its folder."""
    if settings.path is not None:
        return _embedded(Path(settings.path))
    key = settings.api_key
    client = QdrantClient(
        url=settings.place,
        api_key=key.get_secret_value() if key else None,
        grpc_port=settings.grpc_port,
        prefer_grpc=settings.prefer_grpc,
        timeout=cast(int, settings.timeout),
        check_compatibility=False,
    )
    try:
        server = client.info().version
    except BaseException as error:
        client.close()
        if getattr(error, "status_code", 0) == HTTPStatus.NOT_FOUND:
            raise ConfigurationError(f"no Qdrant answers at {settings.place}") from None
        raise
    return Session(client, server)


def _embedded(path: Path) -> Session:
    """Return the client of a folder, which all stores of this process share."""
    place = str(path.expanduser().resolve())
    with _opening:
        # A forked child has the parent's entries, and may not use them.
        session = _open.get((place, os.getpid()))
        if session is not None:
            session.users += 1
            return session
        try:
            _refuse_others(Path(place))
            client = QdrantClient(path=place, force_disable_check_same_thread=True)
        except (RuntimeError, OSError, CorruptStoreError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a torn file makes of its readers
            raise _torn(place, f"{type(error).__name__}: {error}") from None
        lock = reentrant_lock()
        shared = cast(QdrantClient, _OneAtATime(client, lock))
        session = Session(shared, _EMBEDDED_VERSION, embedded=True, lock=lock)
        _open[place, os.getpid()] = session
        return session


def _refuse_others(path: Path) -> None:
    """Refuse what the engine would take for an empty store, and write to."""
    if not path.is_dir() or not any(path.iterdir()):
        return
    if not (path / _CATALOGUE).is_file():
        raise _torn(str(path), f"it is no folder of Qdrant's: it has no {_CATALOGUE}")
    for name in json.loads((path / _CATALOGUE).read_text(encoding="utf-8"))["collections"]:
        records = path / "collection" / name / "storage.sqlite"
        if not records.is_file():
            raise _torn(str(path), f"the records of collection {name!r} are missing")
        if not records.stat().st_size:
            raise _torn(str(path), f"the file of the records of collection {name!r} is empty")
        with closing(sqlite3.connect(f"{records.as_uri()}?mode=rw", uri=True)) as database:
            # The engine reads what is left of a torn file, and says nothing.
            (found,) = database.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok":
            raise _torn(str(path), f"{records.name} of collection {name!r}: {found}")


def _torn(path: str, problem: str) -> CorruptStoreError:
    return CorruptStoreError(
        f"the folder {path} cannot be read: {problem}", backend="qdrant", operation="connect"
    )


def _caused_by(*names: str) -> Callable[[Exception], bool]:
    """Return a test for what a client of HTTP raised, by the names of its classes."""
    return lambda error: (
        isinstance(error, ResponseHandlingException)
        and any(each.__name__ in names for each in type(error.source).__mro__)
    )


def _says(kind: type[Exception], text: str) -> Callable[[Exception], bool]:
    return lambda error: isinstance(error, kind) and text in str(error)


def _grpc(*names: str) -> Callable[[Exception], bool]:
    """Return a test for what gRPC raised, by the names of its codes."""
    return lambda error: (
        type(error).__module__.startswith("grpc") and cast(Any, error).code().name in names
    )


_KEY = "Check the setting api_key, and what it may do"
_LATE = "It may be overloaded or frozen; try again, or raise the setting timeout"
_DOWN = "Is the server running?"
_GONE = "It was dropped"

ERRORS = ErrorTable(
    "qdrant",
    "Qdrant",
    [
        Cause(match="401|403", kind=AuthenticationError, advice=_KEY),
        Cause(match="404", kind=IndexNotFoundError, advice=_GONE),
        Cause(match="408|504", kind=OperationTimeoutError, retryable=True, advice=_LATE),
        Cause(match="413", kind=TooLargeError),
        Cause(match="429", retryable=True),
        Cause(match="502|503", kind=ConnectionFailedError, retryable=True, advice=_DOWN),
        Cause(match="."),
        Cause(
            match=_grpc("UNAUTHENTICATED", "PERMISSION_DENIED"),
            kind=AuthenticationError,
            advice=_KEY,
        ),
        Cause(match=_grpc("NOT_FOUND"), kind=IndexNotFoundError, advice=_GONE),
        Cause(
            match=_grpc("DEADLINE_EXCEEDED"),
            kind=OperationTimeoutError,
            retryable=True,
            advice=_LATE,
        ),
        Cause(
            match=_grpc("UNAVAILABLE"),
            kind=ConnectionFailedError,
            retryable=True,
            advice=_DOWN,
        ),
        Cause(
            match=_caused_by("ReadTimeout", "WriteTimeout"),
            kind=OperationTimeoutError,
            retryable=True,
            advice=_LATE,
        ),
        Cause(
            match=_caused_by("TransportError"),
            kind=ConnectionFailedError,
            retryable=True,
            advice=_DOWN,
        ),
        Cause(
            match=_says(RuntimeError, "is already accessed"),
            kind=ConnectionFailedError,
            advice="Another process has the folder: end it, or run a server and name its url",
        ),
        Cause(
            match=_says(ValueError, "not found"), kind=IndexNotFoundError, advice="It was dropped"
        ),
        Cause(match=sqlite3.OperationalError),
        Cause(match=sqlite3.DatabaseError, kind=CorruptStoreError),
        Cause(match=OSError, kind=ConfigurationError, advice="Correct the setting path"),
    ],
    packages=["qdrant_client", "grpc", "httpx"],
    code="status_code",
)
