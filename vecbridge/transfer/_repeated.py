"""Ids that a file has twice: of two records of one id, only one could be kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vecbridge._errors import DuplicateIdError
from vecbridge.transfer._source import Source

_SHOWN = 3


class Repeated:
    """Looks for them, in 8 bytes a record; where one is suspected, the ids are read again.

    Args:
        file: the file.
    """

    def __init__(self, file: Source) -> None:
        self._file = file
        self._parts = [np.empty(0, np.int64)]

    def add(self, ids: Sequence[Any]) -> None:
        """Take some ids, in the order of the file.

        Raises:
            DuplicateIdError: some of them are equal. Told at once: of a file that says one id a
                thousand million times in a few bytes, the rest is not read.
        """
        self._parts.append(np.fromiter(map(hash, ids), np.int64, len(ids)))
        if len(set(ids)) < len(ids):
            self.check()

    def check(self) -> None:
        """Look at all the ids so far.

        Raises:
            DuplicateIdError: an id occurs twice.
        """
        hashes = np.concatenate(self._parts)
        hashes.sort()
        suspects = set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())
        # Two ids can have one hash: only the ids themselves tell.
        repeated = self._rows_of(suspects, len(hashes)) if suspects else {}
        if not repeated:
            return
        read = len(hashes)
        left = self._file.records - read
        raise DuplicateIdError(
            f"{self._file.place.path}, {self._file.place.word} {self._file.place.id!r}: ids in "
            f"several rows, counted from 0: {_told(repeated)}. "
            + (f"The {left:,} rows after row {read - 1} were not looked at. " if left else "")
            + "Nothing was imported; leave one record of each id in the file"
        )

    def _rows_of(self, suspects: set[Any], stop: int) -> dict[str, list[int]]:
        rows: dict[str, list[int]] = {}
        start = 0
        for some in self._file.ids():
            if start >= stop:
                break
            for row, name in enumerate(some[: stop - start], start):
                if name is not None and hash(name) in suspects:
                    rows.setdefault(name, []).append(row)
            start += len(some)
        return {name: where for name, where in rows.items() if len(where) > 1}


def _told(repeated: dict[str, list[int]]) -> str:
    shown = [
        f"{name!r} in rows {', '.join(map(str, rows[:_SHOWN]))}{' ...' * (len(rows) > _SHOWN)}"
        for name, rows in list(repeated.items())[:_SHOWN]
    ]
    left = len(repeated) - len(shown)
    return "; ".join(shown) + (f"; and {left:,} ids more" if left else "")
