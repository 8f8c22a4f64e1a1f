"""Records that are made and written on workers are all there, once, bit for bit."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecbridge
from tests.unit.bulk.conftest import shared_store
from vecbridge import DimensionError, DuplicateIdError, Index, InvalidInputError, Store
from vecbridge.bulk import WorkerPool, write
from vecbridge.transfer import checksum

ITEMS = [range(start, start + 50) for start in range(0, 300, 50)]


@pytest.fixture
def photos(tmp_path: Path) -> Iterator[Index]:
    with shared_store(tmp_path / "written") as store:
        yield store.create_index("photos", dimension=2, fields={"even": "boolean"})


def names_of(item: range) -> list[str]:
    return [f"r{row}" for row in item]


def embedded(item: range) -> tuple[list[str], Any, dict[str, list[bool]]]:
    return names_of(item), [[row, 1 / 3] for row in item], {"even": [row % 2 == 0 for row in item]}


def killed_once(flag: Path, item: range) -> Any:
    if item.start == 100 and not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return embedded(item)


def not_again(item: range) -> Any:
    assert item.start == 250, "its records are there"
    return embedded(item)


def test_workers_write_every_record_once_though_one_is_killed(
    photos: Index, pool: WorkerPool, tmp_path: Path
) -> None:
    from functools import partial

    told = list[tuple[int, int]]()
    done = write(
        photos,
        ITEMS,
        partial(killed_once, tmp_path / "killed"),
        executor=pool,
        progress=lambda _, *each: told.append(each),
    )
    assert (done.written, done.skipped, done.checksum) == (300, 0, checksum(photos))
    assert told == [(row, 6) for row in range(1, 7)]
    found = photos.fetch(["r7", "r299"])
    assert found.fields == {"even": [False, False]}
    assert np.array_equal(found.vectors, np.array([[7, 1 / 3], [299, 1 / 3]], np.float32))


def test_what_is_there_is_not_made_again(photos: Index) -> None:
    first = write(photos, ITEMS, embedded)
    photos.delete(["r250"])
    done = write(photos, ITEMS, not_again, names=names_of)
    assert (done.written, done.skipped) == (50, 250)
    assert done.checksum == first.checksum == checksum(photos)


def test_items_of_one_id_and_of_another_length_are_refused(photos: Index, store: Store) -> None:
    with pytest.raises(DuplicateIdError, match=r"350 records, .* has 300"):
        write(photos, [*ITEMS, ITEMS[0]], embedded)
    with pytest.raises(DimensionError):
        write(store.create_index("other", dimension=3), ITEMS, embedded)


@pytest.fixture
def store() -> Store:
    return vecbridge.get_backend("sklearn")


@pytest.mark.parametrize(
    ("embed", "said"),
    [
        (lambda _: (["x"], [[1, 2]], {"even": [True]}), r"different ids .*'r0' in only one"),
        (lambda item: ([*names_of(item), "r0"], [[1, 2]] * 51), "r0|different ids"),
        (lambda item: (names_of(item), [[1, 2]] * 49), "50 ids and 49 vectors"),
    ],
)
def test_ids_that_were_not_told_and_a_wrong_count_are_refused(
    photos: Index, embed: Any, said: str
) -> None:
    with pytest.raises(InvalidInputError, match=said):
        write(photos, ITEMS, embed, names=names_of)
    assert photos.count() == 0
