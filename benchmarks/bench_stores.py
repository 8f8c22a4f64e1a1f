"""Every store over vecbridge, against the same store by its own client.

By hand there is one way in, one search, and no proof: what comes back is what the store says. Ours
writes the same records with what the contract needs beside them, and proves the ranking.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from _by_hand import STORES, ByHand
from _measure import Row, arguments, report, seconds, together

sys.path.insert(0, str(Path(__file__).parent.parent))
from vecbridge import get_backend
from vecbridge.ranking import shares_found

LIMIT = 1.3
NEIGHBORS = (10, 100)
QUERIES = 8
SECONDS = 8.0
RUNS = 3
SLOW = 30.0
"""Seconds after which storing is measured once: an engine that builds a graph takes minutes."""


def compared(peer: ByHand, package: str, ids: list[str], vectors: np.ndarray) -> list[Row]:
    """Return what storing and searching takes, ours beside by hand, in turn."""
    by_hand = f"{package} by hand"
    queries = vectors[:: len(vectors) // QUERIES][:QUERIES] + np.float32(0.01)
    with get_backend(peer.backend, **peer.options) as store:
        mine, theirs = [], []
        for _ in range(RUNS):
            if "bench" in store.index_names():
                store.drop_index("bench")
            index = store.create_index("bench", dimension=vectors.shape[1], metric="euclidean")
            theirs.append(seconds(lambda: peer.ingest(ids, vectors)))
            mine.append(seconds(lambda index=index: index.upsert(ids, vectors)))
            if mine[-1] + theirs[-1] > SLOW:
                break
        work = f"{peer.backend}: storing"
        rows = [Row(work, min(mine), min(theirs), by_hand, "s", LIMIT, len(mine))]
        for k in NEIGHBORS:
            taken, runs = together(
                {
                    "ours": lambda k=k: index.search(queries, k=k),
                    "theirs": lambda k=k: peer.search(queries, k),
                },
                SECONDS,
            )
            found = index.search(queries, k=k)
            sure = all(hits.exact for hits in found)
            work = f"{peer.backend}: {QUERIES} queries, k={k}{'' if sure else ', not proven'}"
            ours, other = 1e3 * taken["ours"], 1e3 * taken["theirs"]
            rows.append(Row(work, ours, other, by_hand, "ms", LIMIT, runs))
            if not sure:
                nearest = index.search(queries, k=k, ranking="certified")
                truth = [hits.ids for hits in nearest]
                shares = [
                    float(np.mean(shares_found(answers, truth, k)))
                    for answers in ([hits.ids for hits in found], peer.search(queries, k))
                ]
                rows.append(Row(f"{peer.backend}: recall of these", *shares, by_hand, ""))
    return rows


def main() -> None:
    """Measures every store that is installed, and prints the table."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--only", choices=STORES, help="the package of one store's client")
    parser.set_defaults(count=50_000, dimension=256)
    options = parser.parse_args()
    generator = np.random.default_rng(0)
    vectors = generator.standard_normal((options.count, options.dimension), dtype=np.float32)
    ids = [f"record-{number}" for number in range(options.count)]
    rows: list[Row] = []
    for package, started in STORES.items():
        if options.only not in (None, package):
            continue
        if find_spec(package) is None:
            print(f"{package} is not installed")
            continue
        with started() as peer:
            rows += compared(peer, package, ids, vectors)
    report(f"stores, {options.count:,} x {options.dimension}, float32", rows, options.json)


if __name__ == "__main__":
    main()
