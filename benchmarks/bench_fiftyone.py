"""FiftyOne over vecbridge against FiftyOne's own backends, in one run.

Measured where ``FIFTYONE_DATABASE_URI`` names a MongoDB that may be written to.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from _measure import Row, arguments, report

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
ABOVE_THE_TABLE = 20_000
"""So many records that FiftyOne's sklearn keeps no table of the distances of all pairs."""
WORK = {
    "create": ("compute_similarity, from an array", "s"),
    "reload": ("load_brain_results and one query", "ms"),
    "session": ("load_brain_results, then 100 sorts", "s"),
    "sort": ("sort_by_similarity, k=25", "ms"),
    "least": ("the same, least similar", "ms"),
    "view1": ("the same in a view of 1 %", "ms"),
    "view50": ("the same in a view of 50 %", "ms"),
    "hundred": ("100 vectors, k=10", "ms"),
    "size": ("reload() and index_size", "ms"),
    "some": ("get_embeddings of a tenth", "ms"),
    "duplicates": ("load_brain_results, then find_duplicates", "s"),
    "again": ("find_duplicates again", "s"),
}
QUERIES = ["session", "sort", "least", "view1", "view50", "hundred", "duplicates"]
"""The work that is as different above the table as below it."""
Figures = dict[str, dict[str, float]]
Places = tuple[dict[str, Any], dict[str, Any]]
"""Where a store is, in our settings and in FiftyOne's."""


def asked(columns: dict[str, Any], works: list[str], *size: int) -> Figures:
    """Return what backends measured, in turn, in a process of their own.

    Args:
        columns: the backends, and their settings.
        works: what is measured.
        size: how many vectors there are, of how many dimensions.
    """
    words = {"columns": columns, "works": works, "size": size}
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [sys.executable, str(HERE / "_fiftyone_workload.py"), json.dumps(words)],
            env={**os.environ, "HOME": home},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"{', '.join(columns)} could not be measured:\n{done.stderr}")
    found: Figures = json.loads(done.stdout.splitlines()[-1])
    return found


def rows(name: str, ours: dict[str, float], theirs: dict[str, float], peer: str) -> list[Row]:
    """Return the table of one pair; work that the peer cannot do stands without it."""
    made = []
    for key in (key for key in WORK if key in ours):
        what, unit = WORK[key]
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
                None if key == "size" and peer == "its sklearn" else 1.0,
            )
        )
    return made


def local(works: list[str], count: int, dimension: int) -> list[Row]:
    """Both local backends against FiftyOne's sklearn, which has made its table by then."""
    with tempfile.TemporaryDirectory() as folder:
        place = {"path": folder}
        columns = {"sklearn": {}, "vecbridge_sklearn": place, "vecbridge_faiss": place}
        found = asked(columns, works, count, dimension)
    peer, size = found["sklearn"], f"{count // 1000}k"
    return [
        *rows(f"{size} sklearn", found["vecbridge_sklearn"], peer, "its sklearn"),
        *rows(f"{size} FAISS", found["vecbridge_faiss"], peer, "its sklearn"),
    ]


@contextmanager
def milvus() -> Iterator[Places]:
    """Yield a Milvus server."""
    from tests.servers.milvus import running_milvus

    with tempfile.TemporaryDirectory() as folder, running_milvus(Path(folder) / "milvus") as server:
        yield {"uri": server.uri}, {"uri": server.uri}


@contextmanager
def pgvector() -> Iterator[Places]:
    """Yield a PostgreSQL."""
    from tests.servers.postgres import running_postgres

    with running_postgres() as server:
        yield {"uri": server.uri}, {"connection_string": server.uri}


@contextmanager
def redis() -> Iterator[Places]:
    """Yield a Redis."""
    from tests.servers.redis import running_redis

    with running_redis() as server:
        yield {"uri": server.uri}, {"host": "127.0.0.1", "port": server.port}


@contextmanager
def folder(word: str) -> Iterator[Places]:
    """Yield two folders, named by a setting."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        yield {word: f"{name}/ours"}, {word: f"{name}/theirs"}


SERVED: dict[str, tuple[str, Callable[[], AbstractContextManager[Places]]]] = {
    "milvus": ("milvus", milvus),
    "pgvector": ("psycopg", pgvector),
    "qdrant": ("qdrant_client", lambda: folder("path")),
    "lancedb": ("lancedb", lambda: folder("uri")),
    "redis": ("redis", redis),
}
"""The stores that FiftyOne has an adapter of: the package of their clients, and where one runs."""


def served(store: str, works: list[str], count: int, dimension: int) -> list[Row]:
    """Ours against FiftyOne's, on one store; each has an index of its own."""
    with SERVED[store][1]() as (place, their_place):
        columns = {f"theirs_{store}": their_place, store: place}
        found = asked(columns, works, count, dimension)
    name = f"{count // 1000}k {store}"
    return rows(name, found[store], found[f"theirs_{store}"], f"its {store}")


def main() -> None:
    """Measures everything and prints the table."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--only", choices=SERVED, help="one store, and no local backend")
    options = parser.parse_args()
    if not os.environ.get("FIFTYONE_DATABASE_URI"):
        print("FiftyOne is not measured: FIFTYONE_DATABASE_URI names no database")
        return
    everything = [key for key in WORK if key != "create"]
    if options.only:
        table = served(options.only, everything, options.count, options.dimension)
        report(f"FiftyOne, {options.dimension} dimensions, float32", table, options.json)
        return
    table = local(everything, options.count, options.dimension)
    for store, (package, _) in SERVED.items():
        if find_spec(package) is None:
            print(f"{store} is not measured: {package} is not installed")
            continue
        table += served(store, everything, options.count, options.dimension)
    table += local(QUERIES, ABOVE_THE_TABLE, options.dimension)
    report(f"FiftyOne, {options.dimension} dimensions, float32", table, options.json)


if __name__ == "__main__":
    main()
