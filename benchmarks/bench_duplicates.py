"""Duplicates and uniqueness through FiftyOne: ours against FiftyOne's own sklearn backend.

Measured where ``FIFTYONE_DATABASE_URI`` names a MongoDB that may be written to. Uniqueness makes
the peer keep every pair within a distance of 1, which at 50,000 would take 20 GB, so it is asked of
as many records as 5 GB suffice for: of more than the 15,000 up to which the peer has a table of all
distances from the duplicates before, since larger sets never have one.
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


def asked(backend: str, count: int, dimension: int, what: str) -> dict[str, Any]:
    """Return what a process of its own measured."""
    with tempfile.TemporaryDirectory() as home:
        data = f"duplicates-{backend}", str(Path(home) / "embeddings.npy")
        _run(home, "make", *data, str(count), str(dimension))
        printed = _run(home, backend, *data, what)
    answers: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return answers


def _run(home: str, *given: str) -> str:
    """Return what a process printed; its home is a folder that is removed."""
    done = subprocess.run(
        [sys.executable, str(HERE / "_duplicates.py"), *given],
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
    options = parser.parse_args()
    if not os.environ.get("FIFTYONE_DATABASE_URI"):
        print("duplicates: no FIFTYONE_DATABASE_URI, so nothing to compare with")
        return
    count, dimension = options.count, options.dimension
    rows = compared("sklearn", "duplicates", count, dimension)
    rows += compared("sklearn", "unique", int(UNIQUE_SHARE * count), dimension)
    report(f"Duplicates through FiftyOne, {dimension} dimensions", rows, options.json)


if __name__ == "__main__":
    main()
