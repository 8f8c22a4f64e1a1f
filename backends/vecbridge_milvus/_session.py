"""Sessions: a process reads what it wrote itself, deletes included.

pymilvus carries the time of a write over to later reads, but some servers tell no time for a
delete, and another spelling of the address starts anew. So this ledger, kept by collection for the
whole process, notes own writes that no strong read has looked past yet; until one has, a session
read is a strong one.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from vecbridge import Consistency

_WORDS: dict[Consistency, str] = {
    "strong": "Strong",
    "session": "Session",
    "bounded": "Bounded",
    "eventual": "Eventually",
}


@dataclass
class _Ledger:
    written: int = 0
    seen: int = 0


_guard = threading.Lock()
_ledgers: dict[int, _Ledger] = {}


class Session:
    """This process's own writes to one collection.

    Args:
        collection: the collection's id, which no other one on any server has.
    """

    def __init__(self, collection: int) -> None:
        with _guard:
            self._ledger = _ledgers.setdefault(collection, _Ledger())

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Notes a write; one that failed may have happened all the same."""
        try:
            yield
        finally:
            with _guard:
                self._ledger.written += 1

    @contextmanager
    def reading(self, level: Consistency) -> Iterator[str]:
        """Yields Milvus's word for the level that this read needs."""
        with _guard:
            written, pending = self._ledger.written, self._ledger.written > self._ledger.seen
        word = _WORDS["strong" if level == "session" and pending else level]
        yield word
        if word == "Strong":
            with _guard:
                self._ledger.seen = max(self._ledger.seen, written)
