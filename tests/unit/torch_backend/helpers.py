"""What the tests of the torch backend share."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.adversarial import Data, make
from vecbridge import Index, Metric, get_backend
from vecbridge_torch import TorchBackend, TorchSettings
from vecbridge_torch._index import TorchIndex

PRECISIONS = ("bfloat16", "float16", "float32")
EXTREMES = {"all_huge": 1e30, "all_tiny": 1e-30, "subnormal": 1e-42}


def index_of(data: Data, metric: Metric, **options: Any) -> Index:
    """The data in an index of their own, on the CPU."""
    store = get_backend("torch", device="cpu", **options)
    index = store.create_index("t", dimension=data.vectors.shape[1], metric=metric)
    index.upsert(data.ids, data.vectors)
    return index


def engine(metric: Metric = "cosine", dimension: int = 8, **options: Any) -> TorchIndex:
    """An empty index without a front."""
    backend = TorchBackend(TorchSettings(device="cpu", **options))
    return backend.create_index(
        "t", dimension=dimension, metric=metric, fields={}, consistency=None
    )


def data_of(kind: str, dimension: int, count: int = 60) -> Data:
    """Adversarial data, and data at the ends of the range of float32."""
    if kind in EXTREMES:
        plain = make("gaussian", dimension, count=count)
        factor = np.float64(EXTREMES[kind])
        return Data(
            plain.ids,
            (plain.vectors * factor).astype(np.float32),
            (plain.queries * factor).astype(np.float32),
        )
    return make(kind, dimension, count=count)
