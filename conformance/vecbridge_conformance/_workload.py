"""The work of histories: writers of disjoint ids and readers of all, in processes or threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import vecbridge
from vecbridge import Consistency, Index
from vecbridge_conformance._harness import Harness
from vecbridge_conformance._history import History, Recording, Way

_IDS_A_WRITER = 6
_WAYS: tuple[Way, ...] = ("fetch", "search", "scan")
_READY_S = 60.0


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
    def own(self) -> list[str]:
        """The ids that this process writes."""
        return ids_of(self.process) if self.process < self.writers else []

    @property
    def all(self) -> list[str]:
        """Return the ids that any writer writes."""
        return [name for writer in range(self.writers) for name in ids_of(writer)]


def ids_of(writer: int) -> list[str]:
    """Return the ids of one writer."""
    return [f"w{writer}-{number}" for number in range(_IDS_A_WRITER)]


def work(backend: str, options: Mapping[str, Any], index: str, plan: Plan) -> History:
    """Return what a process of its own does."""
    with vecbridge.get_backend(backend, **options) as store:
        return perform(store.open_index(index), plan)


def perform(index: Index, plan: Plan) -> History:
    """Do a plan, once everybody is ready."""
    recording = Recording(index, plan.process)
    _meet(Path(plan.barrier), plan)
    end = time.monotonic() + plan.seconds
    step = 0
    while time.monotonic() < end and step < plan.rounds:
        level = plan.levels[step % len(plan.levels)]
        way = _WAYS[(step + plan.process) % len(_WAYS)]
        if plan.own:
            _write(recording, plan.own, step)
        recording.try_to_read(plan.own or plan.all, level, way)
        step += 1
    return recording.history


def in_processes(harness: Harness, index: Index, plans: Sequence[Plan]) -> History:
    """Return the history of plans that run in fresh processes, over connections of their own."""
    running = [harness.start_process(work, index, plan) for plan in plans]
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
        return History.merged(list(pool.map(lambda plan: perform(index, plan), plans)))


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


def _write(recording: Recording, own: Sequence[str], step: int) -> None:
    """Write; in every third write, delete a part that moves on."""
    version = step + 1
    if step % 3 == 2:
        start = step % len(own)
        recording.delete([*own[start : start + 2]], version)
    else:
        recording.upsert(own, version)


def _meet(barrier: Path, plan: Plan) -> None:
    (barrier / f"{plan.process}-{threading.get_ident()}").touch()
    end = time.monotonic() + _READY_S
    while len(list(barrier.iterdir())) < plan.crowd:
        if time.monotonic() > end:
            raise TimeoutError(f"only some of {plan.crowd} processes were ready in time")
        time.sleep(0.002)
