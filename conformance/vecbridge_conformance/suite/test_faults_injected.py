"""Calls that fail half-way: what the error says, what is left, and that doing it again heals."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest

from vecbridge import BackendError, Index, OperationTimeoutError, PartialWriteError
from vecbridge_conformance import Harness, clause
from vecbridge_conformance.checks import Model
from vecbridge_conformance.faults import GARBAGE, Fault, FaultyIndex, Moment, lost
from vecbridge_conformance.properties import DIMENSION

_IDS = [f"id-{number}" for number in range(12)]
_OLD = np.full((len(_IDS), DIMENSION), 1.0, dtype=np.float32)
_NEW = np.full((len(_IDS), DIMENSION), 2.0, dtype=np.float32)
_WAIT_S = 30.0


def _faulty(harness: Harness, *, batches: bool = False) -> tuple[Index, FaultyIndex]:
    """Return an index of old records behind a proxy; ``batches`` makes a write several calls."""
    engine = harness.engine(dimension=DIMENSION, metric="euclidean")
    proxy = FaultyIndex(engine, max_batch_bytes=400 if batches else None)
    index = Index(proxy)
    index.upsert(_IDS, _OLD)
    return index, proxy


def _values(index: Index) -> list[float]:
    """Return the one coordinate of each record; 0 where it is not there. Never a mixture."""
    found = index.fetch(_IDS)
    known = dict(zip(found.ids, found.vectors.tolist(), strict=True))
    rows = [known.get(name, [0.0] * DIMENSION) for name in _IDS]
    assert all(row == [row[0]] * DIMENSION for row in rows), "a vector is half old and half new"
    return [row[0] for row in rows]


def _heals(index: Index) -> None:
    """Check that the same call again completes, and leaves the index as if nothing had happened."""
    index.upsert(_IDS, _NEW)
    model = Model(DIMENSION, "euclidean")
    model.upsert(_IDS, _NEW)
    model.check_all(index.scan(5))
    assert index.count() == len(_IDS)
    found, expected = index.search(_NEW[0], 3)[0], model.search(_NEW[0], 3)
    # All tie. An approximate index may return any of them.
    assert found.distances.tolist() == expected.distances.tolist()
    assert len(set(found.ids) & set(_IDS)) == len(expected)
    assert found.ids == expected.ids or not index.capabilities.exact


@clause("WRITE-8", "WRITE-9", "ERR-4")
def test_a_write_that_fails_before_anything_leaves_everything(harness: Harness) -> None:
    """Look at the client layer: the first error of a write is the store's own."""
    index, proxy = _faulty(harness)
    proxy.arm(Fault("upsert", "before"))
    with pytest.raises(OperationTimeoutError) as caught:
        index.upsert(_IDS, _NEW)
    assert caught.value.retryable
    assert (caught.value.backend, caught.value.operation) == ("faulty", "upsert")
    assert _values(index) == [1.0] * len(_IDS)
    _heals(index)


@clause("WRITE-9", "WRITE-6")
@pytest.mark.parametrize("moment", ["after", "half"])
def test_a_write_whose_answer_is_lost_is_old_or_new_and_heals(
    harness: Harness, moment: Moment
) -> None:
    """Look at upsert: each record is replaced whole, and doing it again completes it."""
    index, proxy = _faulty(harness)
    proxy.arm(Fault("upsert", moment))
    with pytest.raises(BackendError):
        index.upsert(_IDS, _NEW)
    assert set(_values(index)) <= {1.0, 2.0}
    assert index.count() == len(_IDS)
    _heals(index)


@clause("WRITE-8", "WRITE-9")
@pytest.mark.parametrize("moment", ["before", "after", "half"])
def test_a_write_of_several_batches_says_which_ids_are_written(
    harness: Harness, moment: Moment
) -> None:
    """Look at the client layer's PartialWriteError: written, unknown, and nothing else."""
    index, proxy = _faulty(harness, batches=True)
    proxy.arm(Fault("upsert", moment, skip=1))
    with pytest.raises(PartialWriteError) as caught:
        index.upsert(_IDS, _NEW)
    written, unknown = caught.value.written, caught.value.unknown
    assert written
    assert unknown
    assert sorted([*written, *unknown]) == sorted(_IDS)
    values = dict(zip(_IDS, _values(index), strict=True))
    assert all(values[name] == 2.0 for name in written)
    assert all(values[name] in {1.0, 2.0} for name in unknown)
    _heals(index)


@clause("WRITE-9", "WRITE-5", "WRITE-6")
@pytest.mark.parametrize("moment", ["before", "after", "half"])
def test_a_delete_whose_answer_is_lost_is_done_or_not_and_heals(
    harness: Harness, moment: Moment
) -> None:
    """Look at delete: doing it again must complete it, and touch nothing else."""
    index, proxy = _faulty(harness)
    gone = _IDS[:6]
    proxy.arm(Fault("delete", moment))
    with pytest.raises(BackendError):
        index.delete(gone)
    values = _values(index)
    assert set(values[:6]) <= {0.0, 1.0}
    assert values[6:] == [1.0] * 6
    index.delete(gone)
    assert _values(index) == [0.0] * 6 + [1.0] * 6
    assert index.count() == 6
    _heals(index)


@clause("ERR-4")
@pytest.mark.parametrize("operation", ["fetch", "contains", "count", "scan", "candidates"])
def test_a_read_that_fails_says_so_and_the_next_one_works(harness: Harness, operation: str) -> None:
    """Look for state that a failed read leaves behind."""
    index, proxy = _faulty(harness)
    calls: dict[str, Callable[[], object]] = {
        "fetch": lambda: index.fetch(_IDS),
        "contains": lambda: index.contains(_IDS),
        "count": index.count,
        "scan": lambda: list(index.scan(5)),
        "candidates": lambda: index.search(_OLD[0], 3),
    }
    for moment in ("before", "after"):
        proxy.arm(Fault(operation, moment))
        with pytest.raises(OperationTimeoutError):
            calls[operation]()
        calls[operation]()
    _heals(index)


@clause("ERR-1", "WRITE-9")
def test_an_unexpected_error_is_not_swallowed(harness: Harness) -> None:
    """Look for an except clause that takes too much."""
    index, proxy = _faulty(harness)
    proxy.arm(Fault("upsert", "after", error=lambda: RuntimeError("a driver's own")))
    with pytest.raises(RuntimeError, match="a driver's own"):
        index.upsert(_IDS, _NEW)
    assert set(_values(index)) <= {1.0, 2.0}
    _heals(index)


@clause("ERR-10", "ERR-4")
@pytest.mark.parametrize("operation", GARBAGE)
def test_an_answer_that_breaks_the_contract_is_not_handed_on(
    harness: Harness, operation: str
) -> None:
    """Look at the client layer: it must not take what an engine answers on trust."""
    index, proxy = _faulty(harness)
    queries = np.stack([_OLD[0], _NEW[0]])
    calls: dict[str, Callable[[], object]] = {
        "fetch": lambda: index.fetch(_IDS),
        "contains": lambda: index.contains(_IDS),
        "count": index.count,
        "scan": lambda: list(index.scan(8)),
        "search": lambda: index.search(queries, 3, within=_IDS, ranking="native"),
        "candidates": lambda: index.candidates(queries, 3, within=_IDS),
    }
    expected = calls[operation]()
    for wrong, spoil in GARBAGE[operation].items():
        proxy.arm(Fault(operation, "garbage", spoil=spoil))
        error = _refusal(calls[operation])
        assert error is not None, f"{operation}: an answer with {wrong} was handed on"
        assert (error.operation, error.retryable) == (operation, False), wrong
    assert repr(calls[operation]()) == repr(expected)


@clause("SEARCH-11", "INDEX-10")
def test_a_hanging_call_holds_up_no_other_and_does_not_stop_a_close(harness: Harness) -> None:
    """Look for a lock that is held while the store is asked."""
    index, proxy = _faulty(harness)
    proxy.arm(Fault("candidates", "hang", error=lost))
    hanging = threading.Thread(target=lambda: index.search(_OLD[0], 3), daemon=True)
    hanging.start()
    try:
        assert proxy.hanging.wait(_WAIT_S)
        assert _in_time(lambda: _heals(index))
    finally:
        proxy.released.set()
        hanging.join(_WAIT_S)
    assert not hanging.is_alive()
    assert _in_time(index.close)
    assert _in_time(index.close)


def _refusal(call: Callable[[], object]) -> BackendError | None:
    try:
        call()
    except BackendError as error:
        return error
    return None


def _in_time(call: Callable[[], object]) -> bool:
    """Return whether a call returns without an error before the wait is over."""
    done = threading.Event()

    def run() -> None:
        call()
        done.set()

    threading.Thread(target=run, daemon=True).start()
    return done.wait(_WAIT_S)
