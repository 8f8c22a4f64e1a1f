"""Growth of cost with size and with dimension: sklearn and FAISS against peers and limits.

Every cell, a backend at one size, is measured in a process of its own by ``_sweep.py``. Stops
before a cell that the time left is too short for, and says so.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from _measure import Row, arguments, report

HERE = Path(__file__).parent
BACKENDS = ("sklearn", "faiss")
CELLS = (
    (10_000, 64),
    (100_000, 64),
    (1_000_000, 64),
    (10_000, 512),
    (100_000, 512),
    (10_000, 1536),
    (100_000, 1536),
)
QUICK = ((1_000, 64), (10_000, 64), (10_000, 512))
TASK_SECONDS, QUICK_SECONDS = 0.5, 0.2
TOTAL_SECONDS = 150.0


def cell(backend: str, count: int, dimension: int, wanted: float) -> list[Row]:
    """Return the rows of one cell: ours against every other side."""
    command = [sys.executable, str(HERE / "_sweep.py"), backend, str(count), str(dimension)]
    done = subprocess.run([*command, str(wanted)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{backend} at {count} x {dimension}:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return [
        Row(
            f"{backend}, {count} x {dimension}: {task}",
            measured["figures"]["ours"],
            figure,
            side,
            measured["unit"],
            repeats=measured["repeats"],
            about={"backend": backend, "task": task, "count": count, "dimension": dimension},
        )
        for task, measured in found.items()
        for side, figure in measured["figures"].items()
        if side != "ours"
    ]


def main() -> None:
    """Measures cell by cell, the backends in turn, and prints the table."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--quick", action="store_true", help="small sizes, under a minute")
    parser.add_argument("--seconds", type=float, default=TOTAL_SECONDS, help="in all")
    options = parser.parse_args()
    cells, wanted = (QUICK, QUICK_SECONDS) if options.quick else (CELLS, TASK_SECONDS)
    start, longest, rows, left = time.monotonic(), 0.0, [], []
    for count, dimension in cells:
        for backend in BACKENDS:
            begun = time.monotonic()
            # A cell may take longer than any before it, so one that might not fit is not begun.
            if begun - start + longest > options.seconds:
                left.append(f"{backend} at {count} x {dimension}")
                continue
            rows += cell(backend, count, dimension, wanted)
            longest = max(longest, time.monotonic() - begun)
            print(f"{backend}, {count} x {dimension}: {time.monotonic() - begun:.0f} s", flush=True)
    missing = f"; no time was left for {', '.join(left)}" if left else ""
    report(f"Growth with size and dimension, euclidean, exact{missing}", rows, options.json)


if __name__ == "__main__":
    main()
