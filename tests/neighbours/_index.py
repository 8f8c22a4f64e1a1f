"""One of FiftyOne's similarity indexes, spoken to as a :class:`vecbridge.VectorIndex`.

Nothing is mended on the way. A call goes to the method of theirs that is meant for it, and what
comes back is handed on. What they have no method for raises ``UnsupportedError``.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecbridge import (
    BackendError,
    Candidates,
    Capabilities,
    ClosedError,
    Consistency,
    Fields,
    Hits,
    IdRange,
    IndexInfo,
    IndexNotFoundError,
    Records,
    Scope,
    UnsupportedError,
    VecbridgeError,
)


class Use(NamedTuple):
    """How a caller uses their index.

    Attributes:
        checks: their own checks of existing and missing ids are asked for.
        ids_at_hand: the ids of the dataset are given where the index cannot list its own.
        lists: ids are given as lists, where their documentation says arrays.
        size_once_written: the size is not asked for before something was added.
        object_ids: ids are given as 24 hexadecimal digits, for an index that takes no others.
    """

    checks: bool = False
    ids_at_hand: bool = False
    lists: bool = False
    size_once_written: bool = False
    object_ids: bool = False


class NeighbourIndex:
    """An index of FiftyOne's.

    Args:
        info: what it was made as; FiftyOne keeps that in MongoDB.
        theirs: the ``SimilarityIndex``.
        capabilities: what their documentation says of it.
        use: how it is used.
        written: every id that was ever written, by what it was given as; the dataset has them.
        alive: whether FiftyOne still knows the index.
    """

    def __init__(
        self,
        info: IndexInfo,
        theirs: Any,
        capabilities: Capabilities,
        use: Use,
        written: dict[str, str],
        alive: Callable[[], bool],
    ) -> None:
        self.info = info
        self.capabilities = capabilities
        self._theirs = theirs
        self._use = use
        self._written = written
        self._alive = alive
        self._closed = False

    def upsert(
        self, ids: Sequence[str], vectors: NDArray[np.float32], fields: Fields | None = None
    ) -> None:
        """``add_to_index``, which is documented to overwrite."""
        names = self._given(ids)
        self._written.update(zip(names, ids, strict=True))
        with self._theirs_at("upsert") as theirs:
            theirs.add_to_index(
                vectors.copy(),
                names if self._use.lists else np.array(names, dtype=object),
                overwrite=True,
                warn_existing=self._use.checks,
            )

    def delete(self, ids: Sequence[str]) -> None:
        """``remove_from_index``, which is documented to pass over ids that are not there."""
        with self._theirs_at("delete") as theirs:
            theirs.remove_from_index(
                sample_ids=self._given(ids), allow_missing=True, warn_missing=self._use.checks
            )

    def fetch(self, ids: Sequence[str], *, vectors: bool, consistency: Consistency) -> Records:
        """``get_embeddings``, put into the order of the request, which it does not promise."""
        with self._theirs_at("fetch") as theirs:
            found, names, _ = theirs.get_embeddings(sample_ids=self._given(ids), allow_missing=True)
        rows = {name: row for row, name in enumerate(self._taken(names))}
        there = [name for name in ids if name in rows]
        missing = tuple(name for name in ids if name not in rows)
        matrix = self._matrix(found)[[rows[name] for name in there]]
        return Records(tuple(there), matrix, missing=missing)

    def contains(self, ids: Sequence[str], *, consistency: Consistency) -> NDArray[np.bool_]:
        """Return which of them ``get_embeddings`` gives."""
        there = set(self.fetch(ids, vectors=False, consistency=consistency).ids)
        return np.array([name in there for name in ids], dtype=np.bool_)

    def count(self, scope: Scope) -> int:
        """``total_index_size``."""
        if self._use.size_once_written and not self._written:
            return 0
        with self._theirs_at("count") as theirs:
            return int(theirs.total_index_size)

    def scan(
        self, batch_size: int, scope: Scope, ids: IdRange | None, *, vectors: bool
    ) -> Iterator[Records]:
        """``get_embeddings`` of everything, in pages."""
        with self._theirs_at("scan") as theirs:
            if self._empty(theirs):
                return
            known = list(self._written) if self._use.ids_at_hand else None
            found, names, _ = theirs.get_embeddings(sample_ids=known)
        matrix, taken = self._matrix(found), self._taken(names)
        for start in range(0, len(taken), batch_size):
            page = slice(start, start + batch_size)
            yield Records(taken[page], matrix[page])

    def search(self, queries: NDArray[np.float32], k: int, scope: Scope) -> list[Hits]:
        """Return what ``_kneighbors`` finds, and the numbers that it calls distances."""
        return [
            Hits(ids, np.asarray(distances, dtype=np.float64))
            for ids, distances in self._neighbours(queries, k, scope.within)
        ]

    def candidates(self, queries: NDArray[np.float32], k: int, scope: Scope) -> list[Candidates]:
        """Return what ``_kneighbors`` finds, with vectors of ``get_embeddings``."""
        answers = []
        for ids, _ in self._neighbours(queries, k, scope.within):
            found = (
                self.fetch(ids, vectors=True, consistency=scope.consistency)
                if ids
                else Records((), self._matrix([]))
            )
            answers.append(Candidates(found.ids, found.vectors, -math.inf))
        return answers

    def close(self) -> None:
        """There is nothing to close; the object is not used any more."""
        self._closed = True
        self._theirs = None

    def _neighbours(
        self, queries: NDArray[np.float32], k: int, within: Sequence[str] | None
    ) -> list[tuple[tuple[str, ...], Any]]:
        with self._theirs_at("search") as theirs:
            if self._empty(theirs):
                return [((), ()) for _ in queries]
            with theirs.only(None if within is None else self._given(within)):
                return [self._neighbours_of(theirs, query, k) for query in queries]

    def _neighbours_of(
        self, theirs: Any, query: NDArray[np.float32], k: int
    ) -> tuple[tuple[str, ...], Any]:
        """As ``sort_by_similarity`` asks: for the mean of its queries, of which this is one."""
        ids, _, distances = theirs._kneighbors(
            query=query[np.newaxis].copy(), k=k, aggregation="mean", return_dists=True
        )
        return self._taken(ids), distances

    def _given(self, ids: Sequence[str]) -> list[str]:
        """Ids as they are given to the index."""
        return [object_id(name) for name in ids] if self._use.object_ids else list(ids)

    def _taken(self, names: Any) -> tuple[str, ...]:
        """Return the ids as the caller gave them, of ids as the index has them."""
        return tuple(self._written.get(str(name), str(name)) for name in names)

    def _empty(self, theirs: Any) -> bool:
        """Return whether nothing was added yet: their index has no dimension then."""
        return not self._written or int(theirs.total_index_size) == 0

    def _matrix(self, found: Any) -> NDArray[np.float32]:
        return np.array(found, dtype=np.float32).reshape(-1, self.info.dimension)

    @contextmanager
    def _theirs_at(self, operation: str) -> Iterator[Any]:
        about: Any = {"backend": "neighbour", "operation": operation}
        if self._closed:
            raise ClosedError(f"{operation} after close: open it again", **about)
        if not self._alive():
            raise IndexNotFoundError(f"index {self.info.name!r} is not there: it was dropped")
        try:
            yield self._theirs
        except VecbridgeError:
            raise
        except Exception as error:
            if refused := _refused(error):
                raise UnsupportedError(f"not offered: {error}", capability=refused) from error
            raise BackendError(
                f"{operation} failed: {type(error).__name__}: {error}", **about
            ) from error


def object_id(name: str) -> str:
    """24 hexadecimal digits that stand for an id, as FiftyOne's own are written."""
    return hashlib.sha256(name.encode()).hexdigest()[:24]


_REFUSALS = ("does not support", "requires k<=", "Unsupported")


def _refused(error: Exception) -> str:
    """Return what a message of theirs says is missing; empty where it is about something else."""
    return next((words for words in _REFUSALS if words in str(error)), "")


def scoped(kind: type) -> type:
    """One of their index classes, with a view given as a list of ids.

    FiftyOne keeps ids in MongoDB and has none that are not its own; the suite's are hostile. The
    class answers what a view is asked, and their search goes on from there.
    """

    class Scoped(kind):  # type: ignore[misc]
        _only: list[str] | None = None

        @property
        def has_view(self) -> bool:
            return self._only is not None

        @property
        def current_sample_ids(self) -> Any:
            if self._only is None:
                return super().current_sample_ids
            if self.sample_ids is not None:
                return self.sample_ids[self._current_inds]
            return np.array(self._only, dtype=object)

        @property
        def _current_inds(self) -> Any:
            if self._only is None or self.sample_ids is None:
                return None
            wanted = set(self._only)
            return np.flatnonzero([name in wanted for name in self.sample_ids])

        @contextmanager
        def only(self, ids: Sequence[str] | None) -> Iterator[None]:
            self._only = None if ids is None else list(ids)
            try:
                yield
            finally:
                self._only = None

    return Scoped
