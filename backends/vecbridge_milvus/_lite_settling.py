"""Rows that Milvus Lite has not put away yet, which it looks through one by one in Python."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any

_MANY_ROWS = 1000
_MOST_ROWS = 20_000
_Name = tuple[str, str]


class Settling:
    """Puts rows away before a call that would look through many of them.

    A search of what is not put away takes some ten times as long. Only the process that serves
    knows what all the others wrote, and what its predecessor left to be read from the log.
    Who succeeds it reads that log first, so that writes too put rows away, now and then.

    Args:
        flush: puts away the rows of the collection that a request names.
    """

    def __init__(self, flush: Callable[[Any, Any], object]) -> None:
        self._flush = flush
        self._lock = threading.Lock()
        # Nobody knows what a collection has in its log when it is first seen.
        self._rows: defaultdict[_Name, int] = defaultdict(lambda: _MANY_ROWS)

    def is_due(self, method: str, request: Any) -> bool:
        """Whether more rows are not put away than there should be when a call is made."""
        limit = _limit(method, request)
        if limit is None:
            return False
        with self._lock:
            return self._rows[_name(request)] >= limit

    def settle(self, method: str, request: Any, context: Any) -> None:
        """Puts rows away, unless another call has just done so. Needs a writer's turn."""
        if self.is_due(method, request):
            self._flush(request, context)
            with self._lock:
                self._rows[_name(request)] = 0

    def note(self, method: str, request: Any) -> None:
        """Counts what a call wrote."""
        if method in {"Insert", "Upsert"}:
            with self._lock:
                self._rows[_name(request)] += request.num_rows


def _limit(method: str, request: Any) -> int | None:
    if method in {"Insert", "Upsert"}:
        return _MOST_ROWS
    if method in {"Search", "HybridSearch"}:
        return _MANY_ROWS
    # Rows that are asked for by key are found at once wherever they are.
    return _MANY_ROWS if method == "Query" and " in [" not in request.expr else None


def _name(request: Any) -> _Name:
    return request.db_name, request.collection_name
