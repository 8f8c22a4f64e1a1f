"""Work on a whole index: what is near each of its records."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vecbridge._contract._consistency import Consistency
from vecbridge._contract._filters import Filter
from vecbridge._contract._hits import Hits
from vecbridge._contract._protocols import RangeIndex, VectorIndex
from vecbridge._contract._records import IndexInfo
from vecbridge._front import _validate as validate
from vecbridge._front import _vector_values as vector_values
from vecbridge._front._answers import CheckedEngine
from vecbridge._front._lifetime import Lifetime
from vecbridge._front._operation import operation
from vecbridge._front._range import native_range, radius_of, scanned_range
from vecbridge._front._scan import Scope, candidates_in, no_hits
from vecbridge.ranking import Pairs

Progress = Callable[[int, int], None]

_FIRST = 64
_GROWTH = 8
_MOST = 4096


class WholeIndex(ABC):
    """The part of :class:`vecbridge.Index` that asks for neighbourhoods, not for the best few."""

    _checked: CheckedEngine
    _lifetime: Lifetime

    @property
    @abstractmethod
    def info(self) -> IndexInfo:
        """The index's."""

    @abstractmethod
    def search(
        self,
        queries: ArrayLike,
        k: int | None = 10,
        *,
        within: Iterable[str] | None = None,
        where: Filter | None = None,
        consistency: Consistency | None = None,
    ) -> list[Hits]:
        """The index's."""

    @abstractmethod
    def _span_attributes(self) -> dict[str, str | int]:
        """What a span says of it."""

    @abstractmethod
    def _scope(
        self,
        within: Iterable[str] | None,
        where: Filter | None,
        consistency: Consistency | None,
    ) -> Scope:
        """Which records are candidates."""

    @operation
    def range_search(
        self,
        queries: ArrayLike,
        radius: float,
        *,
        within: Iterable[str] | None = None,
        where: Filter | None = None,
        consistency: Consistency | None = None,
    ) -> list[Hits]:
        """Every record within a distance of each query, nearest first, ties by id.

        Args:
            queries: ``(q, d)``, or ``(d,)`` for one query.
            radius: the largest distance, itself included, on the scale of the index's metric.
            within: only these ids are candidates.
            where: only records that match are candidates.
            consistency: level of the read.

        Returns:
            One :class:`Hits` a query.

        Raises:
            InvalidInputError: an argument is unusable, such as a radius that is no number.
            UnsupportedError: as of :meth:`Index.search`.

        Example:
            >>> import vecbridge
            >>> index = vecbridge.get_backend("sklearn").create_index(
            ...     "points", dimension=2, metric="euclidean"
            ... )
            >>> index.upsert(["origin", "near", "far"], [[0, 0], [0, 1], [3, 4]])
            >>> index.range_search([0, 0], 1.0)[0].ids
            ('origin', 'near')
        """
        array = vector_values.queries(queries, dimension=self.info.dimension)
        limit = radius_of(radius)
        scope = self._scope(within, where, consistency)
        if scope.nothing:
            return no_hits(len(array), exact=True)
        if isinstance(self._checked, RangeIndex) and len(array):
            return native_range(self._checked, self.info.metric, array, limit, scope)
        answers: dict[int, Hits] = {}
        waiting, k = list(range(len(array))), _FIRST
        while waiting and k <= _MOST:
            found = self.search(
                array[waiting], k, within=scope.within, where=where, consistency=consistency
            )
            for at, hits in zip(waiting, found, strict=True):
                if len(hits) < k or hits.distances[-1] > limit:
                    answers[at] = _first(hits, limit)
            waiting, k = [at for at in waiting if at not in answers], k * _GROWTH
        if waiting:
            scanned = scanned_range(self._checked, array[waiting], limit, scope)
            answers.update(zip(waiting, scanned, strict=True))
        return [answers[at] for at in range(len(array))]

    @operation
    def neighbors(
        self,
        k: int | None = 10,
        *,
        within: Iterable[str] | None = None,
        where: Filter | None = None,
        consistency: Consistency | None = None,
        progress: Progress | None = None,
    ) -> Iterator[tuple[str, Hits]]:
        """For every record, the nearest others: exact, itself left out, ties by id.

        The records in scope are read once, as they are then. Memory: three copies of their vectors
        at most, 24 bytes a record and neighbour, and about 128 MiB.

        Args:
            k: how many others a record; ``None`` ranks them all, one record at a time.
            within: only these ids take part.
            where: only records that match take part.
            consistency: level of the read.
            progress: told how much is done of how much, at intervals.

        Yields:
            Each record's id and its hits, in ascending order of ids.

        Example:
            >>> import vecbridge
            >>> index = vecbridge.get_backend("sklearn").create_index(
            ...     "points", dimension=1, metric="euclidean"
            ... )
            >>> index.upsert(["a", "b", "c"], [[0], [1], [5]])
            >>> [(name, hits.ids) for name, hits in index.neighbors(1)]
            [('a', ('b',)), ('b', ('a',)), ('c', ('b',))]
        """
        count = None if k is None else validate.positive(k, "k")
        scope = self._scope(within, where, consistency)
        return _neighbors(self._checked, scope, count, progress)

    @operation
    def neighbors_within(
        self,
        radius: float,
        *,
        within: Iterable[str] | None = None,
        where: Filter | None = None,
        consistency: Consistency | None = None,
        progress: Progress | None = None,
    ) -> Iterator[tuple[str, Hits]]:
        """For every record, the others within a distance; otherwise as :meth:`neighbors`.

        Raises:
            InvalidArgumentError: the radius is no number.
        """
        limit = radius_of(radius)
        scope = self._scope(within, where, consistency)
        return _neighbors_within(self._checked, scope, limit, progress)

    @operation
    def duplicates(
        self,
        radius: float,
        *,
        within: Iterable[str] | None = None,
        where: Filter | None = None,
        consistency: Consistency | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Hits]:
        """Records that are within a distance of one that is kept.

        In ascending order of ids, a record is kept where no record that was kept before is within
        the distance; so all that are kept are farther apart. Memory as for :meth:`neighbors`.

        Args:
            radius: the largest distance of a duplicate.
            within: only these ids take part.
            where: only records that match take part.
            consistency: level of the read.
            progress: told how much is done of how much, at intervals.

        Returns:
            For each kept record that has any, the duplicates that are nearest to it (among those
            kept; ties by id), nearest first.

        Raises:
            InvalidArgumentError: the radius is no number.

        Example:
            >>> import vecbridge
            >>> index = vecbridge.get_backend("sklearn").create_index(
            ...     "points", dimension=1, metric="euclidean"
            ... )
            >>> index.upsert(["a", "b", "c"], [[0], [1], [5]])
            >>> {name: hits.ids for name, hits in index.duplicates(1.0).items()}
            {'a': ('b',)}
        """
        limit = radius_of(radius)
        pairs = _pairs(self._checked, self._scope(within, where, consistency))
        owners: dict[int, list[tuple[float, int]]] = {}
        kept = pairs.apart(limit, progress=progress)
        for row, (owner, distance) in pairs.nearest_among(kept, limit).items():
            owners.setdefault(owner, []).append((distance, row))
        ids = pairs.ids
        answer: dict[str, Hits] = {}
        for owner in sorted(owners):
            # Rows are in the order of ids.
            found = sorted(owners[owner])
            names = tuple(ids[row] for _, row in found)
            answer[ids[owner]] = Hits(names, np.array([far for far, _ in found]), exact=True)
        return answer


def _neighbors(
    index: VectorIndex, scope: Scope, k: int | None, progress: Progress | None
) -> Iterator[tuple[str, Hits]]:
    pairs = _pairs(index, scope)
    for name, (rows, table) in zip(pairs.ids, pairs.neighbors(k, progress=progress), strict=True):
        yield name, Hits(_names(pairs, rows), table, exact=True)


def _neighbors_within(
    index: VectorIndex, scope: Scope, radius: float, progress: Progress | None
) -> Iterator[tuple[str, Hits]]:
    pairs = _pairs(index, scope)
    for name, (rows, table) in zip(pairs.ids, pairs.within(radius, progress), strict=True):
        # Rows are in the order of ids, and so are ties after a stable sort.
        order = np.argsort(table, kind="stable")
        yield name, Hits(_names(pairs, rows[order]), table[order], exact=True)


def _names(pairs: Pairs, rows: NDArray[np.intp]) -> tuple[str, ...]:
    return tuple([pairs.ids[row] for row in rows.tolist()])


def _pairs(index: VectorIndex, scope: Scope) -> Pairs:
    """The records in scope, in ascending order of ids."""
    ids: list[str] = []
    parts: list[NDArray[np.float32]] = [np.empty((0, index.info.dimension), dtype=np.float32)]
    for records in candidates_in(index, scope):
        ids.extend(records.ids)
        parts.append(records.vectors)
    vectors = np.concatenate(parts)
    del parts
    order = sorted(range(len(ids)), key=ids.__getitem__)
    return Pairs(index.info.metric, [ids[at] for at in order], vectors[order])


def _first(hits: Hits, radius: float) -> Hits:
    count = int(np.searchsorted(hits.distances, radius, side="right"))
    return Hits(hits.ids[:count], hits.distances[:count], exact=hits.exact)
