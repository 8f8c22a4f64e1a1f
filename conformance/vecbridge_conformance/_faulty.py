"""A proxy before any engine that fails on purpose, where and how a test says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
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
    IndexInfo,
    OperationTimeoutError,
    Records,
    Scope,
    VectorIndex,
)

Moment = Literal["before", "after", "half", "hang", "garbage"]
Answer = TypeVar("Answer")


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
    spoil: Callable[[Any], Any] | None = None


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
        """The engine's."""
        return self._inner.info

    @property
    def capabilities(self) -> Capabilities:
        """The engine's, but for the size of a batch and the methods that stand before no fault."""
        capabilities = replace(self._inner.capabilities, range_search=False, farthest=False)
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

    def fetch(self, ids: Sequence[str], *, consistency: Consistency | None = None) -> Records:
        """Read by id."""
        return self._do("fetch", lambda: self._inner.fetch(ids, consistency=consistency))

    def contains(
        self, ids: Sequence[str], *, consistency: Consistency | None = None
    ) -> NDArray[np.bool_]:
        """Ask for ids."""
        return self._do("contains", lambda: self._inner.contains(ids, consistency=consistency))

    def count(self, *, consistency: Consistency | None = None) -> int:
        """Count."""
        return self._do("count", lambda: self._inner.count(consistency=consistency))

    def scan(self, batch_size: int, *, consistency: Consistency | None = None) -> Iterator[Records]:
        """Read everything; a fault strikes between two batches."""
        for records in self._inner.scan(batch_size, consistency=consistency):
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
        whole: Callable[[], Answer],
        half: Callable[[], None] | None = None,
    ) -> Answer:
        fault = self._next(operation)
        if fault is None:
            return whole()
        if fault.spoil is not None:
            return cast("Answer", fault.spoil(whole()))
        if fault.moment == "hang":
            self.hanging.set()
            self.released.wait()
            return whole()
        if fault.moment == "after":
            whole()
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
