"""``TorchBackend``: indexes in the local store, searched by torch."""

from __future__ import annotations

from typing import ClassVar

from vecbridge.local import LocalBackend, LocalTable
from vecbridge_torch._device import Arithmetic, arithmetic_of
from vecbridge_torch._index import TorchIndex
from vecbridge_torch._settings import TorchSettings


class TorchBackend(LocalBackend[TorchIndex]):
    """Exact search by torch, over records in a directory or in memory.

    Args:
        settings: where the records are kept, and what searches them.
        arithmetic: what searches them instead.
        patience: how many queries a CPU answers before the records are put into a narrow type,
            which costs about as much as they do.
        block_queries: how many queries are scored at once.

    Raises:
        ConfigurationError: the device is not there, or cannot do what is asked of it.
    """

    name: ClassVar[str] = "torch"
    settings_type: ClassVar[type[TorchSettings]] = TorchSettings

    def __init__(
        self,
        settings: TorchSettings,
        *,
        arithmetic: Arithmetic | None = None,
        patience: int = 16,
        block_queries: int = 1024,
    ) -> None:
        self._arithmetic = arithmetic or arithmetic_of(settings)
        self._patience, self._block_queries = patience, block_queries
        super().__init__(settings.path)

    def index_over(self, table: LocalTable) -> TorchIndex:
        return TorchIndex(
            table,
            self.capabilities,
            self.name,
            self._arithmetic,
            patience=self._patience,
            block_queries=self._block_queries,
        )
