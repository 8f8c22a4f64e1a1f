"""``Index``: what every caller uses, the same for every store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from numpy.typing import ArrayLike

from vecbridge._client import _neighborhoods as neighborhoods
from vecbridge._client import _validate as validate
from vecbridge._client import _vector_values as vector_values
from vecbridge._client._farthest import farthest_search
from vecbridge._client._hit_fields import FieldNames, parse_field_names, with_fields
from vecbridge._client._neighborhoods import Progress
from vecbridge._client._operation import operation
from vecbridge._client._pushdown import is_pushed
from vecbridge._client._records import RecordIndex
from vecbridge._client._scan import REDUCERS, mean_query, no_candidates, no_hits, scan_rank
from vecbridge._client._search import search
from vecbridge._contract._consistency import Consistency
from vecbridge._contract._field_types import FieldType
from vecbridge._contract._filters import Filter
from vecbridge._contract._hits import Candidates, Hits
from vecbridge._contract._ranking import Aggregation, Ranking, parse_aggregation, parse_ranking
from vecbridge._contract._scope import Scope
from vecbridge._errors import InvalidArgumentError, UnsupportedError


class Index(RecordIndex):
    """A named set of records, the same to the caller whatever store holds it.

    Obtained from :meth:`vecbridge.Store.create_index` and :meth:`vecbridge.Store.open_index`.

    Args:
        engine: the store's implementation.
        consistency: level of reads that do not name one; the index's own by default.
        budgets: limits on what one read may take at a time.

    Example:
        >>> import vecbridge
        >>> index = vecbridge.get_backend("sklearn").create_index(
        ...     "points", dimension=2, metric="euclidean"
        ... )
        >>> index.upsert(["origin", "far"], [[0, 0], [3, 4]])
        >>> index.search([0, 0], k=2)[0]
        Hits(ids=('origin', 'far'), distances=array([0., 5.]), exact=True)
    """

    def __enter__(self) -> Index:
        return self

    @operation
    def search(
        self,
        queries: ArrayLike,
        k: int | None = 10,
        *,
        within: Iterable[str] | None = None,
        where: Filter | None = None,
        consistency: Consistency | None = None,
        ranking: Ranking = "exact",
        fields: FieldNames = None,
    ) -> list[Hits]:
        """Return the nearest records of each query, by (distance, id).

        Args:
            queries: ``(q, d)``, or ``(d,)`` for one query.
            k: number of hits per query; fewer if there are not as many candidates. ``None`` returns
                all.
            within: only these ids are candidates; unknown ones are ignored.
            where: only records that match are candidates, as in ``field("label") == "cat"``.
            consistency: level of the read; the index's own by default.
            ranking: ``"exact"`` gives the contract's ranking, the same bits from every store that
                declares ``exact``, and an approximate index's own choice of records otherwise.
                ``"certified"`` gives the contract's ranking from every store: an approximate index
                is bypassed, and every record in scope is read. ``"no-scan"`` never reads every
                record to certify an answer: where float32 cannot decide the ranking, the answer has
                ``exact=False``. ``"native"`` gives the engine's own distances.
            fields: names of the fields to return with the hits; ``True`` for all.

        Returns:
            One :class:`Hits` per query.

        Raises:
            InvalidInputError: an argument is unusable.
            UnsupportedError: the records have no fields to filter by, the store offers no level as
                strong as the requested one, or ``"no-scan"`` is combined with a filter that the
                engine cannot evaluate.
        """
        array = vector_values.queries(queries, dimension=self.info.dimension)
        wanted = parse_ranking(ranking)
        limit = None if k is None else validate.positive(k, "k")
        names = parse_field_names(fields, self.info)
        scope = self._scope(within, where, consistency)
        return self._answers(
            lambda: search(self._checked, array, limit, scope, wanted),
            len(array),
            scope,
            names,
            exact=wanted != "native",
        )

    @operation
    def farthest(
        self,
        queries: ArrayLike,
        k: int | None = 10,
        *,
        within: Iterable[str] | None = None,
        where: Filter | None = None,
        consistency: Consistency | None = None,
        fields: FieldNames = None,
    ) -> list[Hits]:
        """Return the farthest records of each query, farthest first, ties by id.

        Answers and errors are those of :meth:`search`.

        Args:
            queries: ``(q, d)``, or ``(d,)`` for one query.
            k: number of hits; ``None`` ranks everything.
            within: only these ids are candidates.
            where: only records that match are candidates.
            consistency: level of the read.
            fields: names of the fields to return with the hits; ``True`` for all.
        """
        array = vector_values.queries(queries, dimension=self.info.dimension)
        limit = None if k is None else validate.positive(k, "k")
        names = parse_field_names(fields, self.info)
        scope = self._scope(within, where, consistency).distinct()
        return self._answers(
            lambda: farthest_search(self._checked, array, limit, scope), len(array), scope, names
        )

    @operation
    def search_aggregated(
        self,
        queries: ArrayLike,
        k: int | None = 10,
        *,
        aggregation: Aggregation = "mean",
        farthest: bool = False,
        within: Iterable[str] | None = None,
        where: Filter | None = None,
        consistency: Consistency | None = None,
        ranking: Ranking = "exact",
        fields: FieldNames = None,
    ) -> Hits:
        """Return one ranking by several queries.

        Args:
            queries: ``(q, d)`` with at least one query, or ``(d,)``.
            k: number of hits; ``None`` ranks everything.
            aggregation: ``"mean"`` ranks by the distance to the mean of the queries;
                ``"post-mean"``, ``"post-min"`` and ``"post-max"`` by the mean, least and greatest
                of the distances to each query.
            farthest: return the farthest records instead, farthest first.
            within: only these ids are candidates.
            where: only records that match are candidates.
            consistency: level of the read.
            ranking: as for :meth:`search`. Any answer other than the nearest to the mean is always
                certified, and accepts only ``"exact"`` and ``"certified"``.
            fields: names of the fields to return with the hits; ``True`` for all.

        Raises:
            InvalidInputError: an argument is unusable, or there is no query.
            UnsupportedError: as for :meth:`search`.
        """
        wanted = parse_aggregation(aggregation)
        if parse_ranking(ranking) in ("no-scan", "native") and (farthest or wanted != "mean"):
            raise InvalidArgumentError(
                f"ranking={ranking!r} is for the nearest to the mean of the queries; every other "
                f"aggregated answer is certified. Leave it out"
            )
        array = vector_values.queries(queries, dimension=self.info.dimension)
        if not len(array):
            raise InvalidArgumentError("an aggregated search needs at least one query; got none")
        if wanted == "mean":
            mean = mean_query(array)
            if farthest:
                (hits,) = self.farthest(
                    mean, k, within=within, where=where, consistency=consistency, fields=fields
                )
            else:
                (hits,) = self.search(
                    mean,
                    k,
                    within=within,
                    where=where,
                    consistency=consistency,
                    ranking=ranking,
                    fields=fields,
                )
            return hits
        limit = None if k is None else validate.positive(k, "k")
        names = parse_field_names(fields, self.info)
        scope = self._scope(within, where, consistency).distinct()
        (hits,) = with_fields(
            self._checked,
            lambda: scan_rank(
                self._checked, array, limit, scope, farthest=farthest, reduce=REDUCERS[wanted]
            ),
            names,
            scope.consistency,
        )
        return hits

    @operation
    def candidates(
        self,
        queries: ArrayLike,
        k: int,
        *,
        within: Iterable[str] | None = None,
        where: Filter | None = None,
        consistency: Consistency | None = None,
    ) -> list[Candidates]:
        """Return the engine's candidates; see :meth:`vecbridge.VectorIndex.candidates`."""
        scope = self._scope(within, where, consistency).distinct()
        array = vector_values.queries(queries, dimension=self.info.dimension)
        count = validate.positive(k, "k")
        if scope.is_empty:
            return no_candidates(len(array), self.info.dimension)
        if not is_pushed(self._checked, scope):
            raise UnsupportedError(
                f"the engine of index {self.info.name!r} does not evaluate all operators of this "
                f"filter, so it has no candidates; search() answers it",
                capability="filters",
            )
        return self._checked.candidates(array, count, scope)

    @operation
    def range_search(
        self,
        queries: ArrayLike,
        radius: float,
        *,
        within: Iterable[str] | None = None,
        where: Filter | None = None,
        consistency: Consistency | None = None,
        fields: FieldNames = None,
    ) -> list[Hits]:
        """Return every record within a distance of each query, nearest first, ties by id.

        Args:
            queries: ``(q, d)``, or ``(d,)`` for one query.
            radius: the largest distance (inclusive), on the scale of the index's metric.
            within: only these ids are candidates.
            where: only records that match are candidates.
            consistency: level of the read.
            fields: names of the fields to return with the hits; ``True`` for all.

        Returns:
            One :class:`Hits` per query.

        Raises:
            InvalidInputError: an argument is unusable, such as a radius that is not a number.
            UnsupportedError: as for :meth:`Index.search`.

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
        limit = neighborhoods.parse_radius(radius)
        names = parse_field_names(fields, self.info)
        scope = self._scope(within, where, consistency).distinct()
        return self._answers(
            lambda: neighborhoods.range_search(self._checked, array, limit, scope),
            len(array),
            scope,
            names,
        )

    @operation
    def neighbors(
        self,
        k: int | None = 10,
        *,
        within: Iterable[str] | None = None,
        where: Filter | None = None,
        consistency: Consistency | None = None,
        progress: Progress | None = None,
        fields: FieldNames = None,
    ) -> Iterator[tuple[str, Hits]]:
        """Yield every record's nearest neighbours: exact, without the record itself, ties by id.

        The records in scope are read once; later changes are not seen. Memory: at most three copies
        of their vectors, 24 bytes per record and neighbour, and about 128 MiB.

        Args:
            k: number of neighbours per record; ``None`` ranks all others, one record at a time.
            within: only these ids take part.
            where: only records that match take part.
            consistency: level of the read.
            progress: called at intervals with how much is done, and of how much.
            fields: names of the fields to return with the hits; ``True`` for all.

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
        names = parse_field_names(fields, self.info)
        scope = self._scope(within, where, consistency).distinct()
        return neighborhoods.neighbors(self._checked, scope, count, progress, names)

    @operation
    def neighbors_within(
        self,
        radius: float,
        *,
        within: Iterable[str] | None = None,
        where: Filter | None = None,
        consistency: Consistency | None = None,
        progress: Progress | None = None,
        fields: FieldNames = None,
    ) -> Iterator[tuple[str, Hits]]:
        """Yield every record's neighbours within a distance; otherwise like :meth:`neighbors`.

        Raises:
            InvalidArgumentError: the radius is not a number.
        """
        limit = neighborhoods.parse_radius(radius)
        names = parse_field_names(fields, self.info)
        scope = self._scope(within, where, consistency).distinct()
        return neighborhoods.neighbors_within(self._checked, scope, limit, progress, names)

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
        """Return near duplicates: the records within a distance of one that is kept.

        Records are visited in ascending order of ids. A record is kept unless one that was kept
        before is within the distance; so all kept records are farther apart. Memory as for
        :meth:`neighbors`.

        Args:
            radius: the largest distance of a duplicate.
            within: only these ids take part.
            where: only records that match take part.
            consistency: level of the read.
            progress: called at intervals with how much is done, and of how much.

        Returns:
            For each kept record that has duplicates, those that are nearer to it than to any other
            kept record (ties by id), nearest first.

        Raises:
            InvalidArgumentError: the radius is not a number.

        Example:
            >>> import vecbridge
            >>> index = vecbridge.get_backend("sklearn").create_index(
            ...     "points", dimension=1, metric="euclidean"
            ... )
            >>> index.upsert(["a", "b", "c"], [[0], [1], [5]])
            >>> {name: hits.ids for name, hits in index.duplicates(1.0).items()}
            {'a': ('b',)}
        """
        limit = neighborhoods.parse_radius(radius)
        scope = self._scope(within, where, consistency).distinct()
        return neighborhoods.duplicates(self._checked, scope, limit, progress)

    def _answers(
        self,
        ask: Callable[[], list[Hits]],
        queries: int,
        scope: Scope,
        fields: Sequence[str],
        *,
        exact: bool = True,
    ) -> list[Hits]:
        """Return the answers of queries with their fields; nothing is asked where none can be."""
        if not queries:
            return []
        if scope.is_empty:
            types: dict[str, FieldType] = {name: self.info.fields[name] for name in fields}
            return no_hits(queries, exact=exact, types=types)
        return with_fields(self._checked, ask, fields, scope.consistency)
