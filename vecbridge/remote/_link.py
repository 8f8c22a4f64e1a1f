"""The connections of one store: made on first use, shared or lent, and made again where lost."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Generic, Protocol, TypeVar

from vecbridge._errors import (
    BackendError,
    ClosedError,
    ConnectionFailedError,
    OperationTimeoutError,
    VecbridgeError,
)
from vecbridge.locks import reentrant_lock
from vecbridge.remote._failures import ErrorTable, retrying, without_attributes

ClientT = TypeVar("ClientT")
T = TypeVar("T")

_links: weakref.WeakSet[Link[Any]] = weakref.WeakSet()
_inherited: list[object] = []


class Connector(Protocol[ClientT]):
    """How clients of a store are made and ended."""

    def connect(self) -> ClientT:
        """Return a new client that has reached the store, within the timeout of the settings."""
        ...

    def disconnect(self, client: ClientT) -> None:
        """End a client. May be called twice."""
        ...

    def is_usable(self, client: ClientT) -> bool:
        """Return whether a client may be lent again: it is connected, and idle."""
        ...


class Link(Generic[ClientT]):
    """The connections that the indexes of one store share.

    A call gets a client for as long as it lasts: one that nothing else uses, or the one that all
    threads use. A client that failed is ended, and the next call connects again. A forked child
    connects for itself.

    Args:
        connector: how clients are made.
        errors: what their failures mean.
        place: where the store is, without any credentials.
        timeout: seconds that a call may wait for a free client.
        retry_timeout: seconds that a call goes on trying while its failures pass by themselves.
        clients: how many clients there may be; ``None`` for one that threads may share.
        secrets: what no message may show.

    Attributes:
        place: where the store is, without any credentials.
        backend: name of the backend.
    """

    def __init__(
        self,
        connector: Connector[ClientT],
        errors: ErrorTable,
        *,
        place: str,
        timeout: float,
        retry_timeout: float,
        clients: int | None = None,
        secrets: Iterable[object] = (),
    ) -> None:
        self.place = place
        self.backend = errors.backend
        self._connector = connector
        self._errors = errors
        self._timeout = timeout
        self._retry_timeout = retry_timeout
        self._size = clients
        self._secrets = tuple(secrets)
        self._log = logging.getLogger(f"vecbridge.{errors.backend}")
        self._reached = False
        self._closed = False
        self._reset()
        _links.add(self)

    def run(
        self,
        operation: str,
        work: Callable[[ClientT], T],
        *,
        passes: Callable[[BackendError], bool] | None = None,
    ) -> T:
        """Do some work with a client: again, with another one, where it fails for a while.

        Args:
            operation: the contract's name of what is being done.
            work: what to do; it may safely be done twice.
            passes: tells which failures are tried again, as :func:`retrying` takes it.

        Raises:
            ClosedError: the store was closed.
            ConnectionFailedError: it cannot be reached.
            BackendError: what else the table of errors says.
        """

        def attempt(_: int) -> T:
            with self._leased(operation) as client:
                return self._translated(operation, lambda: work(client))

        # An address at which nothing ever answered is more likely wrong.
        seconds = self._retry_timeout if self._reached else 0.0
        return retrying(attempt, operation=operation, seconds=seconds, log=self._log, passes=passes)

    def close(self) -> None:
        """End every client. May be called twice."""
        with self._free:
            self._closed = True
            idle, self._idle[:] = list(self._idle), []
            self._free.notify_all()
        for client in idle:
            self._end(client)

    def abandon(self) -> None:
        """Make a forked child connect for itself: what it inherits is its parent's."""
        # Kept, because its end would end the parent's.
        _inherited.extend(self._idle)
        self._finalizer.detach()
        self._reset()

    def _translated(self, operation: str, call: Callable[[], T]) -> T:
        """Make calls of a client; what they raise becomes an error of the contract."""
        try:
            return call()
        except VecbridgeError:
            raise
        except Exception as error:
            found = self._errors.translate(
                error, operation, place=self.place, secrets=self._secrets
            )
            if found is None:
                raise
            cause = without_attributes(error, self._secrets)
        # Outside of the handler: what the client raised is not even the context.
        raise (self._was_closed(operation) if self._closed else found) from cause

    def _reset(self) -> None:
        self._free = threading.Condition(reentrant_lock())
        self._idle: list[ClientT] = []
        self._lent = 0
        self._process = os.getpid()
        # A store that is forgotten ends its clients all the same.
        self._finalizer = weakref.finalize(self, _end_all, self._idle, self._connector.disconnect)

    @contextmanager
    def _leased(self, operation: str) -> Iterator[ClientT]:
        """Lend a client; one that work broke off, or that failed, is not lent again."""
        process = self._process
        client = self._taken(operation)
        whole = False
        try:
            if client is None:
                client = self._connected()
            yield client
            whole = True
        except Exception as error:
            whole = not isinstance(error, ConnectionFailedError)
            raise
        finally:
            # A call that forked comes to its end in the child, too.
            if process == os.getpid():
                self._give_back(client, whole=whole)

    def _taken(self, operation: str) -> ClientT | None:
        """Return a client that is idle; ``None`` where one is to be made."""
        deadline = time.monotonic() + self._timeout
        with self._free:
            while True:
                if self._closed:
                    raise self._was_closed(operation)
                if self._idle:
                    client = self._idle[-1] if self._size is None else self._idle.pop()
                    self._lent += 1
                    return client
                if self._size is None or self._lent < self._size:
                    self._lent += 1
                    return None
                if not self._free.wait(deadline - time.monotonic()):
                    raise OperationTimeoutError(
                        f"all {self._size} connections to {self._errors.store} were busy for "
                        f"{self._timeout:g} s, so it could not {operation}; raise the setting "
                        f"pool_size, or use fewer threads",
                        backend=self._errors.backend,
                        operation=operation,
                        retryable=True,
                    )

    def _connected(self) -> ClientT:
        client = self._translated("connect", self._connector.connect)
        self._reached = True
        if self._size is not None:
            return client
        with self._free:
            if self._closed:
                shared = None
            elif self._idle:
                # Another thread was faster.
                shared = self._idle[-1]
            else:
                self._idle.append(client)
                return client
        self._end(client)
        if shared is None:
            raise self._was_closed("connect")
        return shared

    def _give_back(self, client: ClientT | None, *, whole: bool) -> None:
        ended = [] if client is None else [client]
        with self._free:
            self._lent -= 1
            if self._size is None:
                if whole or client not in self._idle:
                    ended = []
                else:
                    self._idle.remove(client)
            elif client is not None and whole and not self._closed and self._is_usable(client):
                self._idle.append(client)
                ended = []
            elif client is not None and not whole:
                # What ended one connection, a restart or a network, has most likely ended all.
                ended += self._idle
                self._idle.clear()
            self._free.notify()
        for each in ended:
            self._end(each)

    def _is_usable(self, client: ClientT) -> bool:
        with suppress(Exception):
            return self._connector.is_usable(client)
        return False

    def _end(self, client: ClientT) -> None:
        # The client is not used again, so its failure to end changes nothing.
        with suppress(Exception):
            self._connector.disconnect(client)

    def _was_closed(self, operation: str) -> ClosedError:
        return ClosedError(
            f"the store was closed, so it cannot {operation}; get another one from "
            f"vecbridge.get_backend({self._errors.backend!r}, ...)",
            backend=self._errors.backend,
            operation=operation,
        )


def _end_all(clients: list[Any], disconnect: Callable[[Any], None]) -> None:
    while clients:
        with suppress(Exception):
            disconnect(clients.pop())


def _after_fork() -> None:
    for link in list(_links):
        link.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
