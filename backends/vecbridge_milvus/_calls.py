"""How one collection is called: what passes by itself is tried again, what is unloaded loaded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from vecbridge import BackendError, ClosedError
from vecbridge_milvus._connection import Connection
from vecbridge_milvus._errors import BACKEND, NotLoadedError

if TYPE_CHECKING:
    from pymilvus import MilvusClient

_TOLD_S = 60.0
"""How long an index that is opened goes by the copies which one before it was told of."""


class Calls:
    """Calls of pymilvus on one collection.

    Args:
        connection: the store's connection.
        name: the collection's name.
        number: the server's, which another collection of the same name does not get.
        loading: how many copies of it are loaded, and where.
    """

    def __init__(
        self, connection: Connection, name: str, number: int, loading: Mapping[str, Any]
    ) -> None:
        self.connection = connection
        self._name = name
        self._number = number
        self._loading = loading
        self._closed = threading.Event()

    def load(self, operation: str = "load") -> None:
        """Brings the collection into the server's memory, where it is not yet.

        A load that takes longer than one call may is waited for, as a server that is away is.

        Args:
            operation: the contract's name of what waits for it.
        """
        timeout = self.connection.timeout

        def step(client: MilvusClient, _attempt: int) -> None:
            state = client.get_load_state(self._name, timeout=timeout)["state"]
            if state.name != "Loaded":
                self.connection.copies_told.pop(self._number, None)
                client.load_collection(self._name, timeout=timeout, **self._loading)

        self.connection.trying(operation, step)

    def copies(self, operation: str) -> int | None:
        """How many copies of the collection answer reads; ``None`` where nobody may tell.

        Args:
            operation: the contract's name of the read that depends on it.
        """
        told = self.connection.copies_told
        moment, count = told.get(self._number, (-_TOLD_S, None))
        if time.monotonic() - moment >= _TOLD_S:
            try:
                count = len(self.call(operation, "describe_replica"))
            except BackendError as error:
                # An account may read without being allowed to ask this.
                if error.retryable or isinstance(error, ClosedError):
                    raise
                count = None
            told[self._number] = time.monotonic(), count
        return count

    def call(self, operation: str, method: str, **arguments: Any) -> Any:
        """One method of the client, on this collection."""
        timeout = self.connection.timeout

        def step(client: MilvusClient, _attempt: int) -> Any:
            return getattr(client, method)(self._name, timeout=timeout, **arguments)

        return self.steps(operation, step)

    def steps(self, operation: str, step: Callable[[MilvusClient, int], Any]) -> Any:
        """Several calls that stand or fall together; tried again, they begin anew."""

        def opened(client: MilvusClient, attempt: int) -> Any:
            if self._closed.is_set():
                raise ClosedError(
                    f"index {self._name!r} was closed, so it cannot {operation}; open it again",
                    backend=BACKEND,
                    operation=operation,
                )
            return step(client, attempt)

        def mend(error: BackendError) -> None:
            # Servers and Lite forget what was loaded when they start again.
            if isinstance(error, NotLoadedError):
                self.load()

        return self.connection.trying(operation, opened, mend)

    def close(self) -> None:
        """Refuses every later call."""
        self._closed.set()
