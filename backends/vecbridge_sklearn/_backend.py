"""``SklearnBackend``: indexes in the local store, searched by scikit-learn's product."""

from __future__ import annotations

from typing import ClassVar

from vecbridge.local import ExactSearch, LocalBackend, LocalIndex, LocalTable
from vecbridge_sklearn._products import products
from vecbridge_sklearn._settings import SklearnSettings


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
