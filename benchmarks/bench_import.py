"""What importing all that vecbridge gives costs, beside ``import numpy``, which it needs.

``import vecbridge`` alone is cheaper: numpy is left to the first use of a name that needs it.

Each import is made in a process of its own; the least of several times is the cost, the rest is
what else the machine was doing. Both are compiled to bytecode before, as pip does when it installs.
"""

from __future__ import annotations

import compileall
import importlib.util
import subprocess
import sys
from pathlib import Path

from _measure import Row, arguments, report

ROUNDS = 15
LIMIT = 1.5


def seconds_of(statement: str) -> float:
    """Return what an import takes in a fresh process."""
    code = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(done.stdout)


def main() -> None:
    """Measures and reports."""
    given = arguments(__doc__ or "").parse_args()
    spec = importlib.util.find_spec("vecbridge")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("vecbridge is not installed here")
    compileall.compile_dir(Path(spec.origin).parent, quiet=1)
    ours, numpys = [], []
    for _ in range(ROUNDS):
        numpys.append(seconds_of("import numpy"))
        ours.append(seconds_of("from vecbridge import *"))
    row = Row(
        "from vecbridge import *", 1e3 * min(ours), 1e3 * min(numpys), "import numpy", limit=LIMIT
    )
    report("Import", [row], given.json)


if __name__ == "__main__":
    main()
