"""Records by filter and by range of ids: counted, scanned in order, and cut into partitions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from vecbridge._client import _validate as validate
from vecbridge._client._checked import CheckedEngine
from vecbridge._client._pushdown import is_pushed
from vecbridge._client._scan import records_in
from vecbridge._contract._consistency import Consistency
from vecbridge._contract._records import Records
from vecbridge._contract._scope import IdRange, Scope
from vecbridge._errors import InvalidArgumentError

EVERY_ID = IdRange()

FIRST_ID = "\x01"
"""The smallest of all ids."""


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
    if scope.within is None and is_pushed(index, scope):
        return index.count(scope)
    return sum(len(records) for records in records_in(index, scope, vectors=False))


def scan_range(
    index: CheckedEngine, batch_size: int, scope: Scope, ids: IdRange, *, vectors: bool
) -> Iterator[Records]:
    """Yield the records of a range that are in scope, in ascending order of ids.

    Where the engine reads no ranges, all ids are read first, and those of the range kept in memory
    while the scan runs.

    Args:
        index: the engine.
        batch_size: most records at a time.
        scope: which of the records.
        ids: the range.
        vectors: whether their vectors are wanted.
    """
    if index.capabilities.partitions and scope.within is None:
        return records_in(index, scope, batch_size, ids, vectors=vectors)
    return _scan_list(index, batch_size, scope, ids, vectors=vectors)


def _scan_list(
    index: CheckedEngine, batch_size: int, scope: Scope, ids: IdRange, *, vectors: bool
) -> Iterator[Records]:
    listed = replace(scope, within=ids_in(index, scope, ids))
    yield from records_in(index, listed, batch_size, vectors=vectors)


def ids_in(index: CheckedEngine, scope: Scope, ids: IdRange = EVERY_ID) -> list[str]:
    """Return the ids in scope and in a range, ascending."""
    return sorted(
        name
        for records in records_in(index, scope, vectors=False)
        for name in records.ids
        if name in ids
    )


def partition(index: CheckedEngine, count: int, consistency: Consistency) -> list[IdRange]:
    """Return ranges that hold every id once, and about as many records each.

    Args:
        index: the engine.
        count: how many ranges; there are fewer where there are fewer records.
        consistency: level of the read.
    """
    if index.capabilities.partitions:
        found = index.partitions(count, consistency=consistency)
    else:
        names = ids_in(index, Scope(None, None, consistency))
        parts = max(1, min(count, len(names)))
        cuts = [names[len(names) * part // parts] for part in range(1, parts)]
        found = [IdRange(*edge) for edge in pairwise([None, *cuts, None])]
    # A scan without any end would be one of everything, in any order.
    return found if len(found) > 1 else [IdRange(FIRST_ID)]
