"""How fresh reads have to be: what this process must see of its own writes, and up to when.

pymilvus carries the time of a write over to later reads, but some servers tell no time for a
delete, and another spelling of the address knows of none. So a ledger, kept by collection for the
whole process, notes own writes that no strong read has looked past yet; until one has, a session
read is a strong one. No clock of ours is involved: a strong read sees whatever was acknowledged
before it, to any process, so that joining another process's session is no more than one strong
read to come.

A strong read looks past all that was written before a moment of the server's clock, and the ledger
keeps that moment. Session reads name it: whichever node answers them waits until it has got so far.
"""

from __future__ import annotations

import math
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from vecbridge import Consistency, InvalidArgumentError
from vecbridge.locks import reentrant_lock

_SESSION_KIND = "vecbridge-session-1"


@dataclass
class Freshness:
    """How fresh the reads of one operation have to be.

    Attributes:
        level: what the server is asked for where there is no moment.
        moment: the time of the server's clock of which reads see everything before; 0 while none is
            known. Any node that answers gets so far first.
    """

    level: Consistency
    moment: int = 0


class _Seen(NamedTuple):
    """What a strong read has looked past.

    Attributes:
        number: of the latest own write before it.
        moment: the time of the server's clock at which it looked.
    """

    number: int
    moment: int


_NOTHING = _Seen(0, 0)


@dataclass
class _Ledger:
    """The writes to a collection, as far as one process knows.

    Attributes:
        origin: where the ledger was made, which a forked process has copied.
        written: number of the latest own write.
        latest: when it ended, on the monotonic clock.
        seen: what a strong read has looked past, by address. Two addresses may be two copies of one
            server, so what is seen on one says nothing of the other.
        joined: number of the latest write that was joined, by writer.
    """

    origin: str = field(default_factory=lambda: uuid.uuid4().hex)
    written: int = 0
    latest: float = -math.inf
    seen: dict[str, _Seen] = field(default_factory=dict)
    joined: dict[str, int] = field(default_factory=dict)

    @property
    def writer(self) -> str:
        """Return the name of this process in tokens."""
        return f"{self.origin}.{os.getpid()}"

    def note(self) -> None:
        """Count one more write."""
        self.written += 1
        self.latest = time.monotonic()


_guard = reentrant_lock()
_ledgers: dict[str, _Ledger] = {}


class Session:
    """This process's own writes to one collection, named alike at every address of its server."""

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
    def reading(self, level: Consistency) -> Iterator[Freshness]:
        """Yield how fresh the reads of an operation have to be, and keep what they found out.

        Args:
            level: what is asked for.
        """
        with _guard:
            written, seen = self._ledger.written, self._ledger.seen.get(self._address, _NOTHING)
        asked = Freshness(level)
        if level == "session" and written:
            asked = Freshness("strong")
            if seen.number >= written:
                asked = Freshness("session", seen.moment)
        yield asked
        if asked.level == "strong" and asked.moment:
            with _guard:
                earlier = self._ledger.seen.get(self._address, _NOTHING)
                self._ledger.seen[self._address] = max(earlier, _Seen(written, asked.moment))

    def token(self) -> str:
        """Return what stands for all writes of this session so far, for another process to join."""
        with _guard:
            writer, written = self._ledger.writer, self._ledger.written
        return f"{_SESSION_KIND}:{self._collection}:{writer}:{written}"

    def join(self, token: str) -> None:
        """Let session reads see what the writer of a token had written when it was made.

        Raises:
            InvalidArgumentError: it is no token, or one of another collection.
        """
        kind, collection, writer, number, *_ = *token.split(":", 3), "", "", ""
        if kind != _SESSION_KIND or not writer or not number.isdecimal():
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
