"""The local store at size: overwriting, deleting, the file afterwards, and opening it.

Opening reads every byte that is kept, so it is measured by the megabyte: a store ten times as
large may take no longer for each. What is written is compared to writing as many bytes to a file.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from _measure import Row, arguments, report, seconds

from vecbridge.local import LocalStore

SMALLER = 10
OPENING_LIMIT, FILE_LIMIT = 1.2, 2.0
OPENINGS = 3


class Grown:
    """A store of so many records, and what was done to it.

    Args:
        folder: of its file.
        count: records.
        dimension: of the vectors.
    """

    def __init__(self, folder: Path, count: int, dimension: int) -> None:
        self._folder = folder
        self._vectors = np.random.default_rng(0).standard_normal(
            (count, dimension), dtype=np.float32
        )
        self._ids = [f"record-{number}" for number in range(count)]
        self._store = LocalStore(folder, backend="bench")
        self._table = self._store.create("bench", dimension=dimension, metric="cosine")

    def ingested(self) -> float:
        """Seconds to write everything."""
        return seconds(lambda: self._table.upsert(self._ids, self._vectors))

    def overwritten(self, share: int) -> float:
        """Seconds to write one in so many again."""
        return seconds(lambda: self._table.upsert(self._ids[::share], self._vectors[::share]))

    def deleted(self, share: int) -> float:
        """Seconds to delete all but one in so many, compaction included."""
        gone = [name for row, name in enumerate(self._ids) if row % share]
        return seconds(lambda: self._table.delete(gone))

    def size(self) -> int:
        """Bytes of the file and its log."""
        return sum(path.stat().st_size for path in self._folder.iterdir())

    def opened(self) -> float:
        """Seconds for each megabyte of the file, opened again and counted."""
        self._store.close()

        def once() -> None:
            store = LocalStore(self._folder, backend="bench")
            store.open("bench").count()
            store.close()

        taken = statistics.median(seconds(once) for _ in range(OPENINGS))
        return taken / (self.size() / 2**20)


def written(folder: Path, vectors_bytes: int) -> float:
    """Seconds to write so many bytes and be sure of them."""
    block = np.zeros(vectors_bytes, dtype=np.uint8)

    def write() -> None:
        with (folder / "bytes").open("wb") as file:
            block.tofile(file)
            file.flush()
            os.fsync(file.fileno())

    return seconds(write)


def measured(count: int, dimension: int) -> tuple[list[Row], float]:
    """Return the rows of one size, and the seconds per megabyte of opening it."""
    rows: list[Row] = []
    size, title = 4 * count * dimension, f"{count:,} x {dimension}"
    with tempfile.TemporaryDirectory(prefix="vecbridge-") as name:
        folder = Path(name)
        grown = Grown(folder / "whole", count, dimension)
        plain = written(folder, size)
        rows.append(_seconds(f"{title}: ingest", grown.ingested(), plain))
        opened = grown.opened()
        grown = Grown(folder / "changed", count, dimension)
        grown.ingested()
        rows.append(_seconds(f"{title}: overwrite a tenth", grown.overwritten(10), plain / 10))
        rows.append(_seconds(f"{title}: delete nine tenths", grown.deleted(10), plain / 10))
        kept, live = grown.size() / 2**20, size / 10 / 2**20
        rows.append(
            Row(f"{title}: the file then", kept, live, "vectors that are left", "MB", FILE_LIMIT)
        )
    return rows, opened


def _seconds(work: str, ours: float, theirs: float) -> Row:
    return Row(work, ours, theirs, "writing the bytes that stay", "s", repeats=1)


def main() -> None:
    """Measures two sizes and prints the table."""
    parser: Any = arguments(__doc__ or "")
    parser.set_defaults(count=1_000_000, dimension=64)
    options = parser.parse_args()
    small, by_small = measured(options.count // SMALLER, options.dimension)
    large, by_large = measured(options.count, options.dimension)
    opening = Row(
        f"opening {options.count:,} x {options.dimension}, a megabyte",
        1e3 * by_large,
        1e3 * by_small,
        f"the same of a {SMALLER}th of it",
        limit=OPENING_LIMIT,
        repeats=OPENINGS,
    )
    report("The local store at size", [*small, *large, opening], options.json)


if __name__ == "__main__":
    main()
