"""``TorchBackend``: indexes in the local store, searched by torch."""

from __future__ import annotations

from typing import ClassVar

from vecbridge.local import LocalBackend, LocalTable
from vecbridge_torch._device import arithmetic_of
from vecbridge_torch._index import TorchIndex
from vecbridge_torch._settings import TorchSettings


class TorchBackend(LocalBackend[TorchIndex]):
    """Exact search by torch, over records in a directory or in memory.

    Args:
        settings: where the records are kept, and what searches them.

    Raises:
        ConfigurationError: the device is not there, or cannot do what is asked of it.
    """

    name: ClassVar[str] = "torch"
    settings_type: ClassVar[type[TorchSettings]] = TorchSettings

    def __init__(self, settings: TorchSettings) -> None:
        self._arithmetic = arithmetic_of(settings)
        super().__init__(settings.path)

    def _index(self, table: LocalTable) -> TorchIndex:
        return TorchIndex(table, self._capabilities, self.name, self._arithmetic)
