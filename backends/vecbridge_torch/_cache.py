"""What an index keeps between searches, and the ways of scoring that it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecbridge import Metric
from vecbridge.local import Scoped, Snapshot
from vecbridge.locks import ForkSafeLock
from vecbridge.ranking import SPARE, Float32Keys
from vecbridge_torch._device import Arithmetic
from vecbridge_torch._resident import Resident, ResidentScoring
from vecbridge_torch._scoring import Scoring
from vecbridge_torch._streamed import Streamed

# Putting records into a narrow type costs about as much as this many queries without it, so on a
# CPU, where float32 needs no copy, that is not done for fewer.
_PATIENCE = 16
# Fewer records in scope than one in so many are gathered; more are masked.
_SPARSE = 4
# Gaussian vectors of 512 dimensions want 30 candidates of bfloat16 for ``k=10``.
_NARROW_SPARE = 64


class Tier(NamedTuple):
    """A way of scoring the records in scope.

    Attributes:
        spare: how many records to look at beyond the ``k`` asked for.
        scoring: of ``(q, d)`` float32 queries.
        rows: of the snapshot that the columns stand for; ``None`` where they are the same.
    """

    spare: int
    scoring: Callable[[NDArray[np.float32]], Scoring]
    rows: NDArray[np.intp] | None


class Cache:
    """Holds no snapshot, so that writing copies nothing.

    Args:
        arithmetic: of the device.
        metric: of the index.
    """

    def __init__(self, arithmetic: Arithmetic, metric: Metric) -> None:
        self._arithmetic = arithmetic
        self._metric: Metric = metric
        self._lock = ForkSafeLock()
        self._held: _Held | None = None
        self._asked = 0
        self._keys: tuple[int, Float32Keys] | None = None

    def tiers(self, scoped: Scoped, queries: int, k: int) -> Iterator[Tier]:
        """Ways of scoring, the fastest first, each better at telling records apart.

        Args:
            scoped: the records.
            queries: how many there are.
            k: how many answers each wants.
        """
        snapshot, rows = scoped.snapshot, scoped.rows
        if rows is not None and len(rows) * _SPARSE < len(snapshot):
            yield self._gathered(snapshot, rows)
            return
        outside: NDArray[np.bool_] | None = None
        if rows is not None:
            outside = np.ones(len(snapshot), dtype=np.bool_)
            outside[rows] = False
        resident = self._resident(snapshot, queries)
        if resident is not None:
            yield Tier(
                _NARROW_SPARE + k // 2 if self._narrow else SPARE,
                lambda block: ResidentScoring(resident, block, len(snapshot), outside),
                None,
            )
        if resident is None or self._narrow:
            keys = self._keys_of(snapshot)
            yield self._streamed(snapshot.vectors, keys, outside, None)

    def clear(self) -> None:
        """Lets go of everything."""
        self._held = self._keys = None

    @property
    def _narrow(self) -> bool:
        return self._arithmetic.precision != "float32"

    def _gathered(self, snapshot: Snapshot, rows: NDArray[np.intp]) -> Tier:
        vectors, norms = snapshot.vectors[rows], snapshot.norms[rows]
        keys = Float32Keys(self._metric, vectors.shape[1], norms)
        return self._streamed(vectors, keys, None, rows)

    def _streamed(
        self,
        vectors: NDArray[np.float32],
        keys: Float32Keys,
        outside: NDArray[np.bool_] | None,
        rows: NDArray[np.intp] | None,
    ) -> Tier:
        return Tier(
            SPARE,
            lambda block: Streamed(self._arithmetic, self._metric, block, vectors, keys, outside),
            rows,
        )

    def _keys_of(self, snapshot: Snapshot) -> Float32Keys:
        """The keys of all records, made once for a state of them."""
        cached = self._keys
        if cached is None or cached[0] != snapshot.generation:
            keys = Float32Keys(self._metric, snapshot.vectors.shape[1], snapshot.norms)
            cached = self._keys = snapshot.generation, keys
        return cached[1]

    def _resident(self, snapshot: Snapshot, queries: int) -> Resident | None:
        """The records on the device, brought up to the snapshot; ``None`` to do without."""
        if self._arithmetic.shares_memory and not self._narrow:
            return None
        return self._lock.run(lambda: self._caught_up(snapshot, queries), nested=lambda: None)

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
            if arithmetic.shares_memory and self._asked < _PATIENCE:
                return None
            held = _Held(Resident(arithmetic, self._metric, snapshot), snapshot)
        elif held.generation < snapshot.generation:
            # Until it is whole: an interrupt, or a fork by another thread, leaves it half changed.
            self._held = None
            held.catch_up(snapshot)
        self._held = held
        return held.resident


class _Held:
    """Records on the device, and of which state of the index they are."""

    def __init__(self, resident: Resident, snapshot: Snapshot) -> None:
        self.resident = resident
        self.generation = snapshot.generation
        self._appended_since = snapshot.appended_since

    def serves(self, snapshot: Snapshot) -> bool:
        """Whether the rows of the snapshot are the first rows here, or can be with more added."""
        if snapshot.generation >= self.generation:
            return snapshot.appended_since <= self.generation
        return self._appended_since <= snapshot.generation

    def catch_up(self, snapshot: Snapshot) -> None:
        """Adds what a later snapshot has more."""
        self.resident.append(snapshot)
        self.generation = snapshot.generation
        self._appended_since = snapshot.appended_since
