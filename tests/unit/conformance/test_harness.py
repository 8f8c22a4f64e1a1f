"""The harness: fresh indexes, reopening, other processes, and what it leaves behind."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import vecbridge
from vecbridge import IndexNotFoundError
from vecbridge_conformance import Deployment, Effort, Harness, OtherProcess


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[Harness]:
    # However slow the machine is, no index is kept to be used again.
    effort = Effort(slow_from_s=60.0)
    with Harness(Deployment("sklearn", {"path": str(tmp_path / "records")}), effort) as used:
        yield used


def test_indexes_are_empty_distinct_and_as_asked_for(harness: Harness) -> None:
    one = harness.index(dimension=3, metric="dotproduct")
    other = harness.index(dimension=3, metric="dotproduct")
    one.upsert(["a"], [[1, 2, 3]])

    assert one.info.name != other.info.name
    assert (one.info.dimension, one.info.metric) == (3, "dotproduct")
    assert other.count() == 0


def test_nothing_is_left_behind(harness: Harness) -> None:
    with harness.deployment.open() as before:
        before.create_index("not_ours", dimension=2)
    harness.index().upsert(["a"], [[1, 2, 3, 4]])
    harness.end_test()
    harness.index()
    harness.close()

    with harness.deployment.open() as after:
        assert after.index_names() == ["not_ours"]


def test_an_index_that_the_test_dropped_or_closed_is_no_trouble(harness: Harness) -> None:
    harness.store.drop_index(harness.index().info.name)
    harness.index().close()
    harness.end_test()

    assert harness.store.index_names() == []


def test_a_released_index_is_gone_before_the_end(harness: Harness) -> None:
    index = harness.index()
    harness.release(index)

    with pytest.raises(IndexNotFoundError):
        harness.store.open_index(index.info.name)


def test_reopening_goes_over_a_new_connection(harness: Harness) -> None:
    index = harness.index(dimension=2)
    index.upsert(["a"], [[1, 2]])
    again = harness.reopen(index)

    assert again.fetch(["a"]).vectors.tolist() == [[1, 2]]
    assert again.engine is not index.engine


def test_another_process_is_told_backend_options_and_index(harness: Harness) -> None:
    index = harness.index(dimension=2)
    index.upsert(["a"], [[1, 2]])
    pid, backend, options, count = harness.other_process(_look, index, "extra")

    assert pid != os.getpid()
    assert (backend, options, count) == ("sklearn", dict(harness.deployment.options), 1)


def test_what_another_process_raises_is_raised_here() -> None:
    with pytest.raises(IndexNotFoundError, match="absent"):
        OtherProcess(_open_absent).result()


def test_an_error_that_cannot_be_sent_comes_as_its_text() -> None:
    with pytest.raises(RuntimeError, match=r"UnsendableError: no"):
        OtherProcess(_raise_unsendable).result()


def test_another_process_that_dies_or_hangs_is_reported() -> None:
    with pytest.raises(RuntimeError, match="ended with code 7"):
        OtherProcess(os._exit, 7).result()
    with pytest.raises(TimeoutError, match="did not end"):
        OtherProcess(time.sleep, 60).result(timeout=0.5)


def _look(backend: str, options: dict[str, Any], name: str, _: str) -> Any:
    with vecbridge.get_backend(backend, **options) as store:
        return os.getpid(), backend, options, store.open_index(name).count()


def _open_absent() -> None:
    vecbridge.get_backend("sklearn").open_index("absent")


def _raise_unsendable() -> None:
    class UnsendableError(Exception):
        """Of a class that no other process can find."""

    raise UnsendableError("no")
