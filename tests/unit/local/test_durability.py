"""Several processes and threads on one path; compaction; forks."""

from __future__ import annotations

import os
import random
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.unit.local.helpers import (
    as_model,
    contents,
    named,
    new_table,
    reader,
    run,
    vectors,
)
from vecbridge import IndexNotFoundError
from vecbridge.local import Compaction, LocalStore, LocalTable

WRITER = """
import sys, numpy as np
from vecbridge.local import LocalStore
table = LocalStore(sys.argv[1], backend="test").open("t")
print(table.count())
table.upsert(["theirs"], np.ones((1, 4), dtype=np.float32))
table.delete(["id0"])
"""


def segments(path: Path) -> list[tuple[int, int, int]]:
    connection = sqlite3.connect(path / "records.vecbridge")
    rows = connection.execute("SELECT seq, level, kept FROM segments ORDER BY seq, part")
    found = rows.fetchall()
    connection.close()
    return found


def test_two_processes_see_each_others_writes_at_once(tmp_path: Path) -> None:
    table = new_table(tmp_path)
    table.upsert(named(3), vectors(3))
    assert run(WRITER, tmp_path) == "3"
    assert table.contains(["id0", "id1", "theirs"]).tolist() == [False, True, True]
    assert table.count() == 3


def test_an_index_dropped_by_another_process_is_gone(tmp_path: Path) -> None:
    table = new_table(tmp_path)
    table.upsert(named(3), vectors(3))
    run(
        "import sys; from vecbridge.local import LocalStore;"
        "LocalStore(sys.argv[1], backend='test').drop('t')",
        tmp_path,
    )
    with pytest.raises(IndexNotFoundError, match="'t' was dropped"):
        table.count()


def test_an_upsert_larger_than_a_segment_is_written_in_parts_and_read_whole(
    tmp_path: Path,
) -> None:
    matrix = vectors(1200, dimension=512)
    table = new_table(tmp_path, dimension=512)
    table.upsert(named(1200), matrix)
    assert len(segments(tmp_path)) == 3
    assert len({seq for seq, _, _ in segments(tmp_path)}) == 1
    assert contents(reader(tmp_path)) == as_model(named(1200), matrix)


def test_many_small_writes_become_few_segments(tmp_path: Path) -> None:
    table = new_table(tmp_path)
    matrix = vectors(1000)
    follower = reader(tmp_path)
    for number, vector in enumerate(matrix):
        table.upsert([f"id{number}"], vector[None])
        if number % 97 == 0:
            assert follower.count() == number + 1
    assert len(segments(tmp_path)) < 150
    expected = as_model(named(1000), matrix)
    assert contents(reader(tmp_path)) == contents(follower) == contents(table) == expected


def test_a_log_that_is_mostly_dead_is_rewritten(tmp_path: Path) -> None:
    table, newest = new_table(tmp_path), vectors(1)
    follower = reader(tmp_path)
    for seed in range(10):
        newest = vectors(2000, seed=seed)
        table.upsert(named(2000), newest)
        assert follower.count() == 2000
    assert sum(kept for _, _, kept in segments(tmp_path)) <= 2 * 2000 + 4096
    expected = as_model(named(2000), newest)
    assert contents(reader(tmp_path)) == contents(follower) == contents(table) == expected


def test_deleting_everything_leaves_an_empty_log(tmp_path: Path) -> None:
    table = new_table(tmp_path)
    table.upsert(named(9000), vectors(9000))
    table.delete(named(9000))
    assert segments(tmp_path) == []
    other = reader(tmp_path)
    assert other.count() == 0
    table.upsert(named(1), vectors(1))
    assert other.count() == reader(tmp_path).count() == 1


@pytest.mark.parametrize("seed", range(4))
def test_random_writes_by_two_writers_agree_with_a_model_for_readers_that_lag(
    tmp_path: Path, seed: int
) -> None:
    often = Compaction(merged_writes=4, check_every=2, spare_rows=20, mergeable_bytes=3000)
    rng = random.Random(seed)
    writers = [new_table(tmp_path, compaction=often), reader(tmp_path, compaction=often)]
    readers = [reader(tmp_path) for _ in range(3)]
    model: dict[str, bytes] = {}
    for step in range(250):
        _random_write(rng, rng.choice(writers), model, step)
        for each in readers:
            if rng.random() < 0.15:
                assert contents(each) == model
    assert contents(reader(tmp_path)) == model
    levels = {level for _, level, _ in segments(tmp_path)}
    assert levels - {0}, "nothing was ever merged, so nothing was tested"


def _random_write(
    rng: random.Random, table: LocalTable, model: dict[str, bytes], step: int
) -> None:
    ids = rng.sample(named(40), rng.randint(1, 6))
    if rng.random() < 0.4:
        table.delete(ids)
        for name in ids:
            model.pop(name, None)
    else:
        matrix = vectors(len(ids), seed=step)
        table.upsert(ids, matrix)
        model |= as_model(ids, matrix)


def test_threads_may_share_a_table(tmp_path: Path) -> None:
    table = new_table(tmp_path)

    def write(worker: int) -> None:
        for number in range(25):
            table.upsert([f"{worker}-{number}"], vectors(1, seed=worker))
            assert f"{worker}-{number}" in contents(table)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert table.count() == reader(tmp_path).count() == 100


@pytest.mark.parametrize("held", [False, True])
def test_a_forked_child_uses_a_connection_of_its_own_or_none(tmp_path: Path, held: bool) -> None:
    """It has none where the parent kept using its own for longer than a fork may wait."""
    code = """
import os, sys, threading
import numpy as np
from vecbridge import BackendError
from vecbridge.local import LocalStore
table = LocalStore(sys.argv[1], backend="test").open("t")
assert table.count() == 3
locked, go = threading.Event(), threading.Event()
class Slow:
    # Ids that are looked up one by one while the index is locked.
    def __len__(self): return 1
    def __iter__(self):
        locked.set(); go.wait(); return iter(["id0"])
def hold():
    table.contains(Slow())
if sys.argv[2] == "True":
    threading.Thread(target=hold, daemon=True).start(); locked.wait()
child = os.fork()
if child == 0:
    try:
        table.upsert(["child"], np.zeros((1, 4), dtype=np.float32))
        os._exit(0 if table.count() == 4 else 1)
    except BackendError as error:
        os._exit(2 if "this process was forked" in str(error) else 3)
assert os.waitpid(child, 0)[1] >> 8 == (2 if sys.argv[2] == "True" else 0)
go.set()
table.upsert(["parent"], np.zeros((1, 4), dtype=np.float32))
print(table.count(), table.contains(["child"])[0])
"""
    new_table(tmp_path).upsert(named(3), vectors(3))
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    assert run(code, tmp_path, held, env=environment) == ("4 False" if held else "5 True")


def test_many_may_make_the_store_at_the_same_moment(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    together = threading.Barrier(8)

    def create(number: int) -> None:
        store = LocalStore(folder, backend="test")
        together.wait()
        store.create(f"t{number}", dimension=2, metric="cosine")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(create, range(8)))
    assert LocalStore(folder, backend="test").names() == [f"t{number}" for number in range(8)]
    assert [path.name for path in folder.glob("*.vecbridge")] == ["records.vecbridge"]
