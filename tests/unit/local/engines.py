"""The engines over the local store, each in every arithmetic that it has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import faiss
import numpy as np
import pytest

from tests.adversarial import KINDS, Data, make
from vecbridge import Index, Metric, get_backend

EXTREMES = {"all_huge": 1e30, "all_tiny": 1e-30, "mid": 1e10, "subnormal": 1e-42}
EVERY_KIND = (*KINDS, *EXTREMES, "unit")


@dataclass(frozen=True)
class Engine:
    """A backend and how it is set.

    Attributes:
        backend: its name.
        options: of the backend.
        blas_threshold: how many queries FAISS takes the expanded euclidean form for.
        several: from how many queries on one product is taken.
    """

    backend: str
    options: dict[str, Any] = field(default_factory=dict)
    blas_threshold: int | None = None
    several: int | None = None

    def index_of(self, data: Data, metric: Metric, **fields: Any) -> Index:
        """The data in an index of their own."""
        store = get_backend(self.backend, **self.options)
        dimension = data.vectors.shape[1]
        index = store.create_index("t", dimension=dimension, metric=metric, fields=fields)
        if not fields:
            index.upsert(data.ids, data.vectors)
        return index

    @contextmanager
    def set_up(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Makes small data take the way that large data take."""
        before = faiss.cvar.distance_compute_blas_threshold
        if self.blas_threshold is not None:
            faiss.cvar.distance_compute_blas_threshold = self.blas_threshold
        if self.several is not None:
            monkeypatch.setattr("vecbridge_faiss._flat.SEVERAL", self.several)
        if self.backend == "torch":
            monkeypatch.setattr("vecbridge_torch._cache._PATIENCE", 0)
        try:
            yield
        finally:
            faiss.cvar.distance_compute_blas_threshold = before


ENGINES = {
    "sklearn": Engine("sklearn"),
    "faiss-differences": Engine("faiss", blas_threshold=1 << 30),
    "faiss-products": Engine("faiss", blas_threshold=1),
    "faiss-one-product": Engine("faiss", blas_threshold=1 << 30, several=1),
    **{
        f"torch-{precision}": Engine("torch", {"device": "cpu", "precision": precision})
        for precision in ("bfloat16", "float16", "float32")
    },
}


def data_of(kind: str, dimension: int, count: int = 60) -> Data:
    """Adversarial data, data at the ends of float32's range, and unit vectors."""
    if kind in KINDS:
        return make(kind, dimension, count=count)
    plain = make("gaussian", dimension, count=count)
    if kind == "unit":
        lengths = np.linalg.norm(plain.vectors, axis=1, keepdims=True)
        return Data(plain.ids, plain.vectors / lengths, plain.queries)
    factor = EXTREMES[kind]
    return Data(
        plain.ids,
        (plain.vectors * np.float64(factor)).astype(np.float32),
        (plain.queries * np.float64(factor)).astype(np.float32),
    )
