"""Work in threads of its own, each of whose matrix products has one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vecbridge.locks import reentrant_lock

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from threadpoolctl import threadpool_limits

WORKERS = min(8, os.cpu_count() or 1)


@contextmanager
def workers() -> Iterator[ThreadPoolExecutor]:
    """Lend threads, as many as there are cores; each of their matrix products has one."""
    from concurrent.futures import ThreadPoolExecutor

    with single_products(), ThreadPoolExecutor(WORKERS) as pool:
        yield pool


class _Limit:
    """One thread per product, for as long as there is a user.

    The number of threads is the whole process's. The first sets it and the last gives it back:
    one that ends late would otherwise give back what another had set.
    """

    def __init__(self) -> None:
        self._lock = reentrant_lock()
        # Each by the process that it belongs to: a child has none of its parent's other threads.
        self._users: dict[object, int] = {}
        self._limits: threadpool_limits | None = None

    def enter(self, user: object) -> None:
        """Set the number, unless another user has."""
        from threadpoolctl import threadpool_limits

        with self._lock:
            if self._limits is None:
                self._limits = threadpool_limits(1, user_api="blas")
            self._users[user] = os.getpid()

    def leave(self, user: object) -> None:
        """Give back what was there, unless another user still needs the limit."""
        with self._lock:
            self._users.pop(user, None)
            if os.getpid() not in self._users.values() and self._limits is not None:
                self._limits.restore_original_limits()
                self._limits = None


_LIMIT = _Limit()


@contextmanager
def single_products() -> Iterator[None]:
    """Give each matrix product one thread, inside of work that has threads of its own.

    Products that share threads wait for each other.
    """
    user = object()
    try:
        _LIMIT.enter(user)
        yield
    finally:
        _LIMIT.leave(user)
