"""Ids that a file has twice: of two records of one id, only one could be kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vecbridge._errors import DuplicateIdError
from vecbridge.transfer._source import unusable

_SHOWN = 3


def refuse_repeated(ids: Callable[[], Iterable[Sequence[str | None]]], path: Path) -> None:
    """Reads the ids of a file, twice where that is needed; memory is 16 bytes a record.

    Args:
        ids: gives the ids, some at a time.
        path: of the file.

    Raises:
        DuplicateIdError: an id occurs twice.
        InvalidArgumentError: an id is missing.
    """
    parts = [np.empty(0, np.int64)]
    for some in ids():
        if None in some:
            row = sum(map(len, parts)) + list(some).index(None)
            raise unusable(path, f"row {row}, counted from 0, has no id")
        parts.append(np.fromiter(map(hash, some), np.int64, len(some)))
    hashes = np.concatenate(parts)
    hashes.sort()
    suspects = set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())
    if not suspects:
        return
    # Two ids can have one hash: only the ids themselves tell.
    repeated = _rows_of_repeated(ids(), suspects)
    if repeated:
        raise DuplicateIdError(
            f"{path} has ids in several rows, counted from 0: {_told(repeated)}. Nothing was "
            f"imported; leave one record of each id in the file"
        )


def _rows_of_repeated(
    ids: Iterable[Sequence[str | None]], suspects: set[Any]
) -> dict[str | None, list[int]]:
    rows: dict[str | None, list[int]] = {}
    start = 0
    for some in ids:
        for row, name in enumerate(some, start):
            if hash(name) in suspects:
                rows.setdefault(name, []).append(row)
        start += len(some)
    return {name: where for name, where in rows.items() if len(where) > 1}


def _told(repeated: dict[str | None, list[int]]) -> str:
    shown = [
        f"{name!r} in rows {', '.join(map(str, rows[:_SHOWN]))}{' ...' * (len(rows) > _SHOWN)}"
        for name, rows in list(repeated.items())[:_SHOWN]
    ]
    left = len(repeated) - len(shown)
    return "; ".join(shown) + (f"; and {left:,} ids more" if left else "")
