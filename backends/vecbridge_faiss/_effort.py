"""How hard an approximate index must try to find what it is asked to find."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecbridge import Metric
from vecbridge.local import Snapshot
from vecbridge.ranking import SPARE, norms
from vecbridge_faiss._built import Built
from vecbridge_faiss._flat import Flat, usable
from vecbridge_faiss._library import faiss

_ASKED = 32
_MADE = 32


class Knob:
    """The parameter of an index that trades time for recall, if it has one.

    Args:
        index: FAISS's own.
    """

    def __init__(self, index: Any) -> None:
        self._index = index
        self._space = faiss.ParameterSpace()
        self._name = ""
        for name in ("nprobe", "efSearch"):
            try:
                self._space.set_index_parameter(index, name, 1)
            except RuntimeError:
                continue
            self._name = name
            break
        cells = faiss.try_extract_index_ivf(index) if self._name == "nprobe" else None
        self.most = index.ntotal // 4 if cells is None else cells.nlist

    def is_of(self, index: Any) -> bool:
        """Whether it turns this index."""
        return self._index is index

    def turn(self, effort: int, count: int) -> None:
        """Sets the effort for ``count`` answers."""
        if self._name:
            value = max(effort, count) if self._name == "efSearch" else min(effort, self.most)
            self._space.set_index_parameter(self._index, self._name, value)

    def start(self, count: int) -> int:
        """The least effort that is worth trying."""
        return count if self._name == "efSearch" else 1

    @property
    def there(self) -> bool:
        """Whether there is one."""
        return bool(self._name)


class Effort(NamedTuple):
    """A setting of the knob, and how many times the answers to fetch."""

    knob: Knob
    value: int
    fetched: int

    def search(
        self, built: Built, queries: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
        """FAISS's values and the records' rows; ``-1`` is a row of nothing."""
        count = (k + SPARE) * self.fetched
        if built.dead:
            count *= 2
        self.knob.turn(self.value, count)
        return built.search(queries, count)


def tuned(
    metric: Metric,
    built: Built,
    knob: Knob,
    queries: NDArray[np.float32],
    k: int,
    snapshot: Snapshot,
    recall: float,
    *,
    lossy: bool,
) -> Effort | None:
    """The least effort that finds enough; ``None`` where none does.

    Recall is measured against the exact search, on some of the queries that are being asked and on
    made ones: records moved by the distance of their nearest neighbour. Half of what the target
    allows to be missed is kept in reserve, and half of the probes are held out.
    """
    flat = Flat(metric, snapshot.vectors, snapshot.norms)
    probes = np.concatenate([queries[:_ASKED], _made(flat, snapshot)])
    probes = probes[usable(metric, norms(probes), float(snapshot.norms.max(initial=0.0)))]
    truth = flat.nearest(probes, snapshot.vectors, k, "own").columns
    wanted = 0.5 * (1.0 + recall)
    value, fetched = knob.start(k + SPARE), 1
    while (k + SPARE) * fetched <= len(snapshot) // 2 and value < 2 * knob.most:
        effort = Effort(knob, value, fetched)
        shares = _shares(effort.search(built, probes, k)[1], truth)
        # Every other probe chooses; those held out say whether the choice holds for others too.
        if shares[::2].mean() >= wanted and shares[1::2].mean() >= recall:
            return effort
        if not knob.there and not lossy:
            return None
        value *= 2
        # What codes have lost is found again by fetching more and looking at the records.
        fetched *= 2 if lossy else 1
    return None


def _made(flat: Flat, snapshot: Snapshot) -> NDArray[np.float32]:
    generator = np.random.default_rng(0)
    rows = generator.choice(len(snapshot), min(_MADE, len(snapshot)), replace=False)
    chosen = snapshot.vectors[rows]
    near = flat.nearest(chosen, snapshot.vectors, 2, "own").columns[:, 1]
    distance = np.linalg.norm(chosen - snapshot.vectors[near], axis=1, keepdims=True)
    noise = generator.standard_normal(chosen.shape, dtype=np.float32)
    noise *= distance / np.linalg.norm(noise, axis=1, keepdims=True)
    return np.asarray(chosen + noise, dtype=np.float32)


def _shares(rows: NDArray[np.intp], truth: NDArray[np.intp]) -> NDArray[np.float64]:
    found = [np.isin(right, row).mean() for row, right in zip(rows, truth, strict=True)]
    return np.array(found)
