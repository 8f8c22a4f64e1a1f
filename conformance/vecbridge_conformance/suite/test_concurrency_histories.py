"""Writers and readers at once: every read is explained by the history, and nothing is lost."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import numpy as np

from vecbridge import Index, IndexExistsError
from vecbridge_conformance import Harness, clause, requires
from vecbridge_conformance.histories import DIMENSION, Anomaly, History, anomalies, unsettled
from vecbridge_conformance.workload import Plan, Recording, ids_of, in_processes, in_threads, plans

_WRITERS = 3
_ROUNDS = 60
_SMALL_WRITES = 70

Result = TypeVar("Result")


def _crowd(harness: Harness, size: int) -> list[Plan]:
    return plans(
        size,
        barrier=harness.folder(),
        writers=_WRITERS,
        seconds=harness.effort.history_s,
        levels=["strong"],
        rounds=_ROUNDS,
    )


def _explained(index: Index, history: History) -> None:
    """Check that no read is an anomaly, and that each record ends as its last write left it."""
    assert history.writes, "no writer wrote"
    failed = history.failures
    assert not failed, f"{len(failed)} reads failed because others wrote, the first: {failed[0]}"
    found = anomalies(history)
    assert not found, f"{_counted(found, history)}, the first: {found[0]}"
    last = Recording(index, -1)
    ids = [name for writer in range(_WRITERS) for name in ids_of(writer)]
    for way in ("fetch", "search", "scan"):
        behind = unsettled(history, [last.read(ids, "strong", way)])
        assert not behind, f"after all writes, {behind[0]}"
    there = sum(version > 0 for version in last.history.reads[0].seen.values())
    assert index.count(consistency="strong") == there


def _counted(found: Sequence[Anomaly], history: History) -> str:
    """Return what tells a fault of a moment from one that lasts, and of one reader from all."""
    kinds = Counter(each.kind for each in found)
    said = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common())
    wrong = {id(each.read): each.read for each in found}.values()
    begun = min(read.start for read in history.reads)
    first, last = min(read.start for read in wrong), max(read.end for read in wrong)
    return (
        f"{len(found)} anomalies ({said}) in {len(wrong)} of {len(history.reads)} reads, of "
        f"processes {sorted({read.process for read in wrong})}, {first - begun:.1f} to "
        f"{last - begun:.1f} s after the first read"
    )


@clause("WRITE-7", "WRITE-9", "CONS-1", "READ-6", "SEARCH-11")
@requires("consistency:strong")
def test_threads_on_one_index_lose_nothing(harness: Harness) -> None:
    """Look for reads that lose a record while it is replaced, or while they turn a page."""
    index = harness.index(dimension=DIMENSION, metric="euclidean", consistency="strong")
    crowd = _crowd(harness, 5)
    _explained(index, in_threads(index, crowd))


@clause("WRITE-7", "WRITE-9", "CONS-1", "READ-6", "SEARCH-11")
@requires("shared", "consistency:strong")
def test_processes_on_one_index_lose_nothing(harness: Harness) -> None:
    """Look for locks that hold in one process only, and for caches that others do not reach."""
    index = harness.index(dimension=DIMENSION, metric="euclidean", consistency="strong")
    crowd = _crowd(harness, 4)
    _explained(index, in_processes(harness, index, crowd))


@clause("WRITE-2", "WRITE-9")
def test_writers_of_the_same_ids_leave_one_whole_version_of_each(harness: Harness) -> None:
    """Look for a replacement that is not one step."""
    index = harness.index(dimension=DIMENSION, metric="euclidean", consistency="strong")
    ids = ids_of(0)

    def write(version: int) -> None:
        for _ in range(5):
            index.upsert(ids, np.full((len(ids), DIMENSION), version, dtype=np.float32))

    _together([partial(write, version) for version in (1, 2, 3)])
    seen = Recording(index, 0).read(ids, "strong", "scan").seen
    assert set(seen.values()) <= {1, 2, 3}, f"a record is torn or lost: {seen}"
    assert index.count() == len(ids)


@clause("WRITE-2", "WRITE-9")
def test_writers_of_the_same_new_ids_leave_one_record_of_each(harness: Harness) -> None:
    """Look for a store that looks whether an id is there, and then inserts it.

    The writes before the race are as many as make stores build indexes and put files together, and
    then look for ids in another way.
    """
    index = harness.index(dimension=DIMENSION, metric="euclidean", consistency="strong")
    old = [f"old{number:02}" for number in range(_SMALL_WRITES)]
    for name in old:
        index.upsert([name], np.zeros((1, DIMENSION), dtype=np.float32))
    new = [f"new{number}" for number in range(5)]

    def write(name: str, version: int) -> None:
        index.upsert([name], np.full((1, DIMENSION), version, dtype=np.float32))

    for name in new:
        _together([partial(write, name, version) for version in (1, 2, 3)])
    found = [name for records in index.scan() for name in records.ids]
    assert sorted(found) == [*new, *old]
    assert index.count() == len(found)


@clause("INDEX-3")
def test_of_several_that_make_one_index_one_succeeds(harness: Harness) -> None:
    """Look at create_index: to look whether a name is free, and then to take it, is a race."""
    name = f"race_{uuid.uuid4().hex}"

    def create() -> Index | None:
        try:
            return harness.store.create_index(name, dimension=DIMENSION)
        except IndexExistsError:
            return None

    try:
        made = [index for index in _together([create] * 4) if index is not None]
        assert len(made) == 1
        assert harness.store.index_names().count(name) == 1
        made[0].upsert(["a"], [[1.0] * DIMENSION])
        assert harness.store.open_index(name).count(consistency="strong") == 1
    finally:
        harness.store.drop_index(name)


def _together(calls: Sequence[Callable[[], Result]]) -> list[Result]:
    """Return the results of calls that start at the same moment, each in a thread."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], Result]) -> Result:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))
