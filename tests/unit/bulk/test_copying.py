"""Copies over partitions: in this process, and in others that die in the middle."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import vecbridge
from tests.unit.bulk.conftest import DIMENSION, PARTS, RECORDS, shared_store
from vecbridge import (
    BackendError,
    ConfigurationError,
    CorruptStoreError,
    Index,
    IndexExistsError,
    PartitionsFailedError,
    Store,
    UnsupportedError,
)
from vecbridge.bulk import Partition, WorkerPool
from vecbridge.transfer import checksum, copy, verify

SPAWN = multiprocessing.get_context("spawn")


class Failing(Executor):
    """Threads whose work on some partitions ends in an error."""

    def __init__(self, error: Exception, *numbers: int) -> None:
        self._threads = ThreadPoolExecutor(2)
        self._error = error
        self._numbers = numbers

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        if isinstance(args[0], Partition) and args[0].number in self._numbers:
            failed = Future[Any]()
            failed.set_exception(self._error)
            return failed
        return self._threads.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._threads.shutdown(wait, cancel_futures=cancel_futures)


def test_workers_copy_and_compare_as_this_process_does(
    source: Index, target: Store, pool: WorkerPool
) -> None:
    told = dict[str, tuple[int, int]]()
    one = copy(source, target, "one", partitions=PARTS)
    many = copy(
        source,
        target,
        "many",
        partitions=PARTS,
        executor=pool,
        progress=lambda stage, done, total: told.update({stage: (done, total)}),
    )
    assert one.checksum == many.checksum == checksum(source)
    assert (many.written, many.skipped, many.partitions) == (RECORDS, 0, PARTS)
    assert told == {"copying": (RECORDS, RECORDS), "reading": (RECORDS, RECORDS)}
    with target.open_index("many") as copied:
        alone, spread = (
            verify(source, copied, partitions=PARTS, executor=where) for where in (None, pool)
        )
        assert spread.same
        assert spread == alone
        copied.delete(["é0250"])
        copied.upsert(["é0150", "new"], [[9] * DIMENSION] * 2, {"label": ["x", None]})
        found = verify(source, copied, partitions=PARTS, executor=pool)
    assert [part.number for part in found.partitions] == [0, 1, 2]
    assert (found.differences.missing_ids, found.differences.extra_ids) == (("é0250",), ("new",))
    assert [each.id for each in found.differences.changed_records] == ["é0150"]


def test_partitions_that_are_there_are_not_sent_again(
    source: Index, target: Store, pool: WorkerPool
) -> None:
    copy(source, target, partitions=PARTS)
    with target.open_index("photos") as copied:
        copied.delete([f"é{row:04}" for row in range(150, 320)])
    done = copy(source, target, partitions=PARTS, resume=True, executor=pool)
    assert (done.written, done.skipped) == (170, RECORDS - 170)
    assert done.checksum == checksum(source)


def test_a_worker_refuses_what_is_no_part_of_the_copy_and_nothing_is_written(
    source: Index, target: Store, pool: WorkerPool
) -> None:
    copy(source, target, partitions=PARTS)
    with target.open_index("photos") as copied:
        copied.delete(["é0001"])
        copied.upsert(["é0450"], [[9] * DIMENSION], {"label": ["x"]})
        before = checksum(copied)
        with pytest.raises(IndexExistsError, match="'é0450' of it differs from the source"):
            copy(source, target, partitions=PARTS, resume=True, executor=pool)
        assert checksum(copied) == before


def test_a_partition_that_fails_costs_itself_alone(source: Index, target: Store) -> None:
    error = BackendError("too busy", backend="sklearn", operation="upsert", retryable=True)
    with (
        Failing(error, 1, 4) as executor,
        pytest.raises(PartitionsFailedError, match=r"2 of 6 .*1: too busy") as told,
    ):
        copy(source, target, partitions=PARTS, executor=executor)
    assert told.value.failed == {1: "too busy", 4: "too busy"}
    assert told.value.retryable
    assert told.value.__cause__ is error
    done = copy(source, target, partitions=PARTS, resume=True)
    assert (done.written, done.skipped) == (200, RECORDS - 200)
    assert done.checksum == checksum(source)


def test_an_error_of_the_caller_is_raised_as_it_is(source: Index, target: Store) -> None:
    with (
        Failing(IndexExistsError("no"), 1) as executor,
        pytest.raises(IndexExistsError, match="no"),
    ):
        copy(source, target, partitions=PARTS, executor=executor)


def test_a_worker_that_is_killed_costs_its_partitions_and_nothing_else(
    source: Index, target: Store, pool: WorkerPool, tmp_path: Path
) -> None:
    first = pool.submit(_killed_once, tmp_path / "killed")
    done = copy(source, target, partitions=PARTS, executor=pool)
    assert first.result() == "again"
    assert (done.written, done.checksum) == (RECORDS, checksum(source))


def test_work_that_kills_every_worker_ends_in_an_error() -> None:
    with WorkerPool(1) as pool, pytest.raises(Exception, match="terminated abruptly"):
        pool.submit(_killed).result(250)


def _killed_once(flag: Path) -> str:
    if flag.exists():
        return "again"
    flag.touch()
    return _killed()


def _killed() -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return "never"


def test_one_file_has_one_writer_and_memory_is_in_one_process(
    source: Index, tmp_path: Path, pool: WorkerPool
) -> None:
    with vecbridge.get_backend("faiss", path=tmp_path / "local") as store:
        with pytest.raises(UnsupportedError, match="one process at a time"):
            copy(source, store, executor=pool)
        assert store.index_names() == []
    with vecbridge.get_backend("sklearn") as store:
        with pytest.raises(UnsupportedError, match="in this process alone"):
            copy(source, store, executor=pool)
        assert store.index_names() == []
        index = store.create_index("photos", dimension=DIMENSION)
        with pytest.raises(UnsupportedError, match="in this process alone"):
            verify(source, index, executor=pool)


def test_files_of_one_process_are_not_read_by_workers(
    target: Store, pool: WorkerPool, tmp_path: Path
) -> None:
    with vecbridge.get_backend("qdrant", path=tmp_path / "qdrant") as store:
        assert store.single_writer
        index = store.create_index("photos", dimension=2)
        with pytest.raises(UnsupportedError, match="one process at a time can open"):
            copy(index, target, executor=pool)
    assert target.index_names() == []


def test_a_store_that_asks_for_patience_is_given_it(
    source: Index, target: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals, pauses = [4], list[float]()
    busy = BackendError("busy", backend="sklearn", operation="upsert", retryable=True)
    copied = target.create_index(
        "photos", dimension=DIMENSION, metric="euclidean", fields=dict(source.info.fields)
    )
    kind: Any = type(copied.engine)
    upsert = kind.upsert

    def refusing(*args: Any) -> None:
        if refusals[0]:
            refusals[0] -= 1
            raise busy
        upsert(*args)

    monkeypatch.setattr(kind, "upsert", refusing)
    monkeypatch.setattr(time, "sleep", pauses.append)
    assert copy(source, target).written == RECORDS
    waits = [each for each in pauses if each]
    assert len(waits) == 4
    assert waits == sorted(waits)
    target.drop_index("photos")
    refusals[0] = 1000
    with pytest.raises(BackendError, match="busy"):
        copy(source, target)


def test_a_worker_reads_again_what_the_store_was_too_busy_for(
    source: Index, target: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = [2]
    kind: Any = type(source.engine)
    scan = kind.scan

    def refusing(*args: Any, **kwargs: Any) -> Any:
        if refusals[0]:
            refusals[0] -= 1
            raise BackendError("busy", backend="sklearn", operation="scan", retryable=True)
        return scan(*args, **kwargs)

    monkeypatch.setattr(kind, "scan", refusing)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with ThreadPoolExecutor(1) as executor:
        done = copy(source, target, partitions=PARTS, executor=executor)
    assert (done.written, refusals) == (RECORDS, [0])


def test_records_that_come_or_go_meanwhile_are_found_out(source: Index, target: Store) -> None:
    def meddling(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("reading", RECORDS):
            source.delete(["é0000"])

    with pytest.raises(CorruptStoreError, match="the source has 599"):
        copy(source, target, partitions=PARTS, progress=meddling)


class Held(Executor):
    """Another executor, which is shut down while the first partition is worked on."""

    def __init__(self, real: Executor) -> None:
        self._real = real
        self._given = 0

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self._given += 1
        if self._given == PARTS + 1:
            threading.Timer(0.2, self._real.shutdown, (False,), {"cancel_futures": True}).start()
        if self._given == 2:
            return self._real.submit(_slowly, fn, *args)
        return self._real.submit(fn, *args, **kwargs)


def _slowly(fn: Any, *args: Any) -> Any:
    time.sleep(1)
    return fn(*args)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "kind", [ThreadPoolExecutor, partial(ProcessPoolExecutor, mp_context=SPAWN), WorkerPool]
)
def test_an_executor_that_is_shut_down_ends_the_copy_and_says_how_to_go_on(
    source: Index, target: Store, kind: Any
) -> None:
    with kind(1) as executor:
        executor.submit(len, "").result()
        with pytest.raises(PartitionsFailedError, match=r"shut down.*resume=True"):
            copy(source, target, partitions=PARTS, executor=Held(executor))
        with pytest.raises(
            PartitionsFailedError, match=r"opening .* failed .*shutdown.*resume=True"
        ):
            copy(source, target, partitions=PARTS, executor=executor, resume=True)


def test_a_worker_without_the_secret_is_told_before_an_index_is_made(
    source: Index, tmp_path: Path, pool: WorkerPool
) -> None:
    with shared_store(tmp_path / "target") as target:
        target._origin = _without_the_secret
        with pytest.raises(ConfigurationError, match="no password here"):
            copy(source, target, executor=pool)
        assert target.index_names() == []


def _without_the_secret() -> Any:
    raise ConfigurationError("no password here")
