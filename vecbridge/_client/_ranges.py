"""Records by filter and by range of ids: counted, scanned in order, and cut into partitions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from vecbridge._client import _validate as validate
from vecbridge._client._checked import CheckedEngine
from vecbridge._client._scan import records_in
from vecbridge._contract._records import Records
from vecbridge._contract._scope import Scope
from vecbridge._errors import InvalidArgumentError


@dataclass(frozen=True)
class IdRange:
    """A range of ids, by code point.

    Attributes:
        start: the first id that may be in it; ``None`` for no lower end.
        stop: the first id beyond it; ``None`` for no upper end.

    Example:
        >>> [name in IdRange("b", "d") for name in ("a", "b", "d")]
        [False, True, False]
    """

    start: str | None = None
    stop: str | None = None

    def __contains__(self, name: str) -> bool:
        return (self.start is None or name >= self.start) and (
            self.stop is None or name < self.stop
        )


EVERY_ID = IdRange()


def parse_range(start: str | None, stop: str | None, after: str | None) -> IdRange | None:
    """Return the range of ids that a scan was asked for; ``None`` where it was asked for none.

    Args:
        start: first id.
        stop: the first id beyond the range.
        after: the last id before it.

    Raises:
        InvalidArgumentError: both ``start`` and ``after`` are given.
        InvalidIdError: one of them is no id.
    """
    if start is not None and after is not None:
        raise InvalidArgumentError(
            "a scan begins at start= or after an id with after=; both were given"
        )
    given = [each for each in (start, stop, after) if each is not None]
    if not given:
        return None
    validate.ids(given, unique=False)
    # No string lies between a string and itself with a NUL at its end.
    return IdRange(start if after is None else after + "\0", stop)


def count_in(index: CheckedEngine, scope: Scope) -> int:
    """Return how many records are in scope."""
    if scope.within is None and scope.where is None:
        return index.count(consistency=scope.consistency)
    return sum(len(records) for records in records_in(index, scope))


def scan_range(
    index: CheckedEngine, batch_size: int, scope: Scope, ids: IdRange
) -> Iterator[Records]:
    """Yield the records of a range that are in scope, in ascending order of ids.

    The ids of the range are read first, and kept in memory while the scan runs.

    Args:
        index: the engine.
        batch_size: most records at a time.
        scope: which of the records.
        ids: the range.
    """
    names = ids_in(index, scope, ids)
    for start in range(0, len(names), batch_size):
        part = replace(scope, within=names[start : start + batch_size])
        yield from records_in(index, part)


def ids_in(index: CheckedEngine, scope: Scope, ids: IdRange = EVERY_ID) -> list[str]:
    """Return the ids in scope and in a range, ascending."""
    return sorted(
        name for records in records_in(index, scope) for name in records.ids if name in ids
    )


def partition(names: Sequence[str], count: int) -> list[IdRange]:
    """Return ranges that hold every id once, and about as many of the given ones each.

    Args:
        names: ids, ascending.
        count: how many ranges; there are fewer where there are fewer ids.
    """
    parts = max(1, min(count, len(names)))
    cuts = [names[len(names) * part // parts] for part in range(1, parts)]
    return [IdRange(*edge) for edge in pairwise([None, *cuts, None])]
