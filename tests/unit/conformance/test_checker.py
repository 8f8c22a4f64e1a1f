"""The checker of histories: what it must call wrong, and what it must not."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.unit.conformance.lagging import lagging_index
from vecbridge import Consistency
from vecbridge_conformance.histories import (
    ABSENT,
    TORN,
    History,
    Read,
    Write,
    anomalies,
    lagging,
    unsettled,
)
from vecbridge_conformance.workload import Recording, in_threads, plans


def put(version: int, start: float, end: float = math.inf, process: int = 0) -> Write:
    return Write(process, ("a",), version, deleted=False, start=start, end=end)


def deleted(version: int, start: float, end: float = math.inf, process: int = 0) -> Write:
    return Write(process, ("a",), version, deleted=True, start=start, end=end)


def read(
    seen: int, start: float, end: float, level: Consistency = "strong", process: int = 1
) -> Read:
    return Read(process, "fetch", level, {"a": seen}, start, end)


def kinds(writes: list[Write], *reads: Read, **options: Any) -> list[str]:
    return [found.kind for found in anomalies(History(writes, list(reads)), **options)]


ONE = [put(1, 0, 1)]
TWO = [put(1, 0, 1), put(2, 2, 3)]
GONE = [put(1, 0, 1), deleted(2, 2, 3)]


@pytest.mark.parametrize(
    ("writes", "seen", "start", "end", "expected"),
    [
        (ONE, 1, 2, 3, []),
        (ONE, ABSENT, 2, 3, ["lost"]),
        (ONE, ABSENT, 0.5, 2, []),
        (ONE, 1, 0.5, 0.6, []),
        (TWO, 1, 4, 5, ["stale"]),
        (TWO, 1, 2.5, 5, []),
        (TWO, 2, 2.5, 2.6, []),
        (TWO, 2, 1.5, 1.9, ["phantom"]),
        (TWO, 7, 4, 5, ["phantom"]),
        (TWO, ABSENT, 2.5, 2.6, ["lost"]),
        (TWO, TORN, 4, 5, ["torn"]),
        (GONE, ABSENT, 4, 5, []),
        (GONE, 1, 4, 5, ["resurrected"]),
        (GONE, 1, 2.5, 2.6, []),
        ([], ABSENT, 0, 1, []),
        ([], 1, 0, 1, ["phantom"]),
    ],
)
def test_a_strong_read_is_judged_by_what_was_acknowledged_before_it_began(
    writes: list[Write], seen: int, start: float, end: float, expected: list[str]
) -> None:
    assert kinds(writes, read(seen, start, end)) == expected


@pytest.mark.parametrize("seen", [1, 2])
def test_a_write_without_an_answer_may_have_happened_or_not(seen: int) -> None:
    assert kinds([put(1, 0, 1), put(2, 2)], read(seen, 10, 11)) == []


def test_a_write_without_an_answer_may_still_take_effect_after_later_ones() -> None:
    assert kinds([put(1, 0), put(2, 2, 3)], read(1, 10, 11)) == []
    assert kinds([put(1, 0), put(2, 2, 3)], read(ABSENT, 10, 11)) == ["lost"]


def test_a_session_read_is_judged_by_the_writes_of_its_own_process() -> None:
    own = read(ABSENT, 4, 5, "session", process=0)
    other = read(ABSENT, 4, 5, "session", process=1)
    assert kinds(ONE, own) == ["lost"]
    assert kinds(ONE, other) == []
    assert kinds(GONE, read(1, 4, 5, "session", process=0)) == ["resurrected"]


def test_a_bounded_read_is_judged_by_writes_older_than_the_bound() -> None:
    late = read(ABSENT, 4, 5, "bounded")
    assert kinds(ONE, late, bound_s=2) == ["lost"]
    assert kinds(ONE, late, bound_s=10) == []


def test_an_eventual_read_may_miss_anything_and_invent_nothing() -> None:
    assert kinds(TWO, read(ABSENT, 9, 10, "eventual"), read(1, 9, 10, "eventual")) == []
    assert kinds(TWO, read(3, 9, 10, "eventual")) == ["phantom"]


def test_a_lag_is_noticed_at_whatever_level_the_read_was() -> None:
    behind = read(1, 9, 10, "eventual")
    assert lagging(History(TWO, [behind, read(2, 9, 10, "eventual")])) == 1


def test_what_never_arrives_is_unsettled() -> None:
    history = History(GONE)
    assert [found.kind for found in unsettled(history, [read(1, 9, 10, "eventual")])] == [
        "resurrected"
    ]
    assert unsettled(history, [read(ABSENT, 9, 10, "eventual")]) == []


def recorded(level: Consistency, **faults: Any) -> History:
    with TemporaryDirectory() as folder:
        crowd = plans(3, barrier=Path(folder), writers=2, seconds=0.4, levels=[level], rounds=40)
        return in_threads(lagging_index(**faults), crowd)


def found_kinds(level: Consistency, **faults: Any) -> set[str]:
    return {found.kind for found in anomalies(recorded(level, **faults))}


LEVELS: tuple[Consistency, ...] = ("strong", "session", "bounded", "eventual")


@pytest.mark.parametrize("level", LEVELS)
def test_a_store_without_faults_is_never_accused(level: Consistency) -> None:
    history = recorded(level)
    assert len(history.writes) > 10
    assert len(history.reads) > 10
    assert anomalies(history) == []
    assert lagging(history) == 0


@pytest.mark.parametrize("level", ["strong", "session"])
def test_a_lagging_store_is_caught(level: Consistency) -> None:
    assert {"lost", "stale"} & found_kinds(level, lag={level: 0.05})


def test_a_lag_at_a_level_that_allows_it_is_no_anomaly_but_shows() -> None:
    history = recorded("eventual", lag={"eventual": 0.05})
    assert anomalies(history) == []
    assert lagging(history) > 0


def test_a_store_that_drops_writes_is_caught() -> None:
    count = iter(range(10_000))
    assert found_kinds("strong", drop=lambda: next(count) % 5 == 1) & {"lost", "stale"}


@pytest.mark.parametrize("level", ["strong", "session"])
def test_a_store_that_drops_deletes_is_caught(level: Consistency) -> None:
    assert "resurrected" in found_kinds(level, drop_deletes=True)


def test_a_store_that_applies_writes_in_another_order_is_caught() -> None:
    assert found_kinds("strong", reorder=True) & {"lost", "stale", "resurrected"}


@pytest.mark.parametrize("uptime", [0.0, 60.0, 3600.0, 1e8])
def test_a_store_that_never_converges_is_caught(uptime: float) -> None:
    ticks = itertools.count()
    behind = lagging_index(lag={"eventual": 3600.0}, clock=lambda: uptime + 1e-3 * next(ticks))
    recording = Recording(behind, 0)
    recording.upsert(["a"], 1)
    last = recording.read(["a"], "eventual", "fetch")
    assert [found.kind for found in unsettled(recording.history, [last])] == ["lost"]


def test_an_anomaly_says_who_saw_what() -> None:
    (found,) = anomalies(History(TWO, [read(1, 4, 5)]))
    assert str(found) == (
        "stale: process 1 saw version 1 of 'a' by a strong fetch, where version 2 was the oldest "
        "that it may see"
    )
