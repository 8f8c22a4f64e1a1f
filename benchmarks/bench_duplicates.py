"""Near duplicates against the product of all pairs, and through FiftyOne against its sklearn.

    python benchmarks/bench_duplicates.py --sizes 50000 100000 300000 1000000

The product of all pairs is what a search without bounds would have to make: half of it, since both
records of a pair see the same. Data without any structure needs most of it.

Through FiftyOne is measured where ``FIFTYONE_DATABASE_URI`` names a MongoDB that may be written to.
Uniqueness makes the peer keep every pair within a distance of 1, which at 50,000 would take 20 GB,
so it is asked of as many records as 5 GB suffice for: of more than the 15,000 up to which the peer
has a table of all distances from the duplicates before, since larger sets never have one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from _measure import Row, arguments, report

HERE = Path(__file__).parent
TIME_LIMIT = MEMORY_LIMIT = 1 / 5
UNIQUE_SHARE = 0.44
WORST, HELD, FIXED_MEGABYTES = 1.2, 2.5, 200
WORKS = (
    ("clusters", 0.005),
    ("clusters", 0.02),
    ("clusters", 0.1),
    ("bursts", 0.005),
    ("isotropic", 0.02),
    ("isotropic", 0.5),
)


def asked(backend: str, count: int, dimension: int, what: str) -> dict[str, Any]:
    """Return what a process of its own measured."""
    with tempfile.TemporaryDirectory() as home:
        data = f"duplicates-{backend}", str(Path(home) / "embeddings.npy")
        _run(home, "make", *data, str(count), str(dimension))
        printed = _run(home, backend, *data, what)
    answers: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return answers


def near_duplicates(count: int, dimension: int) -> list[Row]:
    """Time, memory and products of each kind of data and radius."""
    rows: list[Row] = []
    for kind, radius in WORKS:
        with tempfile.TemporaryDirectory() as home:
            given = kind, str(count), str(dimension), str(radius)
            found = json.loads(_run(home, *given, script="_near_duplicates.py"))
        title = f"{count} in {kind}, radius {radius}"
        held = found["vectors"]
        # Of fewer vectors, what is the same for any number of them counts for most.
        limit = HELD if held > FIXED_MEGABYTES else None
        product = "product of all pairs"
        rows += [
            Row(title, found["seconds"], found["product"], product, "s", WORST),
            Row(f"{title}: products", 100 * found["share"], 100.0, product, "%"),
            Row(f"{title}: memory", held + found["peak"], held, "the vectors", "MB", limit),
        ]
    return rows


def _run(home: str, *given: str, script: str = "_duplicates.py") -> str:
    """Return what a process printed; its home is a folder that is removed."""
    done = subprocess.run(
        [sys.executable, str(HERE / script), *given],
        env={**os.environ, "HOME": home},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(given)} failed:\n{done.stderr}")
    return done.stdout


def compared(backend: str, what: str, count: int, dimension: int) -> list[Row]:
    """Time and memory of one question, of both backends in turn."""
    ours, peers = (asked(name, count, dimension, what) for name in (backend, "sklearn-peer"))
    mine, theirs = ours[what], peers[what]
    title = f"{what} of {count}, {backend}"
    return [
        Row(title, mine[0], theirs[0], "FiftyOne sklearn", "s", TIME_LIMIT),
        Row(f"{title}: memory it adds", mine[1], theirs[1], "what it adds", "MB"),
        Row(f"{title}: whole", ours["whole"], peers["whole"], "its peak", "MB", MEMORY_LIMIT),
        Row(f"{title}: kept", mine[2], theirs[2], "what it keeps", ""),
    ]


def main() -> None:
    """Measures everything and prints the table."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--sizes", type=int, nargs="*", help="records; --count where not given")
    options = parser.parse_args()
    count, dimension = options.count, options.dimension
    rows: list[Row] = []
    for size in options.sizes or [count]:
        rows += near_duplicates(size, dimension)
    if os.environ.get("FIFTYONE_DATABASE_URI"):
        rows += compared("sklearn", "duplicates", count, dimension)
        rows += compared("sklearn", "unique", int(UNIQUE_SHARE * count), dimension)
    report(f"Near duplicates, {dimension} dimensions", rows, options.json)


if __name__ == "__main__":
    main()
