"""The engine: records in the local store, ranked by scikit-learn's product."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.extmath import safe_sparse_dot

from vecbridge.local import ExactSearch, LocalBackend, LocalIndex, LocalTable
from vecbridge.settings import LocalPath, Settings


class SklearnSettings(Settings):
    """Where the records are kept.

    Attributes:
        path: a directory; ``None`` or ``":memory:"`` keeps the records in memory only.
    """

    path: LocalPath | None = None

    @property
    def in_memory(self) -> bool:
        """Whether the records are in this process alone."""
        return self.path in {None, ":memory:"}

    @property
    def place_of_files(self) -> str | None:
        """Name of the setting that says where the files are; ``None`` where there are none."""
        return None if self.in_memory else "path"

    @property
    def single_writer(self) -> bool:
        """Whether one process at a time writes: always, to one SQLite file."""
        return True


def products(queries: NDArray[np.float32], vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the ``(q, n)`` dot products in float32."""
    if not len(queries) or not len(vectors):
        return np.zeros((len(queries), len(vectors)), dtype=np.float32)
    # `linear_kernel` is this after checks that the client layer and the store have made already;
    # beside ten thousand vectors they are a quarter of the time.
    scores: Any = safe_sparse_dot(queries, vectors.T, dense_output=True)
    return np.asarray(scores)


class SklearnBackend(LocalBackend[LocalIndex]):
    """The reference store: exact, in a directory or in memory.

    Args:
        settings: where the records are kept.
    """

    name: ClassVar[str] = "sklearn"
    settings_type: ClassVar[type[SklearnSettings]] = SklearnSettings

    def __init__(self, settings: SklearnSettings) -> None:
        super().__init__(settings.path)

    def index_over(self, table: LocalTable) -> LocalIndex:
        exact = ExactSearch(table.info.metric, table.info.dimension, products=products)
        return LocalIndex(table, self.capabilities, self.name, exact=exact)
