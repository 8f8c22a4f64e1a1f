"""Neighbours of every record, near duplicates and uniqueness: work over all pairs of a view.

FiftyOne looks for the threshold of ``find_unique`` from 0 upwards, and a negated dot product may
be below 0. Here it is looked for between the bounds that the records' own distances give, for any
metric.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import fiftyone.core.utils as fou
import numpy as np
from numpy.typing import NDArray

from vecbridge import InvalidArgumentError
from vecbridge.fiftyone._records import StoredRecords
from vecbridge.local import LocalIndex, Snapshot
from vecbridge.ranking import Pairs

logger = logging.getLogger(__name__)

_BISECTIONS = 64
_PROGRESS_FROM_RECORDS = 10_000


class AllPairs:
    """Compare all records of a view with each other.

    The pairs of the last view are kept until the records change: finding duplicates asks for them
    many times.
    """

    def __init__(self, records: StoredRecords) -> None:
        self._records = records
        self.forget()

    def forget(self) -> None:
        """Let go of the pairs, since the records have changed."""
        self._moment = object()
        # Also when they were read, and the snapshot whose vectors they refer to.
        self._held: tuple[object, Pairs, Snapshot | None] | None = None

    def nearest(
        self, ids: Sequence[str], k: int | None, *, reverse: bool, return_dists: bool
    ) -> Any:
        """Return, per record, the positions of its nearest others, and their distances if wanted.

        ``k`` is ``None`` for all others; ``reverse`` gives the farthest, farthest first.
        """
        pairs = self._pairs(ids)
        with _progress_bar(len(pairs), "neighbours") as progress:
            found = list(pairs.neighbors(k, farthest=reverse, progress=progress))
        return _positions(found, return_dists)

    def within_radius(self, ids: Sequence[str], thresh: float | None, *, return_dists: bool) -> Any:
        """Return, per record, the positions of the others within a distance; ``None`` for all."""
        pairs = self._pairs(ids)
        with _progress_bar(len(pairs), "radius") as progress:
            found = list(pairs.within(np.inf if thresh is None else thresh, progress))
        return _positions(found, return_dists)

    def apart(self, ids: Sequence[str], thresh: float | None, metric: str) -> list[str]:
        """Return the ids of the largest set, in order, that are all farther apart than a distance.

        Raises:
            InvalidArgumentError: the distance is missing, or cannot be meant with this metric.
        """
        if thresh is None or math.isnan(thresh):
            raise InvalidArgumentError(
                "give thresh, the distance within which samples are duplicates, or fraction, how "
                "many of them are"
            )
        if metric == "dotproduct" and thresh >= 0:
            raise InvalidArgumentError(
                f"thresh={thresh} is meaningless with the metric dotproduct, whose distance is the "
                f"negated product: it is below 0 for similar vectors, and falls with their "
                f"length. Give fraction instead, or compute the similarity with "
                f'metric="cosine", where duplicates are near 0'
            )
        return [ids[position] for position in self._pairs(ids).apart(thresh)]

    def most_apart(
        self, ids: Sequence[str], count: int, first: float | None
    ) -> tuple[list[str], float | None]:
        """Keep as many records as wanted, as far apart as that allows.

        Where records tie, as copies do, no distance may leave exactly as many: it is then the
        largest that leaves more.

        The distance ``first`` is tried first.

        Returns:
            The ids that are kept, and the distance than which they are farther apart; ``None``
            where none or all are kept.
        """
        if count <= 0 or count >= len(ids):
            return [] if count <= 0 else list(ids), None
        pairs = self._pairs(ids)
        # Each dropped record has a neighbour within the limit, so this limit drops too few;
        # and a limit that reaches from the first record to every other keeps that one alone.
        near = np.partition(pairs.nearest(), len(ids) - count - 1)[len(ids) - count - 1]
        low, high = float(np.nextafter(near, -np.inf)), pairs.farthest_from_first()
        limit = high if first is None or not low < first < high else first
        for _ in range(_BISECTIONS):
            kept = pairs.apart(limit, most=count)
            logger.info("threshold: %f, kept: %d, target: %d", limit, len(kept), count)
            if len(kept) == count:
                return [ids[position] for position in kept], limit
            low, high = (limit, high) if len(kept) > count else (low, limit)
            limit = low + 0.5 * (high - low)
            if not low < limit < high:
                break
        return [ids[position] for position in pairs.apart(low)], low

    def _pairs(self, ids: Sequence[str]) -> Pairs:
        names = [str(name) for name in ids]
        moment, held = self._moment, self._held
        if held is not None and held[0] is moment and held[1].ids == names:
            return held[1]
        # Let go first: the vectors of two views may not fit into memory together.
        held = self._held = None
        index, snapshot = self._records.index, None
        if isinstance(index.engine, LocalIndex):
            snapshot = index.engine.snapshot()
        vectors = None if snapshot is None else _in_place(snapshot, names)
        if vectors is None:
            vectors, snapshot = self._records.vectors_of(names), None
        made = Pairs(index.info.metric, names, vectors)
        self._held = moment, made, snapshot
        return made


def _in_place(snapshot: Snapshot, ids: Sequence[str]) -> NDArray[np.float32] | None:
    """Return the vectors of records, not copied, where the store has them in this order."""
    rows = snapshot.rows_of(ids)
    if len(rows) != len(ids) or not bool((np.diff(rows) == 1).all()):
        return None
    start = int(rows[0]) if len(rows) else 0
    return snapshot.vectors[start : start + len(rows)]


def _positions(found: Sequence[tuple[Any, Any]], return_dists: bool) -> Any:
    inds = [columns for columns, _ in found]
    return (inds, [dists for _, dists in found]) if return_dists else inds


@contextmanager
def _progress_bar(records: int, what: str) -> Iterator[Callable[[int, int], None]]:
    """Show progress in FiftyOne's way, where the work takes long."""
    shown = records >= _PROGRESS_FROM_RECORDS
    with fou.ProgressBar(total=records, progress=shown, iters_str=what) as bar:

        def progress(done: int, total: int) -> None:
            bar.set_iteration(records * done // total)

        yield progress
