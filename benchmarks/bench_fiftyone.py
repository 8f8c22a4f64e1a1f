"""FiftyOne over vecbridge against FiftyOne's own backends, in one run.

Measured where ``FIFTYONE_DATABASE_URI`` names a MongoDB that may be written to; Milvus where the
wheel with its server is installed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from _measure import Row, arguments, report

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
WORK = {
    "create": ("compute_similarity, from an array", "s"),
    "reload": ("load_brain_results and one query", "ms"),
    "sort": ("sort_by_similarity, k=25", "ms"),
    "least": ("the same, least similar", "ms"),
    "view1": ("the same in a view of 1 %", "ms"),
    "view50": ("the same in a view of 50 %", "ms"),
    "hundred": ("100 vectors, k=10", "ms"),
    "size": ("reload() and index_size", "ms"),
    "some": ("get_embeddings of a tenth", "ms"),
    "duplicates": ("find_duplicates", "s"),
}


def asked(column: str, count: int, dimension: int, options: dict[str, Any]) -> dict[str, float]:
    """What one backend's process measured."""
    words = [column, str(count), str(dimension), json.dumps(options)]
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [sys.executable, str(HERE / "_fiftyone_workload.py"), *words],
            env={**os.environ, "HOME": home},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"{column} could not be measured:\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def rows(name: str, ours: dict[str, float], theirs: dict[str, float], peer: str) -> list[Row]:
    """The table of one pair; a piece of work that the peer cannot do stands without it."""
    made = []
    for key, (what, unit) in WORK.items():
        scale = 1.0 if unit == "s" else 1e3
        other = theirs.get(key)
        made.append(
            Row(
                f"{name}: {what}",
                scale * ours[key],
                None if other is None else scale * other,
                peer if other is not None else f"{peer}, which has none",
                unit,
                # FiftyOne's sklearn reads a number in memory, whatever others have written.
                None if key == "size" and name != "Milvus" else 1.0,
            )
        )
    return made


def main() -> None:
    """Measures everything and prints the tables."""
    options = arguments(__doc__ or "").parse_args()
    if not os.environ.get("FIFTYONE_DATABASE_URI"):
        print("FiftyOne is not measured: FIFTYONE_DATABASE_URI names no database")
        return
    size = options.count, options.dimension
    with tempfile.TemporaryDirectory() as folder:
        place = {"path": folder}
        peer = asked("sklearn", *size, {})
        table = rows("sklearn", asked("vecbridge_sklearn", *size, place), peer, "its sklearn")
        table += rows("FAISS", asked("vecbridge_faiss", *size, place), peer, "its sklearn")
        if find_spec("milvus") is not None:
            from tests.servers.milvus import running_milvus

            with running_milvus(Path(folder) / "milvus") as server:
                place = {"uri": server.uri}
                peer = asked("milvus", *size, place)
                ours = asked("vecbridge_milvus", *size, place)
                table += rows("Milvus", ours, peer, "its milvus")
    report(f"FiftyOne, {size[0]} x {size[1]} float32", table, options.json)


if __name__ == "__main__":
    main()
