"""Sessions: a process reads what it wrote itself, deletes included.

pymilvus carries the time of a write over to later reads, but some servers tell no time for a
delete, and another spelling of the address starts anew. So this ledger, kept by collection for the
whole process, notes own writes that no strong read has looked past yet; until one has, a session
read is a strong one. No clock is involved: a strong read sees whatever was acknowledged before it,
to anyone, so that joining another process's session is no more than one strong read to come.
"""

from __future__ import annotations

import math
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from vecbridge import Consistency, InvalidArgumentError
from vecbridge.locks import reentrant_lock

_WORDS: dict[Consistency, str] = {
    "strong": "Strong",
    "session": "Session",
    "bounded": "Bounded",
    "eventual": "Eventually",
}
_KIND = "vecbridge-session-1"

_LONGEST_WRITE_S = 2.0

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
        begun: how many own writes were begun.
        ended: how many own writes came back, whatever became of them.
        paused: how many reads keep own writes waiting.
        least: the shortest vector that was written.
        greatest: the longest one.
    """

    origin: str = field(default_factory=lambda: uuid.uuid4().hex)
    written: int = 0
    latest: float = -GRACE_S
    seen: dict[str, int] = field(default_factory=dict)
    joined: dict[str, int] = field(default_factory=dict)
    begun: int = 0
    ended: int = 0
    paused: int = 0
    least: float = math.inf
    greatest: float = 0.0

    @property
    def writer(self) -> str:
        """This process, in tokens."""
        return f"{self.origin}.{os.getpid()}"

    def note(self) -> None:
        """Counts one more write."""
        self.written += 1
        self.latest = time.monotonic()


_guard = reentrant_lock()
_idle = threading.Condition(_guard)
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
        """Notes a write; one that failed may have happened all the same."""
        with _guard:
            _idle.wait_for(lambda: not self._ledger.paused)
            self._ledger.begun += 1
        try:
            yield
        finally:
            with _guard:
                self._ledger.ended += 1
                self._ledger.note()
                _idle.notify_all()

    def note_norms(self, norms: Sequence[float]) -> None:
        """Notes how long the vectors of a write are."""
        if norms:
            with _guard:
                self._ledger.least = min(self._ledger.least, *norms)
                self._ledger.greatest = max(self._ledger.greatest, *norms)

    def left(self, low: float, high: float) -> bool:
        """Whether an own write ever held vectors outside of a band of norms."""
        with _guard:
            return self._ledger.least < low or self._ledger.greatest > high

    def moved_since(self, moment: float) -> bool:
        """Whether an own write ended, or a session was joined, since; on the monotonic clock."""
        with _guard:
            return self._ledger.latest >= moment

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Lets own writes end, and keeps new ones waiting; not for those that hang."""
        with _guard:
            self._ledger.paused += 1
            _idle.wait_for(lambda: self._ledger.begun == self._ledger.ended, _LONGEST_WRITE_S)
        try:
            yield
        finally:
            with _guard:
                self._ledger.paused -= 1
                _idle.notify_all()

    def ended(self) -> int:
        """How many own writes have come back."""
        with _guard:
            return self._ledger.ended

    def begun(self) -> int:
        """How many own writes were begun; as many as had ended before, where none ran since."""
        with _guard:
            return self._ledger.begun

    @contextmanager
    def reading(self, level: Consistency, replicated: Callable[[], bool]) -> Iterator[str]:
        """Yields Milvus's word for the level that this read needs.

        Args:
            level: what is asked for.
            replicated: tells whether reads may be answered by different copies of the records;
                asked where that matters.
        """
        with _guard:
            written, seen = self._ledger.written, self._ledger.seen.get(self._address, 0)
            age = time.monotonic() - self._ledger.latest
        word = _WORDS[level]
        if level == "session" and written > seen:
            word = _WORDS["strong"]
        elif level == "session" and written and replicated():
            # What one replica has shown, another may still lack.
            word = _WORDS["strong" if age < GRACE_S else "bounded"]
        yield word
        if word == _WORDS["strong"]:
            with _guard:
                seen = self._ledger.seen.get(self._address, 0)
                self._ledger.seen[self._address] = max(seen, written)

    def token(self) -> str:
        """Stands for all writes of this session so far, for another process to join."""
        with _guard:
            return f"{_KIND}:{self._collection}:{self._ledger.writer}:{self._ledger.written}"

    def join(self, token: str) -> None:
        """Lets session reads see what the writer of a token had written when it was made.

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


def _after_fork() -> None:
    """Other threads are not here any more, nor what they had begun."""
    for ledger in _ledgers.values():
        ledger.ended = ledger.begun
        ledger.paused = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _parts(rest: str) -> tuple[str, str, str]:
    collection, _, tail = rest.partition(":")
    writer, _, number = tail.partition(":")
    return collection, writer, number
