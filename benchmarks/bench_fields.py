"""Hits with their fields, against the same search without, on every store in this process.

Fields are read by id after the search. Three fields are asked for: a text, a number and a time.
"""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta, timezone
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from _measure import Row, arguments, report, together

from vecbridge import Index, get_backend

ENGINES = {"sklearn": "sklearn", "faiss": "faiss", "torch": "torch"}
LIMIT = 1.2
FIELDS = {"label": "string", "size": "integer", "taken": "timestamp"}
NEIGHBORS = (10, 100)
QUERIES = (1, 16)
SECONDS = 3.0


def filled(index: Index, count: int, dimension: int) -> np.ndarray:
    """Fill an index, and return vectors of it."""
    vectors = np.random.default_rng(0).standard_normal((count, dimension), dtype=np.float32)
    first = datetime(2026, 1, 1, tzinfo=timezone.utc)
    index.upsert(
        [f"record-{number}" for number in range(count)],
        vectors,
        {
            "label": [f"label {number % 100}" for number in range(count)],
            "size": list(range(count)),
            "taken": [first + timedelta(seconds=number) for number in range(count)],
        },
    )
    return vectors[:: count // 64]


def measured(engine: str, folder: Path | None, count: int, dimension: int) -> list[Row]:
    """Return a row per number of queries and of hits."""
    rows = []
    place = {} if folder is None else {"path": str(folder)}
    with get_backend(engine, **place) as store:
        index = store.create_index("bench", dimension=dimension, metric="cosine", fields=FIELDS)
        queries = filled(index, count, dimension)
        for asked in QUERIES:
            for k in NEIGHBORS:
                given = queries[:asked]
                taken, runs = together(
                    {
                        "fields": lambda q=given, k=k: index.search(q, k=k, fields=True),
                        "none": lambda q=given, k=k: index.search(q, k=k),
                    },
                    SECONDS,
                )
                ours, theirs = 1e3 * taken["fields"], 1e3 * taken["none"]
                where = "in memory" if folder is None else "on disk"
                work = f"{engine} {where}: {asked} x {k} hits"
                rows.append(Row(work, ours, theirs, "without fields", "ms", LIMIT, runs))
    return rows


def main() -> None:
    """Measures every engine that is installed, and prints the table."""
    parser = arguments(__doc__ or "")
    parser.set_defaults(count=100_000, dimension=256)
    options = parser.parse_args()
    rows: list[Row] = []
    for engine, package in ENGINES.items():
        if find_spec(package) is None:
            print(f"{engine} is not installed")
            continue
        with tempfile.TemporaryDirectory(prefix="vecbridge-") as name:
            for folder in (None, Path(name) / "records"):
                rows += measured(engine, folder, options.count, options.dimension)
    report(f"hits with three fields, {options.count:,} x {options.dimension}", rows, options.json)


if __name__ == "__main__":
    main()
