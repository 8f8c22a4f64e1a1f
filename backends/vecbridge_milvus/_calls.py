"""How one collection is called: what passes by itself is tried again, what is unloaded loaded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from vecbridge import BackendError, ClosedError
from vecbridge_milvus._connection import Connection
from vecbridge_milvus._errors import BACKEND, NotLoadedError, boundary

if TYPE_CHECKING:
    from pymilvus import MilvusClient


class Calls:
    """Calls of pymilvus on one collection.

    Args:
        connection: the store's connection.
        name: the collection's name.
        loading: how many copies of it are loaded, and where.
    """

    def __init__(self, connection: Connection, name: str, loading: Mapping[str, Any]) -> None:
        self.connection = connection
        self._name = name
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
                client.load_collection(self._name, timeout=timeout, **self._loading)

        self.connection.trying(operation, step)

    def copies(self) -> int | None:
        """How many copies of the collection answer reads; ``None`` where nobody may tell."""
        client = self.connection.client("load")
        try:
            with boundary("load"):
                return len(client.describe_replica(self._name, timeout=self.connection.timeout))
        except Exception:  # noqa: BLE001  (an account may read without being allowed to ask this)
            return None

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
