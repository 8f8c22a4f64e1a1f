"""The work of histories: writers of disjoint ids and readers of all, in processes or threads."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import vecbridge
from vecbridge import BackendError, Consistency, Index
from vecbridge_conformance._harness import Harness
from vecbridge_conformance.histories import ABSENT, DIMENSION, TORN, History, Read, Way, Write

__all__ = ["Plan", "Recording", "ids_of", "in_processes", "in_threads", "plans"]

_IDS_PER_WRITER = 6
_READY_S = 60.0
_TRIES = 3
_WAYS: tuple[Way, ...] = ("fetch", "search", "scan")


class Recording:
    """One process's own part of a history.

    Args:
        index: what it writes to and reads from.
        process: its number.
    """

    def __init__(self, index: Index, process: int) -> None:
        self.index = index
        self.process = process
        self.history = History()

    def upsert(self, ids: Sequence[str], version: int) -> None:
        """Write a version, again until it is acknowledged or has failed three times."""
        vectors = np.full((len(ids), DIMENSION), version, dtype=np.float32)
        self._write(ids, version, lambda: self.index.upsert(ids, vectors), deleted=False)

    def delete(self, ids: Sequence[str], version: int) -> None:
        """Delete, as a version."""
        self._write(ids, version, lambda: self.index.delete(ids), deleted=True)

    def read(self, ids: Sequence[str], level: Consistency, way: Way) -> Read:
        """Read the versions of some ids."""
        start = time.monotonic()
        seen = _READERS[way](self.index, ids, level)
        read = Read(self.process, way, level, seen, start, time.monotonic())
        self.history.reads.append(read)
        return read

    def try_to_read(self, ids: Sequence[str], level: Consistency, way: Way) -> None:
        """Read; where the store fails in passing, that is noted, and the work goes on."""
        try:
            self.read(ids, level, way)
        except BackendError as error:
            if not error.retryable:
                raise
            self.history.failures.append(f"{way}: {type(error).__name__}: {error}")

    def _write(
        self, ids: Sequence[str], version: int, call: Callable[[], None], *, deleted: bool
    ) -> None:
        start = time.monotonic()
        done = any(_acknowledged(call) for _ in range(_TRIES))
        end = time.monotonic() if done else math.inf
        self.history.writes.append(Write(self.process, tuple(ids), version, deleted, start, end))


@dataclass(frozen=True)
class Plan:
    """What one process does.

    Attributes:
        process: its number.
        writers: how many of the processes write; this one does if its number is below.
        seconds: for how long.
        rounds: at most so many writes.
        levels: levels of its reads, in turn.
        barrier: folder in which processes tell each other that they are ready.
        crowd: how many processes there are.
    """

    process: int
    writers: int
    seconds: float
    rounds: int
    levels: tuple[Consistency, ...]
    barrier: str
    crowd: int

    @property
    def own_ids(self) -> list[str]:
        """Return the ids that this process writes."""
        return ids_of(self.process) if self.process < self.writers else []

    @property
    def all_ids(self) -> list[str]:
        """Return the ids that any writer writes."""
        return [name for writer in range(self.writers) for name in ids_of(writer)]


def ids_of(writer: int) -> list[str]:
    """Return the ids of one writer."""
    return [f"w{writer}-{number}" for number in range(_IDS_PER_WRITER)]


def in_processes(harness: Harness, index: Index, plans: Sequence[Plan]) -> History:
    """Return the history of plans that run in fresh processes, over connections of their own."""
    running = [harness.start_process(_work, index, plan) for plan in plans]
    parts: list[History] = []
    errors: list[Exception] = []
    for process in running:
        try:
            parts.append(process.result())
        except Exception as error:  # noqa: BLE001, PERF203  (raised below)
            errors.append(error)
    # One that fails leaves the others waiting at the barrier: its own error says more than theirs.
    if errors:
        raise min(errors, key=lambda each: isinstance(each, TimeoutError))
    return History.merged(parts)


def in_threads(index: Index, plans: Sequence[Plan]) -> History:
    """Return the history of plans that run in threads on one index."""
    with ThreadPoolExecutor(len(plans)) as pool:
        return History.merged(list(pool.map(lambda plan: _perform(index, plan), plans)))


def plans(
    crowd: int,
    *,
    barrier: Path,
    writers: int,
    seconds: float,
    levels: Sequence[Consistency],
    rounds: int = 150,
) -> list[Plan]:
    """Return plans of writers and readers that meet in an empty folder, and start then."""
    return [
        Plan(process, writers, seconds, rounds, tuple(levels), str(barrier), crowd)
        for process in range(crowd)
    ]


def _work(backend: str, options: Mapping[str, Any], index: str, plan: Plan) -> History:
    """Return what a process of its own does."""
    with vecbridge.get_backend(backend, **options) as store:
        return _perform(store.open_index(index), plan)


def _perform(index: Index, plan: Plan) -> History:
    """Do a plan, once every process is ready."""
    recording = Recording(index, plan.process)
    _meet(Path(plan.barrier), plan)
    end = time.monotonic() + plan.seconds
    step = 0
    while time.monotonic() < end and step < plan.rounds:
        level = plan.levels[step % len(plan.levels)]
        way = _WAYS[(step + plan.process) % len(_WAYS)]
        if plan.own_ids:
            _write(recording, plan.own_ids, step)
        recording.try_to_read(plan.own_ids or plan.all_ids, level, way)
        step += 1
    return recording.history


def _acknowledged(call: Callable[[], None]) -> bool:
    try:
        call()
    except BackendError:
        return False
    return True


def _by_fetch(index: Index, ids: Sequence[str], level: Consistency) -> dict[str, int]:
    found = index.fetch(ids, consistency=level)
    seen = dict.fromkeys(ids, ABSENT)
    for name, vector in zip(found.ids, found.vectors, strict=True):
        seen[name] = _version(vector.tolist(), known=seen.get(name))
    return seen


def _by_scan(index: Index, ids: Sequence[str], level: Consistency) -> dict[str, int]:
    seen = dict.fromkeys(ids, ABSENT)
    for records in index.scan(consistency=level):
        for name, vector in zip(records.ids, records.vectors, strict=True):
            if name in seen:
                seen[name] = _version(vector.tolist(), known=seen[name])
    return seen


def _by_search(index: Index, ids: Sequence[str], level: Consistency) -> dict[str, int]:
    # From the origin, a vector of four equal coordinates is exactly twice their value away.
    origin = np.zeros(DIMENSION, dtype=np.float32)
    hits = index.search(origin, 2 * len(ids), within=ids, consistency=level)[0]
    seen = dict.fromkeys(ids, ABSENT)
    for name, distance in zip(hits.ids, hits.distances.tolist(), strict=True):
        seen[name] = _version([distance / 2.0], known=seen.get(name))
    return seen


def _version(coordinates: list[float], *, known: int | None) -> int:
    first = coordinates[0]
    alike = coordinates.count(first) == len(coordinates)
    is_one_version = known == ABSENT and alike and first == int(first) > 0
    return int(first) if is_one_version else TORN


_READERS: Mapping[Way, Callable[[Index, Sequence[str], Consistency], dict[str, int]]] = {
    "fetch": _by_fetch,
    "search": _by_search,
    "scan": _by_scan,
}


def _write(recording: Recording, ids: Sequence[str], step: int) -> None:
    """Write; in every third write, delete a part that moves on."""
    version = step + 1
    if step % 3 == 2:
        start = step % len(ids)
        recording.delete([*ids[start : start + 2]], version)
    else:
        recording.upsert(ids, version)


def _meet(barrier: Path, plan: Plan) -> None:
    (barrier / f"{plan.process}-{threading.get_ident()}").touch()
    end = time.monotonic() + _READY_S
    while len(list(barrier.iterdir())) < plan.crowd:
        if time.monotonic() > end:
            raise TimeoutError(f"only some of {plan.crowd} processes were ready in time")
        time.sleep(0.002)
