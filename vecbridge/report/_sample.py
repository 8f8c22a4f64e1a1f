"""A sample of an index's records, read in one bounded pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecbridge._client import Index
from vecbridge.transfer import Progress

_MOST_BYTES = 256 << 20


@dataclass(frozen=True)
class Sample:
    """Records that were drawn.

    Attributes:
        ids: their ids, ascending.
        vectors: ``(n, d)`` float32, one an id.
        scanned: how many records they were drawn from.
    """

    ids: tuple[str, ...]
    vectors: NDArray[np.float32]
    scanned: int


def draw(index: Index, size: int, scan: int, seed: int, progress: Progress) -> Sample:
    """Draw records evenly from the first that a scan gives.

    Args:
        index: where they are.
        size: how many, or as many as 256 MiB hold.
        scan: after how many records the scan is ended.
        seed: of the draw.
        progress: called with how far the scan is.
    """
    dimension = index.info.dimension
    wanted = min(size, max(2, _MOST_BYTES // (4 * dimension)))
    random = np.random.default_rng(seed)
    total = min(index.count(), scan)
    ids: list[str] = []
    vectors = np.empty((0, dimension), dtype=np.float32)
    tickets = np.empty(0)
    seen = 0
    for records in index.scan():
        took = min(len(records), scan - seen)
        seen += took
        # The records with the lowest tickets at the end are drawn, whatever the size of the index.
        ids += records.ids[:took]
        vectors = np.concatenate([vectors, records.vectors[:took]])
        tickets = np.concatenate([tickets, random.random(took)])
        if len(ids) > wanted:
            kept = np.sort(np.argpartition(tickets, wanted)[:wanted])
            ids = [ids[at] for at in kept.tolist()]
            vectors, tickets = vectors[kept], tickets[kept]
        progress("reading", seen, total)
        if seen >= scan:
            break
    order = sorted(range(len(ids)), key=ids.__getitem__)
    return Sample(tuple(ids[at] for at in order), vectors[order], seen)
