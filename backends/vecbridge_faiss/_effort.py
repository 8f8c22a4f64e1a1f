"""The effort that an approximate index needs for its recall, measured."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecbridge import Metric
from vecbridge.local import ExactSearch, SearchScope, Snapshot
from vecbridge.ranking import SPARE, norms
from vecbridge_faiss._built import Built, faiss, usable

_ASKED = 32
_MADE = 32


class SearchParam:
    """The parameter of an index that trades time for recall, if it has one."""

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
        """Tell whether it is a parameter of this index."""
        return self._index is index

    def turn(self, effort: int, count: int) -> None:
        """Set the effort for ``count`` answers."""
        if self._name:
            value = max(effort, count) if self._name == "efSearch" else min(effort, self.most)
            self._space.set_index_parameter(self._index, self._name, value)

    def start(self, count: int) -> int:
        """Return the least effort that is worth trying."""
        return count if self._name == "efSearch" else 1

    @property
    def exists(self) -> bool:
        """Whether the index has such a parameter."""
        return bool(self._name)


class SearchEffort(NamedTuple):
    """A value of the parameter, and how many times the answers to fetch."""

    param: SearchParam
    value: int
    fetched: int

    def search(
        self, built: Built, queries: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
        """Return FAISS's values and the records' rows; ``-1`` is a row of nothing."""
        count = (k + SPARE) * self.fetched
        if built.dead:
            count *= 2
        self.param.turn(self.value, count)
        return built.search(queries, count)


def tuned(
    exact: ExactSearch,
    metric: Metric,
    built: Built,
    param: SearchParam,
    queries: NDArray[np.float32],
    k: int,
    snapshot: Snapshot,
    recall: float,
    *,
    lossy: bool,
) -> SearchEffort | None:
    """Return the least effort that finds enough; ``None`` where none does.

    Recall is measured against the exact search, on some of the queries that are being asked and on
    made ones: records moved by the distance of their nearest neighbour. Half of what the target
    allows to be missed is kept in reserve, and half of the probes are held out.
    """
    everything = SearchScope(snapshot)
    probes = np.concatenate([queries[:_ASKED], _made(exact, everything)])
    probes = probes[usable(metric, norms(probes), float(snapshot.norms.max(initial=0.0)))]
    truth = np.array([rows for rows, _ in exact.nearest(probes, k, everything)])
    wanted = 0.5 * (1.0 + recall)
    value, fetched = param.start(k + SPARE), 1
    while (k + SPARE) * fetched <= len(snapshot) // 2 and value < 2 * param.most:
        effort = SearchEffort(param, value, fetched)
        shares = _shares(effort.search(built, probes, k)[1], truth)
        # Every other probe chooses; those held out say whether the choice holds for others too.
        if shares[::2].mean() >= wanted and shares[1::2].mean() >= recall:
            return effort
        if not param.exists and not lossy:
            return None
        value *= 2
        # What codes have lost is found again by fetching more and looking at the records.
        fetched *= 2 if lossy else 1
    return None


def _made(exact: ExactSearch, everything: SearchScope) -> NDArray[np.float32]:
    snapshot = everything.snapshot
    generator = np.random.default_rng(0)
    rows = generator.choice(len(snapshot), min(_MADE, len(snapshot)), replace=False)
    chosen = snapshot.vectors[rows]
    pairs = exact.nearest(chosen, 2, everything)
    near = np.array([rows[np.argmax(distances)] for rows, distances in pairs])
    distance = np.linalg.norm(chosen - snapshot.vectors[near], axis=1, keepdims=True)
    noise = generator.standard_normal(chosen.shape, dtype=np.float32)
    noise *= distance / np.linalg.norm(noise, axis=1, keepdims=True)
    return np.asarray(chosen + noise, dtype=np.float32)


def _shares(rows: NDArray[np.intp], truth: NDArray[np.intp]) -> NDArray[np.float64]:
    found = [np.isin(right, row).mean() for row, right in zip(rows, truth, strict=True)]
    return np.array(found)
