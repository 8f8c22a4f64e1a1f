"""Sessions: a process reads what it wrote itself, deletes included.

pymilvus carries the time of a write over to later reads, but some servers tell no time for a
delete, and another spelling of the address knows of none. So this ledger, kept by collection for
the whole process, notes own writes that no strong read has looked past yet; until one has, a
session read is a strong one. No clock is involved: a strong read sees whatever was acknowledged
before it, to any process, so that joining another process's session is no more than one strong read
to come.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from vecbridge import Consistency, InvalidArgumentError
from vecbridge.locks import reentrant_lock

MILVUS_LEVELS: dict[Consistency, str] = {
    "strong": "Strong",
    "session": "Session",
    "bounded": "Bounded",
    "eventual": "Eventually",
}
"""Milvus's word for each level, in the order of Milvus's numbers; a server offers these."""

_KIND = "vecbridge-session-1"

GRACE_S = 10.0
"""Age from which on a bounded read sees a write on every replica; twice a server's own bound."""


@dataclass
class _Ledger:
    """What one process knows of the writes to a collection.

    Attributes:
        origin: where the ledger was made, which a forked process has copied.
        written: number of the latest own write.
        latest: when it ended, on the monotonic clock.
        seen: number of the write that a strong read has looked past, by address. Two addresses may
            be two copies of one server, so what is seen on one says nothing of the other.
        joined: number of the latest write that was joined, by writer.
    """

    origin: str = field(default_factory=lambda: uuid.uuid4().hex)
    written: int = 0
    latest: float = -GRACE_S
    seen: dict[str, int] = field(default_factory=dict)
    joined: dict[str, int] = field(default_factory=dict)

    @property
    def writer(self) -> str:
        """This process, in tokens."""
        return f"{self.origin}.{os.getpid()}"

    def note(self) -> None:
        """Count one more write."""
        self.written += 1
        self.latest = time.monotonic()


_guard = reentrant_lock()
_ledgers: dict[str, _Ledger] = {}


class Session:
    """This process's own writes to one collection.

    Args:
        collection: what tells the collection from every other one, whatever address it is
            reached by.
        address: the address that it is reached by here.
    """

    def __init__(self, collection: str, address: str) -> None:
        self._collection = collection
        self._address = address
        with _guard:
            self._ledger = _ledgers.setdefault(collection, _Ledger())

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Note a write; one that failed may have happened all the same."""
        try:
            yield
        finally:
            with _guard:
                self._ledger.note()

    def moved_since(self, moment: float) -> bool:
        """Return whether an own write ended, or a session was joined, since a monotonic moment."""
        with _guard:
            return self._ledger.latest >= moment

    @contextmanager
    def reading(self, level: Consistency, replicated: Callable[[], bool]) -> Iterator[Consistency]:
        """Yield the level that this read has to ask the server for.

        Args:
            level: what is asked for.
            replicated: tells whether reads may be answered by different replicas of the records;
                asked where that matters.
        """
        with _guard:
            written, seen = self._ledger.written, self._ledger.seen.get(self._address, 0)
            age = time.monotonic() - self._ledger.latest
        asked = level
        if level == "session" and written > seen:
            asked = "strong"
        elif level == "session" and written and replicated():
            # What one replica has shown, another may still lack.
            asked = "strong" if age < GRACE_S else "bounded"
        yield asked
        if asked == "strong":
            with _guard:
                seen = self._ledger.seen.get(self._address, 0)
                self._ledger.seen[self._address] = max(seen, written)

    def token(self) -> str:
        """Return what stands for all writes of this session so far, for another process to join."""
        with _guard:
            return f"{_KIND}:{self._collection}:{self._ledger.writer}:{self._ledger.written}"

    def join(self, token: str) -> None:
        """Let session reads see what the writer of a token had written when it was made.

        Raises:
            InvalidArgumentError: it is no token, or one of another collection.
        """
        kind, _, rest = token.partition(":")
        collection, writer, number = _parts(rest)
        if kind != _KIND or not writer or not number.isdecimal():
            raise InvalidArgumentError(
                f"session must be what session_token() gave; got {token[:80]!r}"
            )
        if collection != self._collection:
            raise InvalidArgumentError(
                "the session token is of another index, or of this name's index before it was "
                "dropped and made again; hand over a token of the index that is read"
            )
        with _guard:
            own = writer == self._ledger.writer
            if not own and int(number) > self._ledger.joined.get(writer, 0):
                self._ledger.joined[writer] = int(number)
                self._ledger.note()


def _parts(rest: str) -> tuple[str, str, str]:
    collection, _, tail = rest.partition(":")
    writer, _, number = tail.partition(":")
    return collection, writer, number
