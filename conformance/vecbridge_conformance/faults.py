"""A proxy before any engine that fails on purpose, or answers what breaks the contract."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from vecbridge import (
    Candidates,
    Capabilities,
    Consistency,
    Fields,
    Hits,
    IdRange,
    IndexInfo,
    OperationTimeoutError,
    Records,
    Scope,
    VectorIndex,
)

__all__ = ["GARBAGE", "Fault", "FaultyIndex", "Moment", "lost"]

Moment = Literal["before", "after", "half", "hang", "garbage"]
"""When a call fails, seen from the engine."""

Answer = TypeVar("Answer")
Spoil = Callable[[Any], Any]


def lost() -> OperationTimeoutError:
    """Return what a store's client raises when no answer comes."""
    return OperationTimeoutError(
        "the store did not answer in time; the call is safe to do again",
        backend="faulty",
        operation="upsert",
        retryable=True,
    )


@dataclass
class Fault:
    """One failure.

    Attributes:
        operation: of which method.
        moment: ``before`` the engine does anything; ``after`` it has done everything, so that only
            the answer is lost; ``half`` of a write done; ``hang`` until released; ``garbage``
            answers with what ``spoil`` makes of the right answer.
        error: makes what is raised.
        skip: so many calls succeed first.
        spoil: makes garbage of an answer.
    """

    operation: str
    moment: Moment
    error: Callable[[], Exception] = lost
    skip: int = 0
    spoil: Spoil | None = None


class FaultyIndex:
    """A :class:`vecbridge.VectorIndex` that does what another does, but for the armed faults.

    Args:
        inner: the engine.
        max_batch_bytes: a smaller limit than the engine's, so that a write takes several calls.

    Attributes:
        released: set it to let a hanging call go on.
        hanging: is set while a call hangs.
    """

    def __init__(self, inner: VectorIndex, *, max_batch_bytes: int | None = None) -> None:
        self._inner = inner
        self._max_batch_bytes = max_batch_bytes
        self._faults: list[Fault] = []
        self.released = threading.Event()
        self.hanging = threading.Event()

    def arm(self, *faults: Fault) -> None:
        """Let these faults happen, each once."""
        self._faults += faults

    @property
    def info(self) -> IndexInfo:
        """Return the engine's."""
        return self._inner.info

    @property
    def capabilities(self) -> Capabilities:
        """Return the engine's, but for the size of a batch and what no fault stands before."""
        capabilities = replace(
            self._inner.capabilities, range_search=False, farthest=False, partitions=False
        )
        if self._max_batch_bytes is None:
            return capabilities
        return replace(capabilities, max_batch_bytes=self._max_batch_bytes)

    def upsert(
        self, ids: Sequence[str], vectors: NDArray[np.float32], fields: Fields | None = None
    ) -> None:
        """Write all, or the first half."""

        def half() -> None:
            some = len(ids) // 2
            columns = {name: column[:some] for name, column in (fields or {}).items()}
            self._inner.upsert(ids[:some], vectors[:some].copy(), columns)

        self._do("upsert", lambda: self._inner.upsert(ids, vectors, fields), half)

    def delete(self, ids: Sequence[str]) -> None:
        """Delete all, or the first half."""

        def half() -> None:
            self._inner.delete(ids[: len(ids) // 2])

        self._do("delete", lambda: self._inner.delete(ids), half)

    def fetch(self, ids: Sequence[str], *, vectors: bool, consistency: Consistency) -> Records:
        """Read by id."""
        return self._do(
            "fetch", lambda: self._inner.fetch(ids, vectors=vectors, consistency=consistency)
        )

    def contains(self, ids: Sequence[str], *, consistency: Consistency) -> NDArray[np.bool_]:
        """Ask for ids."""
        return self._do("contains", lambda: self._inner.contains(ids, consistency=consistency))

    def count(self, scope: Scope) -> int:
        """Count."""
        return self._do("count", lambda: self._inner.count(scope))

    def scan(
        self, batch_size: int, scope: Scope, ids: IdRange | None, *, vectors: bool
    ) -> Iterator[Records]:
        """Read everything; a fault strikes between two batches."""
        for records in self._inner.scan(batch_size, scope, ids, vectors=vectors):
            yield self._do("scan", lambda found=records: found)  # type: ignore[misc]

    def search(self, queries: NDArray[np.float32], k: int, scope: Scope) -> list[Hits]:
        """Search."""
        return self._do("search", lambda: self._inner.search(queries, k, scope))

    def candidates(self, queries: NDArray[np.float32], k: int, scope: Scope) -> list[Candidates]:
        """Find candidates."""
        return self._do("candidates", lambda: self._inner.candidates(queries, k, scope))

    def close(self) -> None:
        """Close the engine."""
        self._inner.close()

    def _do(
        self,
        operation: str,
        call: Callable[[], Answer],
        half: Callable[[], None] | None = None,
    ) -> Answer:
        fault = self._next(operation)
        if fault is None:
            return call()
        if fault.spoil is not None:
            return cast("Answer", fault.spoil(call()))
        if fault.moment == "hang":
            self.hanging.set()
            self.released.wait()
            return call()
        if fault.moment == "after":
            call()
        elif fault.moment == "half" and half is not None:
            half()
        raise fault.error()

    def _next(self, operation: str) -> Fault | None:
        for fault in self._faults:
            if fault.operation == operation:
                if fault.skip:
                    fault.skip -= 1
                    return None
                self._faults.remove(fault)
                return fault
        return None


def _nothing(answer: Any) -> None:
    """Return nothing, as a method does that forgets to return."""
    del answer


def _nan(array: Any) -> Any:
    spoilt = array.copy()
    spoilt[0] = math.nan
    return spoilt


def _each(change: Spoil) -> Spoil:
    """Return the change made to the answer of the first query."""
    return lambda answers: [change(answers[0]), *answers[1:]]


def _doubled(found: Records) -> Records:
    """Return twice the records, under other ids."""
    more = tuple(f"{name}-again" for name in found.ids)
    vectors = np.concatenate([found.vectors, found.vectors])
    return Records(found.ids + more, vectors, found.fields)


_RECORDS: Mapping[str, Spoil] = {
    "nothing": _nothing,
    "a vector too few": lambda found: replace(found, vectors=found.vectors[1:]),
    "a dimension too few": lambda found: replace(found, vectors=found.vectors[:, 1:].copy()),
    "another type": lambda found: replace(found, vectors=found.vectors.astype(np.float64)),
    "NaN": lambda found: replace(found, vectors=_nan(found.vectors)),
    "an id twice": lambda found: replace(found, ids=(found.ids[1], *found.ids[1:])),
    "ids that are bytes": lambda found: replace(
        found, ids=tuple(name.encode() for name in found.ids)
    ),
    "an unknown field": lambda found: replace(found, fields={"unasked": [1] * len(found)}),
}
_HITS: Mapping[str, Spoil] = {
    "nothing": _nothing,
    "one answer too many": lambda answers: [*answers, answers[0]],
    "nothing for a query": _each(_nothing),
    "a distance too few": _each(lambda hits: Hits(hits.ids, hits.distances[1:])),
    "NaN": _each(lambda hits: Hits(hits.ids, _nan(hits.distances))),
    "an id twice": _each(lambda hits: Hits((hits.ids[1], *hits.ids[1:]), hits.distances)),
    "numbers for ids": _each(lambda hits: Hits(tuple(range(len(hits))), hits.distances)),  # type: ignore[arg-type]
    "an id from outside": _each(lambda hits: Hits(("stranger", *hits.ids[1:]), hits.distances)),
}
_CANDIDATES: Mapping[str, Spoil] = {
    "nothing": _nothing,
    "one answer too few": lambda answers: answers[1:],
    "a vector too few": _each(lambda one: Candidates(one.ids, one.vectors[1:], one.lower_bound)),
    "NaN": _each(lambda one: Candidates(one.ids, _nan(one.vectors), one.lower_bound)),
    "a lower bound of NaN": _each(lambda one: Candidates(one.ids, one.vectors, math.nan)),
    "an id twice": _each(
        lambda one: Candidates((one.ids[1], *one.ids[1:]), one.vectors, one.lower_bound)
    ),
    "an id from outside": _each(
        lambda one: Candidates(("stranger", *one.ids[1:]), one.vectors, one.lower_bound)
    ),
}
GARBAGE: Mapping[str, Mapping[str, Spoil]] = {
    "fetch": {
        **_RECORDS,
        "the order of the store": lambda found: Records(
            found.ids[::-1], found.vectors[::-1].copy(), found.fields, found.missing
        ),
        "a record that was not asked for": lambda found: replace(
            found, ids=("stranger", *found.ids[1:])
        ),
    },
    "contains": {
        "nothing": _nothing,
        "one too few": lambda found: found[1:],
        "numbers": lambda found: found.astype(np.int64),
        "a list": lambda found: found.tolist(),
    },
    "count": {
        "nothing": _nothing,
        "less than nothing": lambda found: -found,
        "a float": float,
        "text": str,
    },
    "scan": {**_RECORDS, "more than a batch": _doubled},
    "search": _HITS,
    "candidates": _CANDIDATES,
}
"""Spoilt answers by operation and by what is wrong with them."""
