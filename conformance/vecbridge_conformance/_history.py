"""Recorded histories: who wrote and read which version of which record, and when.

A vector holds its version in every coordinate, so that a stale or torn read shows in what was read.
Every id has one writer, which numbers its writes and deletes; so the order of the versions of an
id is known, and only their visibility is in question. Times are of the machine's monotonic clock,
which its processes share.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from vecbridge import BackendError, Consistency, Index

DIMENSION = 4
ABSENT = 0
"""The version of a record that is not there."""
TORN = -1
"""The version of a record that is a mixture of versions, or that is there twice."""

_TRIES = 3

Way = Literal["fetch", "search", "scan"]


@dataclass(frozen=True)
class Write:
    """An upsert or a delete of some ids, all to one version.

    Attributes:
        process: who did it.
        ids: of which records.
        version: its number, from 1, rising with each write of an id.
        deleted: whether it is a delete.
        start: when it was called.
        end: when it was acknowledged; ``inf`` where it never was, so that it may have happened.
    """

    process: int
    ids: tuple[str, ...]
    version: int
    deleted: bool
    start: float
    end: float = math.inf


@dataclass(frozen=True)
class Read:
    """What a read saw.

    Attributes:
        process: who did it.
        way: by which operation.
        level: at which consistency it was asked for.
        seen: the version of each id that it was about.
        start: when it was called.
        end: when it returned.
    """

    process: int
    way: Way
    level: Consistency
    seen: Mapping[str, int]
    start: float
    end: float


@dataclass
class History:
    """Everything that some processes did.

    Attributes:
        writes: the writes.
        reads: the reads that gave an answer.
        failures: what the reads said that gave none; they prove nothing about consistency.
    """

    writes: list[Write] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @classmethod
    def merged(cls, parts: Sequence[History]) -> History:
        """Return one history of several processes."""
        return cls(
            [write for part in parts for write in part.writes],
            [read for part in parts for read in part.reads],
            [failure for part in parts for failure in part.failures],
        )


class Recording:
    """One process's own part of a history.

    Args:
        index: what it writes to and reads from.
        process: its number.
    """

    def __init__(self, index: Index, process: int) -> None:
        self.index = index
        self.process = process
        self.history = History()

    def upsert(self, ids: Sequence[str], version: int) -> None:
        """Write a version, again until it is acknowledged or has failed three times."""
        vectors = np.full((len(ids), DIMENSION), version, dtype=np.float32)
        self._write(ids, version, lambda: self.index.upsert(ids, vectors), deleted=False)

    def delete(self, ids: Sequence[str], version: int) -> None:
        """Delete, as a version."""
        self._write(ids, version, lambda: self.index.delete(ids), deleted=True)

    def read(self, ids: Sequence[str], level: Consistency, way: Way) -> Read:
        """Read the versions of some ids."""
        start = time.monotonic()
        seen = _READERS[way](self.index, ids, level)
        read = Read(self.process, way, level, seen, start, time.monotonic())
        self.history.reads.append(read)
        return read

    def try_to_read(self, ids: Sequence[str], level: Consistency, way: Way) -> None:
        """Read; where the store fails in passing, that is noted, and the work goes on."""
        try:
            self.read(ids, level, way)
        except BackendError as error:
            if not error.retryable:
                raise
            self.history.failures.append(f"{way}: {type(error).__name__}: {error}")

    def _write(
        self, ids: Sequence[str], version: int, call: Callable[[], None], *, deleted: bool
    ) -> None:
        start = time.monotonic()
        done = any(_acknowledged(call) for _ in range(_TRIES))
        end = time.monotonic() if done else math.inf
        self.history.writes.append(Write(self.process, tuple(ids), version, deleted, start, end))


def _acknowledged(call: Callable[[], None]) -> bool:
    try:
        call()
    except BackendError:
        return False
    return True


def _by_fetch(index: Index, ids: Sequence[str], level: Consistency) -> dict[str, int]:
    found = index.fetch(ids, consistency=level)
    seen = dict.fromkeys(ids, ABSENT)
    for name, vector in zip(found.ids, found.vectors, strict=True):
        seen[name] = _version(vector.tolist(), known=seen.get(name))
    return seen


def _by_scan(index: Index, ids: Sequence[str], level: Consistency) -> dict[str, int]:
    seen = dict.fromkeys(ids, ABSENT)
    for records in index.scan(consistency=level):
        for name, vector in zip(records.ids, records.vectors, strict=True):
            if name in seen:
                seen[name] = _version(vector.tolist(), known=seen[name])
    return seen


def _by_search(index: Index, ids: Sequence[str], level: Consistency) -> dict[str, int]:
    # From the origin, a vector of four equal coordinates is exactly twice their value away.
    origin = np.zeros(DIMENSION, dtype=np.float32)
    hits = index.search(origin, 2 * len(ids), within=ids, consistency=level)[0]
    seen = dict.fromkeys(ids, ABSENT)
    for name, distance in zip(hits.ids, hits.distances.tolist(), strict=True):
        seen[name] = _version([distance / 2.0], known=seen.get(name))
    return seen


def _version(coordinates: list[float], *, known: int | None) -> int:
    first = coordinates[0]
    alike = coordinates.count(first) == len(coordinates)
    whole = known == ABSENT and alike and first == int(first) > 0
    return int(first) if whole else TORN


_READERS: Mapping[Way, Callable[[Index, Sequence[str], Consistency], dict[str, int]]] = {
    "fetch": _by_fetch,
    "search": _by_search,
    "scan": _by_scan,
}
