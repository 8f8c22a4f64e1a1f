"""Ask 50 000 random filters of every store of this machine: ``python -m tests.filters [store...]``.

``VECBRIDGE_FILTERS`` says another number. Milvus Lite takes an hour for 50 000.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.filters.asking import how_many
from tests.filters.differential import compare, fields_of
from vecbridge import get_backend

STORES: dict[str, tuple[str, dict[str, Any]]] = {
    "sklearn": ("sklearn", {}),
    "sklearn-disk": ("sklearn", {"path": "records"}),
    "faiss": ("faiss", {}),
    "faiss-hnsw": ("faiss", {"index": "hnsw"}),
    "torch": ("torch", {"device": "cpu"}),
    "milvus-lite": ("milvus", {"uri": "vectors.db"}),
}


def main(names: list[str]) -> int:
    """Ask the stores named, or all; return how many gave a wrong answer."""
    wrong = 0
    for name in names or STORES:
        backend, options = STORES[name]
        with tempfile.TemporaryDirectory() as folder:
            places = {
                key: str(Path(folder) / value) if key in ("path", "uri") else value
                for key, value in options.items()
            }
            started = time.monotonic()
            with get_backend(backend, **places) as store:
                index = store.create_index(
                    "filters", dimension=2, metric="euclidean", fields=fields_of(store)
                )
                outcome = compare(index, how_many(50_000), seed=17)
        print(f"{name}: {outcome} ({time.monotonic() - started:.0f} s)", flush=True)
        print(*outcome.wrong[:10], sep="\n")
        wrong += bool(outcome.wrong)
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
