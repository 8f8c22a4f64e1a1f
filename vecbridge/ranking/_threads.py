"""Matrix products of one thread each, for work that has threads of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vecbridge.locks import ForkSafeLock

if TYPE_CHECKING:
    from threadpoolctl import threadpool_limits


class _Limit:
    """One thread a product, for as long as anyone asks for it.

    The number of threads is the whole process's. The first sets it and the last gives it back:
    one that ends late would otherwise give back what another had set.
    """

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        self._users = 0
        self._limits: threadpool_limits | None = None

    def enter(self) -> None:
        """Sets the number, unless somebody has."""
        from threadpoolctl import threadpool_limits

        with self._lock:
            if not self._users:
                self._limits = threadpool_limits(1, user_api="blas")
            self._users += 1

    def leave(self) -> None:
        """Gives back what was there, unless somebody still needs the limit."""
        with self._lock:
            self._users -= 1
            if not self._users and self._limits is not None:
                self._limits.restore_original_limits()
                self._limits = None


_LIMIT = _Limit()


@contextmanager
def single_products() -> Iterator[None]:
    """Products that share threads wait for each other while others pick: each has its own."""
    _LIMIT.enter()
    try:
        yield
    finally:
        _LIMIT.leave()
