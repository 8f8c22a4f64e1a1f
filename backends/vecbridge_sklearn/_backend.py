"""``SklearnBackend``: indexes in the local store, searched by scikit-learn."""

from __future__ import annotations

from typing import ClassVar

from vecbridge.local import LocalBackend, LocalTable
from vecbridge_sklearn._index import SklearnIndex
from vecbridge_sklearn._settings import SklearnSettings


class SklearnBackend(LocalBackend[SklearnIndex]):
    """The reference store: exact, in a directory or in memory.

    Args:
        settings: where the records are kept.
    """

    name: ClassVar[str] = "sklearn"
    settings_type: ClassVar[type[SklearnSettings]] = SklearnSettings

    def __init__(self, settings: SklearnSettings) -> None:
        super().__init__(settings.path)

    def _index(self, table: LocalTable) -> SklearnIndex:
        return SklearnIndex(table, self._capabilities, self.name)
