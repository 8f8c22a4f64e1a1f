"""The proxy that fails on purpose does what it says, and nothing else."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.unit.conformance.lagging import lagging_index
from vecbridge import OperationTimeoutError, Scope, VectorIndex
from vecbridge_conformance.faults import Fault, FaultyIndex
from vecbridge_conformance.histories import DIMENSION

IDS = ["a", "b", "c", "d"]
ROWS = np.ones((4, DIMENSION), dtype=np.float32)


@pytest.fixture
def proxy() -> FaultyIndex:
    return FaultyIndex(lagging_index().engine)


def test_without_faults_it_is_the_engine(proxy: FaultyIndex) -> None:
    proxy.upsert(IDS, ROWS)
    proxy.delete(["a"])
    assert isinstance(proxy, VectorIndex)
    assert proxy.count(Scope()) == 3
    assert proxy.fetch(["a", "b"], vectors=True, consistency="strong").missing == ("a",)
    assert proxy.contains(IDS, consistency="strong").tolist() == [False, True, True, True]
    assert [len(batch) for batch in proxy.scan(2, Scope(), None, vectors=True)] == [2, 1]
    assert len(proxy.search(ROWS[:1], 2, Scope())[0]) == 2
    assert len(proxy.candidates(ROWS[:1], 2, Scope())[0].ids) == 3


@pytest.mark.parametrize(("moment", "written"), [("before", 0), ("half", 2), ("after", 4)])
def test_a_write_fails_at_its_moment_once(proxy: FaultyIndex, moment: Any, written: int) -> None:
    proxy.arm(Fault("upsert", moment))
    with pytest.raises(OperationTimeoutError):
        proxy.upsert(IDS, ROWS)
    assert proxy.count(Scope()) == written
    proxy.upsert(IDS, ROWS)
    assert proxy.count(Scope()) == 4


@pytest.mark.parametrize(("moment", "left"), [("before", 4), ("half", 2), ("after", 0)])
def test_a_delete_fails_at_its_moment(proxy: FaultyIndex, moment: Any, left: int) -> None:
    proxy.upsert(IDS, ROWS)
    proxy.arm(Fault("delete", moment))
    with pytest.raises(OperationTimeoutError):
        proxy.delete(IDS)
    assert proxy.count(Scope()) == left


def test_calls_before_the_fault_succeed(proxy: FaultyIndex) -> None:
    proxy.arm(Fault("count", "before", skip=2))
    assert [proxy.count(Scope()), proxy.count(Scope())] == [0, 0]
    with pytest.raises(OperationTimeoutError):
        proxy.count(Scope())


def test_other_operations_are_left_alone(proxy: FaultyIndex) -> None:
    proxy.arm(Fault("fetch", "before"))
    proxy.upsert(IDS, ROWS)
    assert proxy.count(Scope()) == 4


def test_a_scan_fails_between_batches(proxy: FaultyIndex) -> None:
    proxy.upsert(IDS, ROWS)
    proxy.arm(Fault("scan", "before", skip=1))
    batches = proxy.scan(2, Scope(), None, vectors=True)
    assert len(next(batches)) == 2
    with pytest.raises(OperationTimeoutError):
        next(batches)


def test_a_hanging_call_waits_until_it_is_released(proxy: FaultyIndex) -> None:
    proxy.arm(Fault("count", "hang"))
    counts: list[int] = []
    caller = threading.Thread(target=lambda: counts.append(proxy.count(Scope())))
    caller.start()
    assert proxy.hanging.wait(10)
    assert counts == []
    proxy.released.set()
    caller.join(10)
    assert counts == [0]


def test_a_smaller_batch_is_declared() -> None:
    inner = lagging_index().engine
    assert FaultyIndex(inner, max_batch_bytes=7).capabilities.max_batch_bytes == 7
    expected = replace(inner.capabilities, partitions=False)
    assert FaultyIndex(inner).capabilities == expected
