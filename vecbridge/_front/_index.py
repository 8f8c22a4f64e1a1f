"""``Index``: the one front of every store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from types import TracebackType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vecbridge._contract._capabilities import Capabilities
from vecbridge._contract._consistency import Consistency, parse_consistency, satisfying_level
from vecbridge._contract._filters import Filter, shown
from vecbridge._contract._hits import Candidates, Hits
from vecbridge._contract._protocols import VectorIndex
from vecbridge._contract._ranking import Ranking, parse_ranking
from vecbridge._contract._records import Fields, IndexInfo, Records
from vecbridge._contract._settling import settle
from vecbridge._errors import InvalidArgumentError, UnsupportedError
from vecbridge._front import _validate as validate
from vecbridge._front import _vector_values as vector_values
from vecbridge._front._aggregate import Aggregation, mean_query, parse_aggregation, reducer
from vecbridge._front._answers import checked
from vecbridge._front._exact import exact_search
from vecbridge._front._farthest import farthest_search
from vecbridge._front._lifetime import Lifetime
from vecbridge._front._native import native_search
from vecbridge._front._operation import operation
from vecbridge._front._scan import Scope, batch_rows, no_candidates, no_hits, scan_rank
from vecbridge._front._whole import WholeIndex
from vecbridge._front._within import is_most, is_sent, is_too_long, search_within
from vecbridge._front._writing import upsert_records


class Index(WholeIndex):
    """A named set of records, the same to the caller whatever store holds it.

    Wraps any :class:`vecbridge.VectorIndex` and is one itself. Obtained from
    :meth:`vecbridge.Store.create_index` and :meth:`vecbridge.Store.open_index`.

    Args:
        engine: the store's implementation.
        consistency: level of a read that asks for none; the index's own by default.

    Example:
        >>> import vecbridge
        >>> index = vecbridge.get_backend("sklearn").create_index(
        ...     "points", dimension=2, metric="euclidean"
        ... )
        >>> index.upsert(["origin", "far"], [[0, 0], [3, 4]])
        >>> index.search([0, 0], k=2)[0]
        Hits(ids=('origin', 'far'), distances=array([0., 5.]), exact=True)
    """

    def __init__(self, engine: VectorIndex, *, consistency: Consistency | None = None) -> None:
        self._engine = engine
        self._checked = checked(engine)
        self._consistency = consistency
        self._lifetime = Lifetime(type(engine).__name__)

    def __repr__(self) -> str:
        info = self.info
        return f"<Index {info.name!r}: {info.dimension} dimensions, {info.metric}>"

    def __enter__(self) -> Index:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def engine(self) -> VectorIndex:
        """The store's own object, for what only that store can do."""
        return self._engine

    @property
    def info(self) -> IndexInfo:
        """Name, dimension, metric, fields and default consistency."""
        known, level = self._engine.info, self._consistency
        return known if level is None else replace(known, consistency=level)

    @property
    def capabilities(self) -> Capabilities:
        """What the live store can do."""
        return self._engine.capabilities

    @operation
    def upsert(
        self,
        ids: Iterable[str],
        vectors: ArrayLike,
        fields: Fields | None = None,
        *,
        drop_unsupported: bool = False,
    ) -> None:
        """Inserts records, or replaces those whose ids are there already.

        Any size: batches are made to fit the store. Doing the same call again is always safe.

        Args:
            ids: ``n`` distinct strings of 1 to 512 UTF-8 bytes, any character but NUL.
            vectors: ``(n, d)``, anything array-like; converted to float32 once, never changed.
            fields: a column of ``n`` values for each scalar field of the index.
            drop_unsupported: write although the store's own columns that ``info.unsupported``
                names are erased from the records that are replaced.

        Raises:
            InvalidInputError: an argument is unusable; nothing was written.
            UnsupportedError: ``info.unsupported`` names what would be erased; nothing was written.
            PartialWriteError: the store failed part-way; it says which ids are written.
            BackendError: the store failed before anything was acknowledged.
        """
        upsert_records(
            self._checked, ids, vectors, fields, self._lifetime.backend, dropped=drop_unsupported
        )

    @operation
    def delete(self, ids: Iterable[str]) -> None:
        """Removes records; ids that are not there are ignored.

        Raises:
            InvalidIdError: an id is unusable; nothing was deleted.
            BackendError: the store failed; doing the same call again is always safe.
        """
        names = validate.ids(ids, unique=False)
        if names:
            self._checked.delete(names)

    @operation
    def fetch(self, ids: Iterable[str], *, consistency: Consistency | None = None) -> Records:
        """Records in request order, bit for bit as they were written.

        Ids that are not there are listed in :attr:`Records.missing`; an id that is asked for twice
        comes once. The vectors are ``(m, d)`` float32.

        Raises:
            InvalidIdError: an id is unusable.
        """
        names = validate.ids(ids, unique=False)
        return self._checked.fetch(names, consistency=self._level(consistency))

    @operation
    def contains(
        self, ids: Iterable[str], *, consistency: Consistency | None = None
    ) -> NDArray[np.bool_]:
        """Whether each id is there: ``(n,)`` bools, one an id, in request order.

        Raises:
            InvalidIdError: an id is unusable.
        """
        names = validate.id_column(ids)
        distinct = list(dict.fromkeys(names))
        found = self._checked.contains(distinct, consistency=self._level(consistency))
        known = dict(zip(distinct, found.tolist(), strict=True))
        return np.array([known[name] for name in names], dtype=np.bool_)

    @operation
    def count(self, *, consistency: Consistency | None = None) -> int:
        """The number of live records, exact at its consistency level."""
        return self._checked.count(consistency=self._level(consistency))

    def __len__(self) -> int:
        return self.count()

    def __bool__(self) -> bool:
        # Or ``if index:`` would ask the store, and be false of an empty one.
        return True

    @operation
    def scan(
        self, batch_size: int | None = None, *, consistency: Consistency | None = None
    ) -> Iterator[Records]:
        """Every live record once, in batches.

        Args:
            batch_size: most records at a time; by default as many as fit 16 MiB.
            consistency: level of the read.
        """
        size = (
            batch_rows(self._engine)
            if batch_size is None
            else validate.positive(batch_size, "batch_size")
        )
        return self._checked.scan(size, consistency=self._level(consistency))

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
    ) -> list[Hits]:
        """Return the nearest records of each query, by (distance, id).

        Args:
            queries: ``(q, d)``, or ``(d,)`` for one query.
            k: how many hits; more than there are gives all, ``None`` asks for all.
            within: only these ids are candidates; unknown ones are ignored.
            where: only records that match are candidates, as in ``field("label") == "cat"``.
            consistency: level of the read; the index's own by default.
            ranking: ``"exact"`` gives the contract's ranking, the same bits from every store that
                declares ``exact``, and an approximate index's own choice of records otherwise.
                ``"certified"`` gives the contract's ranking from every store: an approximate index
                is passed over, and every record in scope is read. ``"no-scan"`` never reads every
                record to certify an answer: where float32 cannot decide the ranking, the answer
                says ``exact=False``. ``"native"`` gives the engine's own distances.

        Returns:
            One :class:`Hits` a query.

        Raises:
            InvalidInputError: an argument is unusable.
            UnsupportedError: the store has no filters, or no level as strong as is asked for.
        """
        array = vector_values.queries(queries, dimension=self.info.dimension)
        wanted = parse_ranking(ranking)
        limit = None if k is None else validate.positive(k, "k")
        # To find what is listed twice takes as long as many a search.
        given = self._scope(within, where, consistency, as_given=True)
        if not len(array):
            return []
        if given.nothing:
            return no_hits(len(array), exact=wanted != "native")
        if limit is None or (wanted == "certified" and not self.capabilities.exact):
            return scan_rank(self._checked, array, limit, given.distinct())
        native = wanted == "native"
        sent = is_sent(self, given) and (not native or is_too_long(self, given))
        if sent or (not native and is_most(self._checked, given, len(array))):
            return search_within(self._checked, array, limit, given, wanted)
        scope = given.distinct()
        if native:
            return native_search(self._checked, array, limit, scope)
        return exact_search(self._checked, array, limit, scope, wanted)

    @operation
    def farthest(
        self,
        queries: ArrayLike,
        k: int | None = 10,
        *,
        within: Iterable[str] | None = None,
        where: Filter | None = None,
        consistency: Consistency | None = None,
    ) -> list[Hits]:
        """The farthest records of each query, farthest first, ties by id.

        Answers and errors are those of :meth:`search`.

        Args:
            queries: ``(q, d)``, or ``(d,)`` for one query.
            k: how many hits; ``None`` ranks everything.
            within: only these ids are candidates.
            where: only records that match are candidates.
            consistency: level of the read.
        """
        array = vector_values.queries(queries, dimension=self.info.dimension)
        limit = None if k is None else validate.positive(k, "k")
        scope = self._scope(within, where, consistency)
        if not len(array):
            return []
        if scope.nothing:
            return no_hits(len(array), exact=True)
        if limit is None:
            return scan_rank(self._checked, array, None, scope, farthest=True)
        mirror = not is_sent(self, scope)
        return farthest_search(self._checked, array, limit, scope, mirror=mirror)

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
    ) -> Hits:
        """Return one ranking by several queries.

        Args:
            queries: ``(q, d)`` with at least one query, or ``(d,)``.
            k: how many hits; ``None`` ranks everything.
            aggregation: ``"mean"`` ranks by the distance to the mean of the queries;
                ``"post-mean"``, ``"post-min"`` and ``"post-max"`` by the mean, least and greatest
                of the distances to each query.
            farthest: the farthest records instead, farthest first.
            within: only these ids are candidates.
            where: only records that match are candidates.
            consistency: level of the read.
            ranking: as of :meth:`search`. Every other answer than the nearest to the mean is
                certified anyway, and takes only ``"exact"`` and ``"certified"``.

        Raises:
            InvalidInputError: an argument is unusable, or there is no query.
            UnsupportedError: as of :meth:`search`.
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
                return self.farthest(mean, k, within=within, where=where, consistency=consistency)[
                    0
                ]
            return self.search(
                mean, k, within=within, where=where, consistency=consistency, ranking=ranking
            )[0]
        limit = None if k is None else validate.positive(k, "k")
        scope = self._scope(within, where, consistency)
        reduce = reducer(wanted)
        return scan_rank(self._checked, array, limit, scope, farthest=farthest, reduce=reduce)[0]

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
        """The engine's candidates, as :meth:`vecbridge.VectorIndex.candidates` defines them."""
        scope = self._scope(within, where, consistency)
        array = vector_values.queries(queries, dimension=self.info.dimension)
        count, level = validate.positive(k, "k"), scope.consistency
        if scope.nothing:
            return no_candidates(len(array), self.info.dimension)
        return self._checked.candidates(
            array, count, within=scope.within, where=scope.where, consistency=level
        )

    def close(self) -> None:
        """Lets go of what this index alone holds. May be called twice."""
        self._lifetime.end()
        self._engine.close()

    def _span_attributes(self) -> dict[str, str | int]:
        return {
            "db.system.name": self._lifetime.backend,
            "db.collection.name": self.info.name,
            "vecbridge.dimension": self.info.dimension,
            "vecbridge.metric": self.info.metric,
        }

    def _scope(
        self,
        within: Iterable[str] | None,
        where: Filter | None,
        consistency: Consistency | None,
        *,
        as_given: bool = False,
    ) -> Scope:
        settled = where is None or self._settled(where)
        names = None if within is None else validate.id_column(within)
        wanted = None if isinstance(settled, bool) else settled
        scope = Scope(names, wanted, self._level(consistency), nothing=settled is False)
        return scope if as_given else scope.distinct()

    def _settled(self, where: Filter) -> Filter | bool:
        if not self.capabilities.filters:
            raise UnsupportedError(
                f"this store does not declare filters, so index {self.info.name!r} cannot answer "
                f"where={shown(where)}; give the candidates' ids as within=[...]",
                capability="filters",
            )
        return settle(where, self.info.fields)

    def _level(self, wanted: Consistency | None) -> Consistency:
        asked = self.info.consistency if wanted is None else parse_consistency(wanted)
        level = satisfying_level(asked, self.capabilities.consistency)
        if level is None:
            offered = ", ".join(sorted(self.capabilities.consistency))
            message = f"this store offers {offered} reads; none is as strong as {asked}"
            raise UnsupportedError(message, capability="consistency")
        return level
