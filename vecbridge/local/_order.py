"""Ids in ascending order, kept from one read of a range to the next."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Container, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from vecbridge._contract._scope import IdRange

_MOST_RECENT = 1024
"""Ids that are sorted again by every read, and not merged into the others: that takes 0.1 s for a
million."""


class IdOrder(NamedTuple):
    """Ids in ascending order. It is never changed: other threads may be reading it.

    Attributes:
        names: ids, ascending. Some may be gone.
        recent: ids that were added later, ascending, of which some may be in ``names`` as well.
        rows: of how many rows it has the ids, but for those that are ``recent``.
    """

    names: list[str]
    recent: list[str]
    rows: int

    def of(self, ids: list[str], live: Container[str]) -> IdOrder:
        """Return the order of the ids of a table whose first rows this is the order of.

        Args:
            ids: of the rows.
            live: the same ids, to look one up.
        """
        added = ids[self.rows :]
        if len(added) <= _MOST_RECENT and len(self.names) <= 2 * self.rows + _MOST_RECENT:
            return IdOrder(self.names, sorted(added), self.rows)
        return self.merged(ids, live)

    def merged(self, ids: list[str], live: Container[str]) -> IdOrder:
        """Return the same with none apart, and without what is gone."""
        rows, names = len(ids), self.names
        added = set(ids[self.rows : rows])
        if len(names) > self.rows:
            # What is gone may have come back.
            names = [name for name in names if name in live and name not in added]
        if added:
            # Two sorted runs, which a sort merges.
            names = [*names, *sorted(added)]
            names.sort()
        return IdOrder(names, [], rows)

    def within(self, ids: IdRange, size: int) -> Iterator[list[str]]:
        """Yield the ids of a range, ascending, about ``size`` at a time."""
        start, stop = _places(self.names, ids)
        recent = self.recent[slice(*_places(self.recent, ids))]
        for at in range(start, stop, size):
            part = self.names[at : min(at + size, stop)]
            if recent:
                among = bisect_right(recent, part[-1])
                part, recent = sorted({*part, *recent[:among]}), recent[among:]
            yield part
        if recent:
            yield recent

    def ranges(self, count: int) -> list[IdRange]:
        """Return ranges with about as many ids each; fewer than ``count`` where there are fewer."""
        parts = max(1, min(count, len(self.names)))
        cuts = [self.names[len(self.names) * part // parts] for part in range(1, parts)]
        return [IdRange(*edge) for edge in pairwise([None, *cuts, None])]


NO_ORDER = IdOrder([], [], 0)


def _places(names: Sequence[str], ids: IdRange) -> tuple[int, int]:
    """Return where a range begins and where it ends."""
    start = 0 if ids.start is None else bisect_left(names, ids.start)
    return start, len(names) if ids.stop is None else bisect_left(names, ids.stop)
