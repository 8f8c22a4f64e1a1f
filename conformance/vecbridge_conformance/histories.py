"""Histories: who wrote and read which version of which record, and which reads were wrong.

A vector holds its version in every coordinate, so that a stale or torn read shows in what was read.
Every id has one writer, which numbers its writes and deletes; so the order of the versions of an
id is known, and only their visibility is in question. Times are of the machine's monotonic clock,
which its processes share.

Histories are judged after the set checkers of Jepsen, extended from elements to versions. A read
may see any version between two limits: the latest write that its level obliges it to see, and the
latest write that had begun when the read ended.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from vecbridge import Consistency

__all__ = [
    "ABSENT",
    "DIMENSION",
    "TORN",
    "Anomaly",
    "History",
    "Read",
    "Way",
    "Write",
    "anomalies",
    "lagging",
    "unsettled",
]

DIMENSION = 4
"""Of the vectors that hold versions."""
ABSENT = 0
"""The version of a record that is not there."""
TORN = -1
"""The version of a record that is a mixture of versions, or that is there twice."""

Way = Literal["fetch", "search", "scan"]
"""How a version is read."""

Kind = Literal["lost", "stale", "resurrected", "phantom", "torn"]


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


_NO_WRITE = Write(-1, (), ABSENT, deleted=True, start=-math.inf, end=-math.inf)


@dataclass(frozen=True)
class Anomaly:
    """A read that saw what its level forbids.

    Attributes:
        kind: ``lost``: absent, though it was written and not deleted; ``stale``: an older
            version; ``resurrected``: there, though it was deleted; ``phantom``: a version that
            no process had written; ``torn``: a mixture of versions, or the record twice.
        id: of which record.
        seen: the version that was seen.
        expected: the oldest version that the read may see.
        read: the read.
    """

    kind: Kind
    id: str
    seen: int
    expected: int
    read: Read

    def __str__(self) -> str:
        return (
            f"{self.kind}: process {self.read.process} saw version {self.seen} of {self.id!r} by a "
            f"{self.read.level} {self.read.way}, where version {self.expected} was the oldest that "
            f"it may see"
        )


def anomalies(history: History, *, bound_s: float = math.inf) -> list[Anomaly]:
    """Return every read of a version that its level forbids.

    Args:
        history: of every process that wrote to the records.
        bound_s: how old a write may be that a ``bounded`` read misses.
    """
    return list(_wrong(history, history.reads, None, bound_s))


def lagging(history: History) -> int:
    """Return how many reads saw less than a strong read must: whether the store lags."""
    return len({id(found.read) for found in _wrong(history, history.reads, "strong")})


def unsettled(history: History, last: Iterable[Read]) -> list[Anomaly]:
    """Return what reads do not see although all writes had stopped before."""
    return list(_wrong(history, last, "strong"))


def _wrong(
    history: History, reads: Iterable[Read], level: Consistency | None, bound_s: float = math.inf
) -> Iterator[Anomaly]:
    """Yield what reads saw and must not, at a level, or at that of each where there is none."""
    writes = _by_id(history.writes)
    for read in reads:
        for name, seen in read.seen.items():
            found = _judged(read, name, seen, writes[name], level or read.level, bound_s)
            if found is not None:
                yield found


def _by_id(writes: Iterable[Write]) -> dict[str, list[Write]]:
    ordered: dict[str, list[Write]] = defaultdict(list)
    for write in sorted(writes, key=lambda each: each.version):
        for name in write.ids:
            ordered[name].append(write)
    return ordered


def _judged(
    read: Read, name: str, seen: int, writes: list[Write], level: Consistency, bound_s: float
) -> Anomaly | None:
    oldest = _oldest(read, writes, level, bound_s)
    allowed = {_shown(oldest)}
    for write in writes:
        # One that was never acknowledged may take effect at any later time, or at none.
        late = write.end == math.inf
        if (write.version >= oldest.version or late) and write.start <= read.end:
            allowed.add(_shown(write))
    if seen in allowed:
        return None
    return Anomaly(_kind(seen, oldest, writes, read), name, seen, oldest.version, read)


def _oldest(read: Read, writes: list[Write], level: Consistency, bound_s: float) -> Write:
    """Return the latest write that the read is obliged to see."""
    if level == "eventual":
        return _NO_WRITE
    before = read.start - bound_s if level == "bounded" else read.start
    obliged = (
        write
        for write in writes
        if write.end < before and (level != "session" or write.process == read.process)
    )
    return max(obliged, key=lambda write: write.version, default=_NO_WRITE)


def _shown(write: Write) -> int:
    return ABSENT if write.deleted else write.version


def _kind(seen: int, oldest: Write, writes: list[Write], read: Read) -> Kind:
    if seen == TORN:
        return "torn"
    if seen == ABSENT:
        return "lost"
    real = any(_shown(write) == seen and write.start <= read.end for write in writes)
    if not real:
        return "phantom"
    return "resurrected" if oldest.deleted else "stale"
