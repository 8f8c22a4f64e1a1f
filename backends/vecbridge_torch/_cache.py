"""The records that an index keeps on the device between searches."""

from __future__ import annotations

from typing import NamedTuple

from vecbridge import Metric
from vecbridge.local import Snapshot
from vecbridge.locks import ForkSafeLock
from vecbridge_torch._device import Arithmetic
from vecbridge_torch._resident import Resident


class Held(NamedTuple):
    """The records that an index keeps on the device.

    Attributes:
        rows: how many records.
        chunks: in how many stretches of memory.
        put: how many records were put there so far, those that are gone included.
    """

    rows: int
    chunks: int
    put: int


class Cache:
    """Holds no snapshot, so that writing copies nothing.

    Args:
        arithmetic: of the device.
        metric: of the index.
        patience: how many queries a CPU answers before the records are put into a narrow type,
            which costs about as much.
    """

    def __init__(self, arithmetic: Arithmetic, metric: Metric, patience: int) -> None:
        self._arithmetic = arithmetic
        self._metric: Metric = metric
        self._lock = ForkSafeLock()
        self._held: _Current | None = None
        self._asked = 0
        self._patience = patience
        self._put = 0

    def resident(self, snapshot: Snapshot, queries: int) -> Resident | None:
        """Return the records on the device, brought up to the snapshot; ``None`` to do without.

        Args:
            snapshot: the records.
            queries: how many are asked.
        """
        if self._arithmetic.shares_memory and self._arithmetic.precision == "float32":
            return None
        return self._lock.run(lambda: self._caught_up(snapshot, queries), nested=lambda: None)

    @property
    def held(self) -> Held:
        """The records that are on the device now."""
        current = self._held
        if current is None:
            return Held(0, 0, self._put)
        return Held(current.resident.rows, current.resident.chunks, self._put)

    def clear(self) -> None:
        """Let go of everything."""
        self._held = None

    def _caught_up(self, snapshot: Snapshot, queries: int) -> Resident | None:
        arithmetic, dimension = self._arithmetic, snapshot.vectors.shape[1]
        held = self._held
        if held is not None and not held.serves(snapshot):
            if snapshot.generation < held.generation:
                return None
            held, self._held, self._asked = None, None, 0
        if len(snapshot) * (dimension * arithmetic.dtype.itemsize + 4) > arithmetic.budget:
            self._held = None
            return None
        if held is None:
            self._asked += queries
            if arithmetic.shares_memory and self._asked < self._patience:
                return None
            held = _Current(Resident(arithmetic, self._metric, snapshot), snapshot)
            self._put += held.resident.rows
        elif held.generation < snapshot.generation:
            # Until it is whole: an interrupt, or a fork by another thread, leaves it half changed.
            self._held = None
            before = held.resident.rows
            held.catch_up(snapshot)
            self._put += held.resident.rows - before
        self._held = held
        return held.resident


class _Current:
    """Records on the device, and of which state of the index they are."""

    def __init__(self, resident: Resident, snapshot: Snapshot) -> None:
        self.resident = resident
        self.generation = snapshot.generation
        self._appended_since = snapshot.appended_since

    def serves(self, snapshot: Snapshot) -> bool:
        """Tell whether the snapshot's rows are the first here, or can be with more added."""
        if snapshot.generation >= self.generation:
            return snapshot.appended_since <= self.generation
        return self._appended_since <= snapshot.generation

    def catch_up(self, snapshot: Snapshot) -> None:
        """Add what a later snapshot has more."""
        self.resident.append(snapshot)
        self.generation = snapshot.generation
        self._appended_since = snapshot.appended_since
