"""Searches by an approximate index, with the effort that its recall needs."""

from __future__ import annotations

import math
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._hits import Candidates, Hits
from vecbridge._contract._scope import Scope
from vecbridge.ranking import UNCERTIFIED, SentQuery
from vecbridge.remote._collection import ApproximateCollection, Nearest
from vecbridge.remote._recall import RecallTuner
from vecbridge.remote._search import ExactRanker, Outside, joined
from vecbridge.remote._walk import walked

ClientT = TypeVar("ClientT")


class ApproximateRanker(Generic[ClientT]):
    """Searches a collection by its approximate index.

    What the index cannot answer is found by looking at every record: by a search, where the
    collection is ``exhaustive``, and else by reading.

    Args:
        collection: the collection.
        exact: searches it exactly.
        tuner: finds the effort of a search.
    """

    def __init__(
        self,
        collection: ApproximateCollection[ClientT],
        exact: ExactRanker[ClientT],
        tuner: RecallTuner[ClientT],
    ) -> None:
        self.collection = collection
        self.exact = exact
        self.tuner = tuner

    def candidates(
        self, client: ClientT, /, queries: NDArray[np.float32], k: int, scope: Scope
    ) -> list[Candidates]:
        """Return at least ``min(k, n)`` records of each query, likely the nearest."""
        sent, asked = self.exact.geometry.prepare(queries)
        effort = self.tuner.effort(client, sent, k, scope)
        if self.collection.exhaustive and not effort.met:
            return self.exact.candidates(client, queries, k, scope)
        found = self.found(client, sent, k, scope, effort.value)
        lacking = [self._lacks(query, hits, k) for query, hits in zip(asked, found, strict=True)]
        unsafe = Outside.nothing(queries.shape[1])
        if any(lacking):
            unsafe = self.exact.unsafe(client, scope, self.exact.limit(k))
        answers: list[Candidates | None] = []
        for query, hits, lacks in zip(asked, found, lacking, strict=True):
            ids, vectors = joined(unsafe.ids, unsafe.vectors, hits.ids, hits.vectors)
            # No count tells that these are all: others may have come and gone since the search.
            if len(ids) < k or (self.collection.exhaustive and not self._trusts(query)):
                answers.append(None)
            else:
                # Where that is not what was asked for, a scan is.
                enough = effort.met and not (lacks and self.exact.blind)
                answers.append(Candidates(ids, vectors, -math.inf if enough else UNCERTIFIED))
        others = [place for place, found in enumerate(answers) if found is None]
        rest = iter(self._exactly(client, queries[others], k, scope) if others else [])
        return [next(rest) if each is None else each for each in answers]

    def native(
        self, client: ClientT, /, queries: NDArray[np.float32], k: int, scope: Scope
    ) -> list[Hits]:
        """Return the index's own ranking of each query, with what the index leaves out."""
        sent, asked = self.exact.geometry.prepare(queries)
        effort = self.tuner.effort(client, sent, k, scope)
        if not effort.met and self.collection.exhaustive:
            return self.exact.native(client, queries, k, scope)
        if not effort.met:
            none = [Hits((), np.empty(0)) for _ in queries]
            return self.exact.completed(client, queries, none, k, scope)
        found = self.found(client, sent, k, scope, effort.value)
        nothing = Outside.nothing(queries.shape[1])
        best = [
            self.exact.ranked(query, hits, nothing, k)
            for query, hits in zip(asked, found, strict=True)
        ]
        if self.collection.exhaustive:
            pairs = enumerate(zip(asked, best, strict=True))
            others = [at for at, (query, hits) in pairs if len(hits) < k or not self._trusts(query)]
            exact = self.exact.native(client, queries[others], k, scope) if others else []
            for place, hits in zip(others, exact, strict=True):
                best[place] = hits
        return self.exact.completed(client, queries, best, k, scope)

    def found(
        self, client: ClientT, /, sent: NDArray[np.float32], k: int, scope: Scope, effort: Any
    ) -> list[Nearest]:
        """Return what the index finds with an effort, some more than ``k`` of each query."""
        return self.collection.nearest(client, sent, self.exact.limit(k), scope, effort)

    def _exactly(
        self, client: ClientT, queries: NDArray[np.float32], k: int, scope: Scope
    ) -> list[Candidates]:
        """Return candidates that the index did not find."""
        if self.collection.exhaustive:
            return self.exact.candidates(client, queries, k, scope)
        return walked(self.collection, client, queries, self.exact.limit(k), scope)

    def _lacks(self, query: SentQuery, hits: Nearest, k: int) -> bool:
        """Return whether records that the index drops, or misjudges, may belong here."""
        native = self.exact.geometry.distances(hits.scores, query)
        return not self._trusts(query) or self.exact.lacks(native, k)

    def _trusts(self, query: SentQuery) -> bool:
        return self.exact.geometry.trusts(query)
