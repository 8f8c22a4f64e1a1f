"""What an answer is to libraries of tables."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from vecbridge._contract._needed import needing


class Tabular(ABC):
    """Base of an answer that is a table: whatever its Arrow table is, it is to others as well."""

    @abstractmethod
    def to_arrow(self) -> Any:
        """Return it as a ``pyarrow.Table``. Needs pyarrow."""

    def to_pandas(self) -> Any:
        """Return it as a ``pandas.DataFrame``, with the columns of :meth:`to_arrow`.

        A column of integers with missing values has the type ``Int64``.

        Raises:
            MissingDependencyError: pyarrow or pandas is not installed.
        """
        table = self.to_arrow()
        with needing("data frames", "pandas"):
            from vecbridge._contract import _arrow

            return _arrow.data_frame(table)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Export it as a stream of Arrow's C interface."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)
