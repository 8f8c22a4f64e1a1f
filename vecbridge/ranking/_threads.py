"""Matrix products of one thread each, for work that has threads of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vecbridge.locks import reentrant_lock

if TYPE_CHECKING:
    from threadpoolctl import threadpool_limits


class _Limit:
    """One thread a product, for as long as anyone asks for it.

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
    """Products that share threads wait for each other while others pick: each has its own."""
    user = object()
    try:
        _LIMIT.enter(user)
        yield
    finally:
        _LIMIT.leave(user)
