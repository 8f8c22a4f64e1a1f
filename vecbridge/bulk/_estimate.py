"""What a copy will read and write, and how long that is likely to take: from a measured sample."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from vecbridge._client import Index, Store
from vecbridge._contract._records import Records
from vecbridge.bulk._lending import refuse_to_spread
from vecbridge.bulk._plan import plan
from vecbridge.diagnosis import place_of_new, scratch_index

_BATCH = 500
_SAMPLE_SECONDS = 2.0
_SAMPLE_BATCHES = 40


@dataclass(frozen=True)
class Estimate:
    """How long a copy in one process is likely to take.

    Rates are in records per second, measured with a sample that was read from the source, written
    to a temporary index in the target, read back and dropped.

    Attributes:
        records: how many will be read, written and read back.
        vector_bytes: bytes of their vectors.
        partitions: number of partitions.
        sampled: number of records that the rates were measured with.
        reading: rate of reading from the source.
        writing: rate of writing to the target.
        reading_back: rate of reading from the target.
        exists: whether the target has an index of that name.
    """

    records: int
    vector_bytes: int
    partitions: int
    sampled: int
    reading: float
    writing: float
    reading_back: float
    exists: bool

    @property
    def seconds(self) -> float:
        """Return how long one process takes. Several share that time if the stores keep up."""
        each = sum(1 / rate for rate in (self.reading, self.writing, self.reading_back) if rate)
        return self.records * each


def estimate(
    source: Index,
    target: Store,
    name: str | None = None,
    *,
    partitions: int | None = None,
    spread: bool = False,
) -> Estimate:
    """Measure a sample, and estimate what a copy will read and write, and how long it will take.

    Takes a few seconds. The sample is the first 20 000 records, or what can be read in two seconds;
    it is written to a temporary index, which is dropped whatever happens. If the target's folder is
    empty, the sample is written to a folder beside it, which is then removed. Stores that build an
    index over their records may become slower as they grow.

    Args:
        source: the index that would be copied.
        target: the store that it would be copied to.
        name: the copy's name; the source's by default.
        partitions: as for :func:`vecbridge.transfer.copy`.
        spread: as for :func:`plan`.

    Raises:
        UnsupportedError: with ``spread``, a store is in memory, or the target has one writer; the
            copy would raise the same.
        BackendError: a store failed.
    """
    if spread:
        refuse_to_spread(source, target)
    info = source.info
    cut = plan(source, partitions, spread=spread)
    # To ask an embedded store without files would make them.
    names = target.index_names() if place_of_new(target) is None else []
    sample, reading = _timed(_first(source))
    with scratch_index(
        target, dimension=info.dimension, metric=info.metric, fields=dict(info.fields)
    ) as copied:

        def write(some: list[Records]) -> Iterator[Records]:
            for records in some:
                copied.upsert(records.ids, records.vectors, records.fields or None)
                yield records

        _, writing = _timed(write(sample))
        _, reading_back = _timed(copied.scan(_BATCH, consistency="strong"))
    return Estimate(
        cut.records,
        4 * info.dimension * cut.records,
        len(cut.partitions),
        sum(map(len, sample)),
        reading,
        writing,
        reading_back,
        (info.name if name is None else name) in names,
    )


def _first(source: Index) -> Iterator[Records]:
    began = time.monotonic()
    for at, records in enumerate(source.scan(_BATCH, consistency="strong"), 1):
        yield records
        if at == _SAMPLE_BATCHES or time.monotonic() - began > _SAMPLE_SECONDS:
            return


def _timed(batches: Iterator[Records]) -> tuple[list[Records], float]:
    """Return the batches, and how many records a second there were after the first of them.

    The first one waits for what is done once: a store is opened, or read into memory.
    """
    some = [*islice(batches, 1)]
    began = time.perf_counter()
    rest = list(batches)
    took = time.perf_counter() - began
    return [*some, *rest], sum(map(len, rest)) / took if rest else 0.0
