"""Judges a history: does every read see what its level promises, and nothing that never was?

After the set checkers of Jepsen, extended from elements to versions. For one id the writes are in a
known order. A read may see any version between two limits: the latest write that its level obliges
it to see, and the latest write that had begun when the read ended.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from vecbridge import Consistency
from vecbridge_conformance._history import ABSENT, TORN, History, Read, Write

Kind = Literal["lost", "stale", "resurrected", "phantom", "torn"]

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
    writes = _by_id(history.writes)
    return [
        found
        for read in history.reads
        for name, seen in read.seen.items()
        if (found := _judged(read, name, seen, writes[name], read.level, bound_s)) is not None
    ]


def lagging(history: History) -> int:
    """Return how many reads saw less than a strong read must: whether the store lags."""
    writes = _by_id(history.writes)
    return sum(
        any(
            _judged(read, name, seen, writes[name], "strong", math.inf) is not None
            for name, seen in read.seen.items()
        )
        for read in history.reads
    )


def unsettled(history: History, last: Iterable[Read]) -> list[Anomaly]:
    """Return what reads do not see although all writes had stopped before."""
    writes = _by_id(history.writes)
    return [
        found
        for read in last
        for name, seen in read.seen.items()
        if (found := _judged(read, name, seen, writes[name], "strong", math.inf)) is not None
    ]


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
