"""Survey an index: figures of a sample of its records, and of its answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecbridge._client import Index, Store
from vecbridge._client import _validate as validate
from vecbridge._contract._consistency import Consistency
from vecbridge._errors import InvalidArgumentError
from vecbridge.diagnosis import lags, scratch_index
from vecbridge.ranking import norms
from vecbridge.report._distribution import Distribution
from vecbridge.report._neighborhoods import Neighborhoods, neighborhoods
from vecbridge.report._recall import Recall, recall
from vecbridge.transfer import Progress, silent

_MOST_BYTES = 256 << 20
"""Of the vectors that are drawn."""


@dataclass(frozen=True)
class Survey:
    """Figures of an index.

    Attributes:
        backend: name of its store's backend.
        index: its name.
        records: how many it holds.
        dimension: of its vectors.
        metric: its distance.
        consistency: level of the reads that ask for none.
        capabilities: what it can do.
        seed: of the draws.
        scanned: how many records the sample was drawn from.
        sampled: how many records were looked at.
        zeros: how many of these have only zeros in their vector.
        norms: lengths of these vectors; ``None`` of an empty index.
        neighborhoods: how near these are to each other; ``None`` with fewer than two records.
        recall: what ordinary answers lack; ``None`` where no query was asked, or where the exact
            answer of an approximate index would have read more records than were to be scanned.
        lags: milliseconds until a read of each level saw a write, ``None`` where it did not in
            15 s; empty where nothing was to be written.
    """

    backend: str
    index: str
    records: int
    dimension: int
    metric: str
    consistency: str
    capabilities: Mapping[str, Any]
    seed: int
    scanned: int
    sampled: int
    zeros: int
    norms: Distribution | None
    neighborhoods: Neighborhoods | None
    recall: Recall | None
    lags: Mapping[Consistency, float | None]

    @property
    def whole(self) -> bool:
        """Return whether every record was looked at."""
        return self.sampled >= self.records


def survey(
    store: Store,
    name: str,
    *,
    sample: int = 10_000,
    scan: int = 200_000,
    queries: int = 100,
    k: int = 10,
    seed: int = 0,
    write: bool = True,
    progress: Progress = silent,
) -> Survey:
    """Look at an index; its records stay as they are.

    Memory: four copies of the sample's vectors, which never exceed 256 MiB each, and 128 MiB.

    Args:
        store: where the index is.
        name: its name.
        sample: most records to look at.
        scan: most records to draw them from: the first that a scan gives.
        queries: how many of them to search with.
        k: hits of a search, and neighbours of a record.
        seed: of the draws; the same one draws the same records from the same index.
        write: also measure how late reads see a write, in a small index that is dropped again.
        progress: called with how far the work is.

    Raises:
        IndexNotFoundError: there is no such index.
        InvalidArgumentError: a number is unusable.

    Example:
        >>> import vecbridge
        >>> store = vecbridge.get_backend("sklearn")
        >>> index = store.create_index("points", dimension=2, metric="euclidean")
        >>> index.upsert(["a", "b", "c"], [[3, 4], [3, 4], [0, 9]])
        >>> seen = survey(store, "points")
        >>> seen.records, seen.neighborhoods.identical, seen.norms.median
        (3, 2, 5.0)
    """
    size = validate.positive(sample, "sample")
    most = validate.positive(scan, "scan")
    hits = validate.positive(k, "k")
    if queries < 0:
        raise InvalidArgumentError(f"queries must be 0 or more; got {queries}")
    with store.open_index(name) as index:
        records, info = index.count(), index.info
        ids, vectors, scanned = _draw(index, size, most, seed, progress)
        lengths = norms(vectors)
        rows = np.random.default_rng(seed).permutation(len(ids))[:queries]
        # For exact answers, an approximate index reads all of its records.
        affordable = index.capabilities.exact or records <= most
        return Survey(
            backend=store.name,
            index=info.name,
            records=records,
            dimension=info.dimension,
            metric=info.metric,
            consistency=info.consistency,
            capabilities=asdict(index.capabilities),
            seed=seed,
            scanned=scanned,
            sampled=len(ids),
            zeros=int((lengths == 0).sum()),
            norms=Distribution.of(lengths) if len(ids) else None,
            neighborhoods=neighborhoods(info.metric, ids, vectors, hits, progress)
            if len(ids) > 1
            else None,
            recall=recall(index, vectors[np.sort(rows)], hits, progress)
            if len(rows) and affordable
            else None,
            lags=_lags(store) if write else {},
        )


def _lags(store: Store) -> Mapping[Consistency, float | None]:
    with scratch_index(store) as index:
        return lags(index)


def _draw(
    index: Index, size: int, scan: int, seed: int, progress: Progress
) -> tuple[tuple[str, ...], NDArray[np.float32], int]:
    """Draw records evenly from the first that a scan gives, in bounded memory.

    Args:
        index: where they are.
        size: how many, or as many as 256 MiB hold.
        scan: after how many records the scan is ended.
        seed: of the draw.
        progress: called with how far the scan is.

    Returns:
        The ids, ascending; the vectors, ``(n, d)``; how many records they were drawn from.
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
    return tuple(ids[at] for at in order), vectors[order], seen
