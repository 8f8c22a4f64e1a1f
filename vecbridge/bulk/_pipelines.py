"""Partitions in pipelines of others, such as Ray Data and Dask bags: read there, and written."""

from __future__ import annotations

from functools import partial
from typing import Any

from vecbridge._client import Index
from vecbridge.bulk._lending import Lent, refuse_stationary
from vecbridge.bulk._parts import scan_of
from vecbridge.bulk._plan import Partition
from vecbridge.bulk._running import Throttle


class _Travelling:
    """A function over an index, which a worker opens once for all its calls."""

    def __init__(self, index: Index) -> None:
        self._index: Index | None = index
        self._lent = Lent(index)

    def __getstate__(self) -> dict[str, object]:
        if self._index is not None:
            refuse_stationary(self._index)
        return {"_index": None, "_lent": self._lent}


class PartReader(_Travelling):
    """Reads partitions of an index as Arrow tables, in this process and in others.

    Its pickle holds names and settings, without secrets; a worker opens the index itself.

    Args:
        index: the index to read.

    Raises:
        UnsupportedError: when it is pickled, the index is in memory.

    Example:
        >>> import vecbridge
        >>> from vecbridge.bulk import PartReader, plan
        >>> index = vecbridge.get_backend("sklearn").create_index("points", dimension=1)
        >>> index.upsert(["a", "b", "c"], [[1], [2], [3]])
        >>> read = PartReader(index)
        >>> [read(part)["id"].to_pylist() for part in plan(index, 2).partitions]
        [['a'], ['b', 'c']]
    """

    def __call__(self, part: Partition) -> Any:
        """Return a partition of the index's plan as a ``pyarrow.Table``.

        Raises:
            InvalidArgumentError: ``part`` is not a partition.
            MissingDependencyError: pyarrow is not installed.
            BackendError: the store failed.
        """
        with self._lent.opened() as index:
            return scan_of(index, part).to_arrow()


class TableWriter(_Travelling):
    """Writes tables to an index, in this process and in others; it pickles like a reader.

    A table that is written twice, because a worker's answer was lost, is stored once.

    Args:
        index: the index to write to.

    Raises:
        UnsupportedError: when it is pickled, the index is in memory.

    Example:
        >>> import pyarrow, vecbridge
        >>> from vecbridge.bulk import TableWriter
        >>> index = vecbridge.get_backend("sklearn").create_index("points", dimension=1)
        >>> TableWriter(index)(pyarrow.table({"id": ["a"], "vector": [[1.0]]}))
        1
    """

    def __call__(self, table: Any) -> int:
        """Write the rows of a table, or whatever :meth:`vecbridge.Index.upsert_table` takes.

        A write that the store asks to retry later is retried for a minute.

        Returns:
            The number of rows.

        Raises:
            InvalidInputError: a column or a value is unusable; nothing of the table was written.
            MissingDependencyError: pyarrow is not installed.
            BackendError: the store failed.
        """
        with self._lent.opened() as index:
            return Throttle().run(partial(index.upsert_table, table)).written
