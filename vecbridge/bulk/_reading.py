"""An index as a source of records, in batches, and how far the work is."""

from __future__ import annotations

from collections.abc import Iterator

from vecbridge._client import Index
from vecbridge._client._tables import Progress, silent
from vecbridge._contract._consistency import Consistency
from vecbridge._contract._filters import Filter
from vecbridge._contract._records import Records

__all__ = ["Progress", "index_batches", "silent"]


def index_batches(
    index: Index,
    stage: str,
    progress: Progress,
    consistency: Consistency = "strong",
    where: Filter | None = None,
    *,
    start: str | None = None,
    stop: str | None = None,
) -> Iterator[Records]:
    """Yield every record of an index that matches, with progress after each batch.

    How many lie in a range is not known before they are read.
    """
    whole = start is None and stop is None
    done, total = 0, index.count(where=where, consistency=consistency) if whole else 0
    for records in index.scan(where=where, start=start, stop=stop, consistency=consistency):
        yield records
        done += len(records)
        progress(stage, done, max(total, done))
