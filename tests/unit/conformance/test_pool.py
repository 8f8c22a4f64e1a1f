"""The indexes of a run: few at a time, emptied where making one is slow, dropped at last."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vecbridge_conformance import Deployment, Effort, Harness, OtherProcess
from vecbridge_conformance.properties import seconds_per_example

KEPT = 4


@pytest.fixture
def harness() -> Iterator[Harness]:
    """Yield a harness for which making an index is always slow."""
    with Harness(Deployment("sklearn"), Effort(slow_from_s=-1.0, kept_indexes=KEPT)) as used:
        assert used.capabilities.exact
        yield used


def test_a_slow_index_is_emptied_and_used_again(harness: Harness) -> None:
    first = harness.index(dimension=2)
    first.upsert(["a", "b"], [[1, 2], [3, 4]])
    harness.release(first)
    again, other = harness.index(dimension=2), harness.index(dimension=2, metric="euclidean")

    assert (again.info.name, again.count()) == (first.info.name, 0)
    assert other.info.name != first.info.name


@pytest.mark.parametrize(("pace", "again"), [(1.0, True), (0.1, False)])
def test_a_run_whose_pace_is_given_asks_the_same_of_a_fast_store_and_a_slow_one(
    pace: float, again: bool
) -> None:
    with Harness(Deployment("sklearn"), Effort(pace_s=pace)) as harness:
        first = harness.index(dimension=2)
        harness.release(first)
        assert (harness.index(dimension=2).info.name == first.info.name) is again
        assert seconds_per_example(harness) == pace


def test_only_so_many_are_kept(harness: Harness) -> None:
    for dimension in range(1, 3 * KEPT):
        harness.release(harness.index(dimension=dimension))

    assert len(harness.store.index_names()) == KEPT


def test_an_index_of_another_schema_is_not_used_again(harness: Harness) -> None:
    taken = harness.index(dimension=2)
    harness.store.drop_index(taken.info.name)
    harness.store.create_index(taken.info.name, dimension=3, metric="cosine")
    harness.release(taken)

    assert harness.index(dimension=2).info.name != taken.info.name
    assert taken.info.name not in harness.store.index_names()


def test_records_that_the_harness_does_not_know_of_are_deleted_too(harness: Harness) -> None:
    for _ in range(2):
        taken = harness.index(dimension=2)
        assert taken.count() == 0
        harness.store.open_index(taken.info.name).upsert(["not recorded"], [[1, 2]])
        harness.release(taken)

    # The other one was asked for the capabilities.
    assert len(harness.store.index_names()) == 2


def test_folders_and_processes_leave_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    harness = Harness(Deployment("sklearn"))
    (harness.folder() / "file").touch()
    assert OtherProcess(divmod, 7, 2).result() == (3, 1)
    with pytest.raises(ZeroDivisionError):
        OtherProcess(divmod, 1, 0).result()
    with pytest.raises(RuntimeError, match="no answer"):
        OtherProcess(os._exit, 3).result()
    late: Any = OtherProcess(time.sleep, 60)
    with pytest.raises(TimeoutError):
        late.result(timeout=0.1)
    harness.close()

    assert list(tmp_path.iterdir()) == []
