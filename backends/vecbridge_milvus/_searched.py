"""What :mod:`vecbridge.remote` asks of a collection, by the reads of one operation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import nsmallest
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecbridge import IdRange, IndexInfo, InvalidArgumentError, Records, Scope
from vecbridge.ranking import SPARE, ScoreForm
from vecbridge.remote import Columns, Nearest, Page
from vecbridge_milvus._expr import both
from vecbridge_milvus._reader import Reader
from vecbridge_milvus._schema import MAX_LIMIT, Layout
from vecbridge_milvus._wire import FORMS, Entity, to_ids, to_stored, to_vectors

_MOST_BYTES = 16 << 30
"""Vectors that are read for a sample; beyond that, a user has to name the effort."""

_HARDER = 8
"""How many times the effort to try again with where hits are missing."""


class SearchEffort(NamedTuple):
    """The effort of a search.

    Attributes:
        value: of the index's search parameter.
        fetched: how many times the candidates to fetch; what codes lose is found among more.
    """

    value: int
    fetched: int = 1

    def limit(self, k: int) -> int:
        """Return how many hits to ask for."""
        return min((k + SPARE) * self.fetched, MAX_LIMIT)


class SearchedRecords:
    """Implements :class:`vecbridge.remote.SearchedCollection` by the reads of an operation."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    @property
    def info(self) -> IndexInfo:
        """The schema, as the server has it."""
        return self.layout.info

    @property
    def form(self) -> ScoreForm:
        """How Milvus gives its scores."""
        return FORMS[self.info.metric]

    def count(self, reader: Reader, scope: Scope) -> int:
        """Return the number of rows in scope."""
        return reader.count(self.layout.expressions.of(scope))

    def page(
        self,
        reader: Reader,
        scope: Scope,
        ids: IdRange | None,
        limit: int,
        after: str | None,
        columns: Columns,
    ) -> Page:
        """Return the first records in scope by id, with their vectors, or those after an id."""
        layout, where = self.layout, self.layout.expressions.of(scope)
        output, most = [layout.key, layout.vector], min(limit, self.layout.page_rows)
        if after is not None:
            where = both(where, layout.expressions.after(after))
        elif scope.where is not None:
            # Most filters find few. Where no order is asked for, a short answer is a whole one.
            rows = reader.query(where, output, limit=most)
            if len(rows) < most:
                return Page(self._records(rows), None)
        records = self._records(next(reader.pages(output, most, scope=where), []))
        return Page(records, records.ids[-1] if records.ids else None)

    def _records(self, rows: Sequence[Entity]) -> Records:
        return Records(to_ids(self.layout, rows), to_vectors(self.layout, rows))

    def nearest(
        self,
        reader: Reader,
        queries: NDArray[np.float32],
        limit: int,
        scope: Scope,
        effort: SearchEffort | None,
    ) -> list[Nearest]:
        """Return what a search without any parameters finds."""
        return self.searched(reader, queries, limit, scope)

    def searched(
        self,
        reader: Reader,
        queries: NDArray[np.float32],
        limit: int,
        scope: Scope,
        parameters: Mapping[str, Any] | None = None,
        *,
        vectors: bool = True,
    ) -> list[Nearest]:
        """Return what a search finds, with vectors or without."""
        where, sent = self.layout.expressions.of(scope), to_stored(self.layout, queries)
        return reader.search(sent, limit, where, vectors=vectors, parameters=parameters)


class IndexedRecords(SearchedRecords):
    """Implements :class:`vecbridge.remote.ApproximateCollection` by the reads of an operation.

    Args:
        layout: of the collection.
        given: search parameters that the user names.
    """

    exhaustive = False
    efforts: Sequence[SearchEffort] = ()
    """None are listed: :class:`vecbridge_milvus._recall.MilvusTuner` makes them."""

    def __init__(self, layout: Layout, given: Mapping[str, Any]) -> None:
        super().__init__(layout)
        self._given = given

    def nearest(
        self,
        reader: Reader,
        queries: NDArray[np.float32],
        limit: int,
        scope: Scope,
        effort: SearchEffort | None,
    ) -> list[Nearest]:
        """Return what a search with an effort finds."""
        kind = self.layout.index
        value = kind.usual(limit) if effort is None else effort.value
        return self.searched(reader, queries, limit, scope, kind.parameters(limit, value))

    def tried(
        self,
        reader: Reader,
        queries: NDArray[np.float32],
        k: int,
        scope: Scope,
        effort: SearchEffort,
        *,
        vectors: bool,
    ) -> list[Nearest]:
        """Return what an effort finds, and a greater one where that is less than ``k``."""
        kind, limit = self.layout.index, effort.limit(k)
        found: dict[int, Nearest] = {}
        short = list(range(len(queries)))
        values = [effort.value, _HARDER * effort.value, kind.most()]
        for value in dict.fromkeys(min(value, kind.most()) for value in values):
            parameters = kind.parameters(limit, value, self._given)
            again = self.searched(reader, queries[short], limit, scope, parameters, vectors=vectors)
            found |= zip(short, again, strict=True)
            short = [place for place in short if len(found[place].ids) < k]
            if not short or kind.search_param is None:
                break
        return [found[place] for place in range(len(queries))]

    def sample(self, reader: Reader, count: int) -> NDArray[np.float32]:
        """Return the vectors of some records, each as likely as any other.

        Raises:
            InvalidArgumentError: there is too much to look at, to meet a recall.
        """
        layout = self.layout
        size = 4 * layout.stored_dimension * reader.count("")
        if size > _MOST_BYTES:
            raise InvalidArgumentError(
                f"to meet a recall, index {layout.info.name!r} would have to be read once, and it "
                f"holds {size >> 30} GiB of vectors; name the effort instead: "
                f"search_params={{{layout.index.search_param or 'level'!r}: ...}}"
            )
        drawn: list[tuple[float, str]] = []
        generator = np.random.default_rng(0)
        for page in reader.pages([layout.key], MAX_LIMIT):
            lots = generator.random(len(page)).tolist()
            keys = (row[layout.key] for row in page)
            drawn = nsmallest(count, [*drawn, *zip(lots, keys, strict=True)])
        output = [layout.key, layout.vector]
        rows = (
            reader.query(layout.expressions.keys(name for _, name in drawn), output)
            if drawn
            else []
        )
        return to_vectors(layout, rows)

    def prepare(self, reader: Reader, records: int) -> None:
        """Do nothing: a server builds its indexes by itself."""
