"""How many rows to ask for at a time, where strings may make each of them long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vecbridge_milvus._errors import TooLargeError
from vecbridge_milvus._schema import Layout

_UNSEEN = 256
"""Rows to begin with: of the longest string that Milvus holds, 16 MiB a field."""

_GROWTH = 16
_TEXT_BYTES = 8 << 20


class Portion:
    """The size of the next piece of a read, by what the last one weighed.

    Vectors are all of one length, and are reckoned with by who asks. A server gives up on an
    answer of more than 100 MB, and says so in the words of a failure that passes.

    Args:
        layout: of the collection.
        output: the fields that are read.
        most: rows that are asked for where strings do not matter.

    Attributes:
        rows: how many rows to ask for.
    """

    def __init__(self, layout: Layout, output: Sequence[str], most: int) -> None:
        fields = layout.info.fields
        self._texts = "*" in output or any(fields.get(name) == "string" for name in output)
        self._most = most
        self.rows = min(most, _UNSEEN) if self._texts else most

    def note(self, rows: Sequence[dict[str, Any]]) -> None:
        """Reckons with the strings of the rows that came."""
        if not self._texts or not rows:
            return
        size = sum(len(value) for row in rows for value in row.values() if isinstance(value, str))
        fitting = _TEXT_BYTES * len(rows) // max(size, 1)
        self.rows = max(1, min(self._most, _GROWTH * self.rows, fitting))

    def halve(self, error: TooLargeError) -> None:
        """Asks for less, since an answer was too long.

        Raises:
            TooLargeError: a single row is.
        """
        if self.rows <= 1:
            raise error
        self._most = self.rows = self.rows // 2
