"""What reads see of writes, judged over recorded histories of several processes."""

from __future__ import annotations

import time
from collections.abc import Sequence

from vecbridge import Consistency
from vecbridge_conformance import Harness, clause, requires, vacuous
from vecbridge_conformance.histories import (
    DIMENSION,
    Anomaly,
    History,
    anomalies,
    lagging,
    unsettled,
)
from vecbridge_conformance.workload import Plan, Recording, ids_of, in_processes, in_threads, plans

_WRITERS = 2


def _recorded(harness: Harness, *levels: Consistency) -> History:
    """Record two writers and two readers, in processes where processes share the store."""
    index = harness.index(dimension=DIMENSION, metric="euclidean", consistency=harness.strongest)
    crowd = _crowd(harness, 4, harness.effort.history_s, levels)
    if harness.capabilities.shared:
        history = in_processes(harness, index, crowd)
    else:
        history = in_threads(index, crowd)
    assert len(history.reads) > len(history.failures), f"most reads fail: {history.failures[:3]}"
    return history


def _crowd(
    harness: Harness, size: int, seconds: float, levels: Sequence[Consistency]
) -> list[Plan]:
    return plans(size, barrier=harness.folder(), writers=_WRITERS, seconds=seconds, levels=levels)


def _none(found: list[Anomaly]) -> None:
    assert not found, f"{len(found)} anomalies, the first of them:\n" + "\n".join(
        map(str, found[:5])
    )


def _weakest(harness: Harness) -> Consistency | None:
    offered = harness.capabilities.consistency
    weaker: tuple[Consistency, ...] = ("eventual", "bounded", "session")
    return next((level for level in weaker if level in offered), None)


def _must_lag(harness: Harness) -> None:
    """Say vacuous where not even the weakest level that the store offers is ever behind."""
    weakest = _weakest(harness)
    if weakest is None:
        vacuous("the store offers strong reads only")
    if not lagging(_recorded(harness, weakest)):
        vacuous(f"{weakest} reads showed no lag, so a wrong level would not have shown either")


@clause("CONS-1", "WRITE-7")
def test_a_strong_read_sees_every_write_that_was_acknowledged_before(harness: Harness) -> None:
    """Look at the level that each read sends to the store, and at caches beside it."""
    history = _recorded(harness, "strong")
    _none(anomalies(history))
    if not harness.capabilities.shared:
        _must_lag(harness)


@clause("CONS-2")
@requires("consistency:session")
def test_a_session_read_sees_its_own_writes_and_deletes(harness: Harness) -> None:
    """Look at what the process remembers of its writes; deletes are writes too."""
    _none(anomalies(_recorded(harness, "session")))
    _must_lag(harness)


@clause("CONS-3")
@requires("consistency:bounded")
def test_a_bounded_read_misses_no_old_write(harness: Harness) -> None:
    """Look at the level that is sent for bounded, and at how old it may make a read."""
    index = harness.index(dimension=DIMENSION, metric="euclidean")
    recording = Recording(index, 0)
    recording.upsert(ids_of(0), 1)
    recording.delete(ids_of(0)[:2], 2)
    _settles(recording, "bounded", harness.effort.convergence_s)
    _must_lag(harness)


@clause("CONS-4")
def test_eventual_reads_converge_once_writes_stop(harness: Harness) -> None:
    """Look for writes that wait for something which never comes, such as a flush."""
    index = harness.index(dimension=DIMENSION, metric="euclidean")
    history = in_threads(index, _crowd(harness, 3, harness.effort.history_s / 2, ["eventual"]))
    _none([found for found in anomalies(history) if found.kind in {"phantom", "torn"}])
    recording = Recording(index, 9)
    recording.history.writes = history.writes
    _settles(recording, "eventual", harness.effort.convergence_s)
    if not lagging(history):
        vacuous("eventual reads showed no lag, so there was nothing to converge")


@clause("CONS-5")
def test_a_weaker_level_than_any_offered_is_answered_by_a_stronger_one(harness: Harness) -> None:
    """Look at the levels declared: the client layer picks the weakest that is strong enough."""
    index = harness.index(dimension=DIMENSION, metric="euclidean")
    recording = Recording(index, 0)
    recording.upsert(ids_of(0), 1)
    weaker: tuple[Consistency, ...] = ("strong", "session", "bounded", "eventual")
    offered = harness.capabilities.consistency
    for level in weaker[min(weaker.index(level) for level in offered) :]:
        if level not in offered:
            recording.read(ids_of(0), level, "fetch")
    if not recording.history.reads:
        vacuous("the store offers every level itself")
    _none(anomalies(recording.history))


def _settles(recording: Recording, level: Consistency, within_s: float) -> None:
    """Read until a level shows every write, and goes on showing it."""
    ids = sorted({name for write in recording.history.writes for name in write.ids})
    deadline = time.monotonic() + within_s
    behind: list[Anomaly] = []
    while time.monotonic() < deadline:
        behind = unsettled(recording.history, [recording.read(ids, level, "fetch")])
        if not behind:
            break
        time.sleep(0.05)
    _none(behind)
    ways = [recording.read(ids, level, way) for way in ("search", "scan", "fetch")]
    _none(unsettled(recording.history, ways))
