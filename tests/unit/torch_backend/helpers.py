"""What the tests of the torch backend share."""

from __future__ import annotations

from typing import Any

from tests.adversarial import Data
from vecbridge import Index, Metric, get_backend
from vecbridge_torch import TorchBackend, TorchSettings
from vecbridge_torch._index import TorchIndex

PRECISIONS = ("bfloat16", "float16", "float32")


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
