"""A store whose reads can be made to lag, drop and reorder, to show that the checkers see it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import vecbridge
from vecbridge import CONSISTENCY_LEVELS, Consistency, Index
from vecbridge_conformance.histories import DIMENSION
from vecbridge_conformance.mutants import ReferenceBackend, ReferenceIndex, ReferenceSettings


@dataclass
class Log:
    """Every state of the rows, and when it began: what a replica would replay.

    A monotonic clock may begin at 0 when the machine starts, so a moment may well be negative.
    """

    states: list[tuple[float, list[Any]]] = field(default_factory=lambda: [(-math.inf, [])])

    def as_of(self, moment: float) -> list[Any]:
        return next(rows for began, rows in reversed(self.states) if began <= moment)


class LaggingIndex(ReferenceIndex):
    """Reads at the levels named in ``lag`` see the rows as they were so many seconds ago."""

    declared: ClassVar = {"consistency": frozenset(CONSISTENCY_LEVELS)}
    lag: Mapping[Consistency, float] = {}
    drop: Callable[[], bool] = bool
    drop_deletes = False
    reorder = False
    clock: Callable[[], float] = time.monotonic
    _held: Callable[[], None] | None = None

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._log = Log()

    def upsert(self, ids: Sequence[str], vectors: Any, fields: Any = None) -> None:
        if self.drop():
            return
        kept = vectors.copy()
        if self.reorder and self._held is None:
            self._held = lambda: super(LaggingIndex, self).upsert(ids, kept, fields)
            return
        super().upsert(ids, kept, fields)
        if self._held is not None:
            self._held()
            self._held = None

    def delete(self, ids: Sequence[str]) -> None:
        if not self.drop_deletes:
            super().delete(ids)

    def rows(self, consistency: Consistency | None) -> list[Any]:
        lag = self.lag.get(consistency or "strong", 0.0)
        return self._log.as_of(self.clock() - lag) if lag else super().rows(None)

    def change(self, change: Any) -> None:
        super().change(change)
        self._log.states.append((self.clock(), super().rows(None)))


def lagging_index(**faults: Any) -> Index:
    """Return an index over a store of its own with these faults."""
    held = {name: staticmethod(each) if callable(each) else each for name, each in faults.items()}
    kind = type("Faulty", (LaggingIndex,), held)
    backend = type("FaultyBackend", (ReferenceBackend,), {"index_type": kind})
    store = vecbridge.Store(backend(ReferenceSettings()))
    return store.create_index("lagging", dimension=DIMENSION, metric="euclidean")
