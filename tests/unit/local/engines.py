"""The engines over the local store, each in every arithmetic that it has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from tests.adversarial import KINDS, Data, make
from vecbridge import Backend, Index, Metric, Store
from vecbridge.local import ExactSearch, LocalBackend, LocalIndex, LocalTable
from vecbridge.settings import Settings
from vecbridge_faiss import FaissBackend, FaissSettings
from vecbridge_sklearn import SklearnBackend, SklearnSettings
from vecbridge_torch import Arithmetic, TorchBackend, TorchSettings

EXTREMES = {"all_huge": 1e30, "all_tiny": 1e-30, "mid": 1e10, "subnormal": 1e-42}
EVERY_KIND = (*KINDS, *EXTREMES, "unit")


class SmallBlocks(LocalBackend[LocalIndex]):
    """The exact search with so little memory that small data come in many blocks."""

    name: ClassVar[str] = "small-blocks"
    settings_type: ClassVar[type[Settings]] = Settings

    def __init__(self) -> None:
        super().__init__(None)

    def index_over(self, table: LocalTable) -> LocalIndex:
        info = table.info
        exact = ExactSearch(
            info.metric,
            info.dimension,
            key_bytes=300 * 4 * 4,
            gathered_bytes=4 * info.dimension * 7,
        )
        return LocalIndex(table, self.capabilities, self.name, exact=exact)


@dataclass(frozen=True)
class Engine:
    """A way of searching.

    Attributes:
        backend: makes a store of it, in memory.
    """

    backend: Callable[[], Backend]

    def index_of(self, data: Data, metric: Metric, **fields: Any) -> Index:
        """The data in an index of their own."""
        dimension = data.vectors.shape[1]
        store = Store(self.backend())
        index = store.create_index("t", dimension=dimension, metric=metric, fields=fields)
        if not fields:
            index.upsert(data.ids, data.vectors)
        return index


def torch_on_cpu(precision: Any, **options: Any) -> TorchBackend:
    """Torch that puts the records into the precision at the first query."""
    settings = TorchSettings(device="cpu", precision=precision)
    return TorchBackend(settings, patience=0, **options)


def torch_in_small_blocks() -> TorchBackend:
    """Few queries and few scores at a time."""
    arithmetic = Arithmetic(torch.device("cpu"), "bfloat16", 1 << 30, score_bytes=4 * 25 * 90)
    return TorchBackend(
        TorchSettings(device="cpu"), arithmetic=arithmetic, patience=0, block_queries=7
    )


ENGINES = {
    "sklearn": Engine(lambda: SklearnBackend(SklearnSettings())),
    "small-blocks": Engine(SmallBlocks),
    "faiss": Engine(lambda: FaissBackend(FaissSettings())),
    "torch-bfloat16": Engine(lambda: torch_on_cpu("bfloat16")),
    "torch-float16": Engine(lambda: torch_on_cpu("float16")),
    "torch-float32": Engine(lambda: torch_on_cpu("float32")),
    "torch-small-blocks": Engine(torch_in_small_blocks),
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
