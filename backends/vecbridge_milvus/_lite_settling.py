"""Rows that Milvus Lite has not put away yet, which it looks through one by one in Python."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from vecbridge.locks import reentrant_lock

_MANY_ROWS = 1000
_MOST_ROWS = 20_000
_PAUSE_S = 10.0
"""How long nothing is put away after that has failed, as it does on a full disk."""
_Name = tuple[str, str]
_log = logging.getLogger("vecbridge.milvus")


class Settling:
    """Puts rows away before a call that would look through many of them.

    A search of what is not put away takes some ten times as long. Only the process that serves
    knows what all the others wrote, and what its predecessor left to be read from the log.
    Who succeeds it reads that log first, so that writes too put rows away, now and then.

    Args:
        flush: puts away the rows of the collection that a request names; says what it failed
            with, or nothing. What has failed has lost no row.
    """

    def __init__(self, flush: Callable[[Any, Any], str]) -> None:
        self._flush = flush
        self._lock = reentrant_lock()
        # Nobody knows what a collection has in its log when it is first seen.
        self._rows: defaultdict[_Name, int] = defaultdict(lambda: _MANY_ROWS)
        self._failed: dict[_Name, float] = {}

    def is_due(self, method: str, request: Any) -> bool:
        """Whether more rows are not put away than there should be when a call is made."""
        limit = _limit(method, request)
        if limit is None:
            return False
        name, now = _name(request), time.monotonic()
        with self._lock:
            paused = now - self._failed.get(name, -_PAUSE_S) < _PAUSE_S
            return not paused and self._rows[name] >= limit

    def settle(self, method: str, request: Any, context: Any) -> None:
        """Puts rows away, unless another call has just done so. Needs a writer's turn.

        Where that fails the call goes on without: it takes longer, and finds the same.
        """
        if not self.is_due(method, request):
            return
        failure = self._flush(request, context)
        with self._lock:
            if failure:
                self._failed[_name(request)] = time.monotonic()
            else:
                self._rows[_name(request)] = 0
        if failure:
            _log.warning(
                "Milvus Lite cannot put away what was written to %r, and searches it slowly until "
                "it can: %s",
                request.collection_name,
                failure,
            )

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
