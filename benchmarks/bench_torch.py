"""The torch backend on a CPU against the bare products of the same data, in numpy and in torch.

With ``--device``, against the limits of that device instead: reading its memory once, and the
throughput of its matrix units. For a large GPU: ``--device cuda --count 10000000``.
"""

from __future__ import annotations

import statistics
from typing import Any

import _torch_device as on_device
import numpy as np
import torch
from _measure import Row, Work, arguments, in_turn, report

from vecbridge import METRICS, ConfigurationError, Index, get_backend

BATCH_LIMIT = 1.5
SINGLE_LIMIT = 2.0
_TRIED = 6
PRECISIONS = ("bfloat16", "float32")


def searching(count: int, dimension: int, precision: str) -> list[Row]:
    """One query and a hundred, against the faster of two libraries' products."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((count, dimension), dtype=np.float32)
    queries = rng.standard_normal((100, dimension), dtype=np.float32)
    ids = [f"record-{number}" for number in range(count)]
    rows = []
    for metric in METRICS:
        with get_backend("torch", device="cpu", precision=precision) as store:
            index = store.create_index("bench", dimension=dimension, metric=metric)
            index.upsert(ids, vectors)
            rows += _against_products(index, f"{precision}, {metric}", vectors, queries)
    return rows


def _against_products(index: Index, title: str, vectors: Any, queries: Any) -> list[Row]:
    one, held, asked = queries[0], torch.from_numpy(vectors), torch.from_numpy(queries)
    # Float32 products try both libraries first, and keep to the faster one from then on.
    for _ in range(_TRIED):
        index.search(queries, 10)
    batch = _medians(
        lambda: index.search(queries, 10),
        [lambda: queries @ vectors.T, lambda: asked @ held.T, lambda: held @ asked.T],
        15,
    )
    single = _medians(
        lambda: index.search(one, 10), [lambda: vectors @ one, lambda: held @ asked[0]], 31
    )
    return [
        _row(f"{title}: one query", single, "matrix-vector", SINGLE_LIMIT),
        _row(f"{title}: 100 queries", batch, "matrix product", BATCH_LIMIT),
    ]


def _medians(ours: Work, peers: list[Work], runs: int) -> tuple[float, float]:
    """Median seconds of ours and of the fastest peer."""
    mine, *theirs = map(statistics.median, in_turn([ours, *peers], runs))
    return mine, min(theirs)


def _row(work: str, times: tuple[float, float], peer: str, limit: float) -> Row:
    return Row(work, 1e3 * times[0], 1e3 * times[1], f"float32 {peer}", limit=limit)


def main() -> None:
    """Measures both precisions of a CPU, or one device, and prints the table."""
    parser = arguments(__doc__ or "")
    parser.set_defaults(count=100_000)
    parser.add_argument("--device", help="of torch, as in cuda, mps or cpu: against its limits")
    options = parser.parse_args()
    if options.device is not None:
        try:
            found = on_device.rows(options.device, options.count, options.dimension)
        except ConfigurationError as error:
            print(f"torch: nothing to measure: {error}")
            return
        title = f"torch {torch.__version__} on {options.device}, k={on_device.K}"
        report(title, found, options.json)
        return
    rows = []
    for precision in PRECISIONS:
        rows += searching(options.count, options.dimension, precision)
    title = f"torch {torch.__version__} on a CPU, {options.count} x {options.dimension}, k=10"
    report(title, rows, options.json)


if __name__ == "__main__":
    main()
