"""What the tests of the torch backend share."""

from __future__ import annotations

from typing import Any

from tests.adversarial import Data
from vecbridge import Index, Metric, Store
from vecbridge_torch import TorchBackend, TorchIndex, TorchSettings

PRECISIONS = ("bfloat16", "float16", "float32")


def index_of(data: Data, metric: Metric, **options: Any) -> Index:
    """The data in an index of their own, on the CPU, put into the precision at once."""
    store = Store(TorchBackend(TorchSettings(device="cpu", **options), patience=0))
    index = store.create_index("t", dimension=data.vectors.shape[1], metric=metric)
    index.upsert(data.ids, data.vectors)
    return index


def engine(
    metric: Metric = "cosine", dimension: int = 8, patience: int = 0, **options: Any
) -> TorchIndex:
    """An empty index without the client layer."""
    backend = TorchBackend(TorchSettings(device="cpu", **options), patience=patience)
    return backend.create_index(
        "t", dimension=dimension, metric=metric, fields={}, consistency=None
    )
