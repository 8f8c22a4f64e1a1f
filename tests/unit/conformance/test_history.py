"""Recording: every way of reading tells the same version, and torn records are seen."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tests.unit.conformance.lagging import lagging_index
from vecbridge import BackendError, Index
from vecbridge_conformance.histories import ABSENT, DIMENSION, TORN, History, Way
from vecbridge_conformance.workload import Recording

WAYS: tuple[Way, ...] = ("fetch", "search", "scan")


@pytest.fixture
def index() -> Index:
    return lagging_index()


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_reading_tells_the_version(index: Index, way: Way) -> None:
    recording = Recording(index, 0)
    recording.upsert(["a", "b"], 1)
    recording.upsert(["b"], 1_000_001)
    recording.delete(["a"], 2)
    seen = recording.read(["a", "b", "c"], "strong", way).seen
    assert seen == {"a": ABSENT, "b": 1_000_001, "c": ABSENT}


@pytest.mark.parametrize("way", ["fetch", "scan"])
def test_a_mixture_of_versions_is_torn(index: Index, way: Way) -> None:
    torn = np.ones((1, DIMENSION), dtype=np.float32)
    torn[0, -1] = 2.0
    index.upsert(["a"], torn)
    assert Recording(index, 0).read(["a"], "strong", way).seen == {"a": TORN}


@pytest.mark.parametrize("way", ["search", "scan"])
def test_a_record_that_comes_twice_ends_the_history(index: Index, way: Way) -> None:
    engine: Any = index.engine
    engine.merged = lambda rows, new: rows + new
    recording = Recording(index, 0)
    recording.upsert(["a"], 1)
    recording.upsert(["a"], 1)
    with pytest.raises(BackendError, match="an id is there twice"):
        recording.try_to_read(["a"], "strong", way)


def test_a_write_is_tried_again_and_ends_when_it_is_acknowledged(index: Index) -> None:
    failing(index, times=2)
    recording = Recording(index, 0)
    recording.upsert(["a"], 1)
    (write,) = recording.history.writes
    assert write.end < math.inf
    assert recording.read(["a"], "strong", "fetch").seen == {"a": 1}


def test_a_write_that_fails_for_good_is_never_acknowledged(index: Index) -> None:
    failing(index, times=3)
    recording = Recording(index, 0)
    recording.upsert(["a"], 1)
    (write,) = recording.history.writes
    assert write.end == math.inf


def test_a_read_that_fails_in_passing_is_noted_and_tells_no_versions(index: Index) -> None:
    engine: Any = index.engine

    def broken(*arguments: Any, **options: Any) -> None:
        raise BackendError("gone", backend="test", operation="fetch", retryable=True)

    engine.fetch = broken
    recording = Recording(index, 0)
    recording.try_to_read(["a"], "strong", "fetch")
    recording.try_to_read(["a"], "strong", "scan")
    merged = History.merged([recording.history, History()])
    assert merged.failures == ["fetch: BackendError: gone"]
    assert [read.way for read in merged.reads] == ["scan"]


def failing(index: Index, *, times: int) -> None:
    engine: Any = index.engine
    left = [times]
    upsert = engine.upsert

    def broken(*arguments: Any) -> None:
        if left[0]:
            left[0] -= 1
            raise BackendError("gone", backend="test", operation="upsert")
        upsert(*arguments)

    engine.upsert = broken
