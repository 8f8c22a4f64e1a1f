"""A store whose reads can be made to lag, drop and reorder, to show that the checkers see it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from vecbridge import Capabilities, Consistency, Index, IndexInfo
from vecbridge_conformance._history import DIMENSION
from vecbridge_conformance.mutants import ReferenceIndex
from vecbridge_conformance.mutants._shelf import MemoryShelf, Row, Table

LEVELS: frozenset[Consistency] = frozenset({"strong", "session", "bounded", "eventual"})


@dataclass
class Log:
    """Every state of the rows, and when it began: what a replica would replay.

    A monotonic clock may begin at 0 when the machine starts, so a moment may well be negative.
    """

    states: list[tuple[float, list[Row]]] = field(default_factory=lambda: [(-math.inf, [])])

    def as_of(self, moment: float) -> list[Row]:
        return next(rows for began, rows in reversed(self.states) if began <= moment)


class LaggingIndex(ReferenceIndex):
    """Reads at the levels named in ``lag`` see the rows as they were so many seconds ago."""

    def __init__(
        self,
        info: IndexInfo,
        shelf: Any,
        log: Log,
        *,
        lag: dict[Consistency, float],
        drop: Callable[[], bool] = bool,
        drop_deletes: bool = False,
        reorder: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(info, shelf)
        self._log = log
        self._lag = lag
        self._drop = drop
        self._drop_deletes = drop_deletes
        self._reorder = reorder
        self._clock = clock
        self._held: Callable[[], None] | None = None

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(**{**vars(super().capabilities), "consistency": LEVELS})

    def upsert(self, ids: Sequence[str], vectors: Any, fields: Any = None) -> None:
        if self._drop():
            return
        kept = vectors.copy()
        if self._reorder and self._held is None:
            self._held = lambda: super(LaggingIndex, self).upsert(ids, kept, fields)
            return
        super().upsert(ids, kept, fields)
        if self._held is not None:
            self._held()
            self._held = None

    def delete(self, ids: Sequence[str]) -> None:
        if not self._drop_deletes:
            super().delete(ids)

    def rows(self, consistency: Consistency | None) -> list[Row]:
        lag = self._lag.get(consistency or "strong", 0.0)
        return self._log.as_of(self._clock() - lag) if lag else super().rows(None)

    def _change(self, change: Any) -> None:
        super()._change(change)
        self._log.states.append((self._clock(), super().rows(None)))


def lagging_index(**faults: Any) -> Index:
    """An index over a store of its own with these faults."""
    info = IndexInfo("lagging", DIMENSION, "euclidean")
    shelf = MemoryShelf()
    shelf.change(lambda tables: tables.update({info.name: Table(info)}))
    faults.setdefault("lag", {})
    return Index(LaggingIndex(info, shelf, Log(), **faults))
