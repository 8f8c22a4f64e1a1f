"""``FaissIndex``: FAISS over the records of the local store."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vecbridge import Candidates, Consistency, Filter, Hits
from vecbridge.local import LocalIndex, Scoped
from vecbridge_faiss._exact import Exact


class FaissIndex(LocalIndex):
    """Every record is searched; what float32 leaves open, float64 decides."""

    _exact: Exact | None = None

    def search(
        self,
        queries: NDArray[np.float32],
        k: int,
        *,
        within: Sequence[str] | None = None,
        where: Filter | None = None,
        consistency: Consistency | None = None,
    ) -> list[Hits]:
        """FAISS's own ranking."""
        scoped = Scoped(*self._candidates_in(within, where))
        return self._exactly().search(queries, k, scoped)

    def candidates(
        self,
        queries: NDArray[np.float32],
        k: int,
        *,
        within: Sequence[str] | None = None,
        where: Filter | None = None,
        consistency: Consistency | None = None,
    ) -> list[Candidates]:
        """The likely best records, with a proven floor under the distance of the others."""
        scoped = Scoped(*self._candidates_in(within, where))
        return self._exactly().candidates(queries, k, scoped)

    def _exactly(self) -> Exact:
        if self._exact is None:
            self._exact = Exact(self.info.metric)
        return self._exact
