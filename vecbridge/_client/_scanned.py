"""``Scan``: what a scan answers, batches of records, which Arrow and data frames take too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from vecbridge._contract._needed import needing
from vecbridge._contract._records import IndexInfo, Records
from vecbridge._contract._tabular import Tabular


class Scan(Iterator[Records], Tabular):
    """The records of a scan: an iterator of batches, which is read once.

    What Arrow makes of it has the types of the index's fields. Anything that takes an Arrow stream
    takes a scan as it is: ``polars.DataFrame(index.scan())``, ``duckdb.sql("from scan")``.

    Example:
        >>> import vecbridge
        >>> index = vecbridge.get_backend("sklearn").create_index("points", dimension=2)
        >>> index.upsert(["a", "b"], [[1, 0], [0, 1]])
        >>> index.scan().to_arrow().column_names
        ['id', 'vector']
    """

    def __init__(
        self,
        batches: Iterator[Records],
        info: Callable[[], IndexInfo],
        fields: list[str],
        *,
        vectors: bool,
    ) -> None:
        self._batches = batches
        self._info = info
        self._fields = fields
        self._vectors = vectors

    def __next__(self) -> Records:
        return next(self._batches)

    def close(self) -> None:
        """Let go of what the iterator holds of the store."""
        close: Callable[[], None] | None = getattr(self._batches, "close", None)
        if close is not None:
            close()

    def over(self, batches: Iterator[Records]) -> Scan:
        """Return the same scan of batches that something follows."""
        return Scan(batches, self._info, self._fields, vectors=self._vectors)

    def to_reader(self) -> Any:
        """Return the batches that are left as a ``pyarrow.RecordBatchReader``.

        Memory holds a batch at a time. Needs pyarrow.

        Raises:
            MissingDependencyError: it is not installed.
        """
        with needing("Arrow tables", "pyarrow"):
            from vecbridge._contract import _arrow

        return _arrow.reader_of(self, self._info(), self._fields, vectors=self._vectors)

    def to_arrow(self) -> Any:
        """Return the records that are left as a ``pyarrow.Table``. Needs pyarrow.

        Raises:
            MissingDependencyError: it is not installed.
        """
        return self.to_reader().read_all()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Export the records that are left as a stream of Arrow's C interface."""
        return self.to_reader().__arrow_c_stream__(requested_schema)
