"""Several processes use a folder at once; one that was forked is refused."""

from __future__ import annotations

import multiprocessing
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import vecbridge
from tests.live.lancedb.conftest import Opener
from vecbridge import (
    BackendError,
    ConnectionFailedError,
    CorruptStoreError,
    Index,
    IndexNotFoundError,
    Store,
)
from vecbridge.diagnosis import Finding
from vecbridge_lancedb import LancedbBackend

ROUNDS, ROWS = 12, 30


def write(index: Index, value: float, barrier: threading.Barrier) -> None:
    """Insert the same ids as the other writers, at the same moments."""
    for step in range(ROUNDS):
        barrier.wait()
        ids = [f"{step}-{row}" for row in range(ROWS)]
        index.upsert(ids, np.full((ROWS, 2), value, np.float32))


@pytest.mark.parametrize("ours", [True, False])
def test_two_that_insert_an_id_leave_one_record(raw: Any, opened: Opener, ours: bool) -> None:
    store = opened(metric="euclidean")
    if ours:
        store.create_index("t", dimension=2, metric="euclidean")
    else:
        columns = [("id", pa.string()), ("vector", pa.list_(pa.float32(), 2))]
        raw.create_table("t", schema=pa.schema(columns))
    index = store.open_index("t")
    # So many versions that the table was put together, and its index on the ids is used.
    old = [f"old{row}" for row in range(66 if ours else 0)]
    for name in old:
        index.upsert([name], [[0, 0]])
    barrier = threading.Barrier(2, timeout=60)
    with ThreadPoolExecutor() as pool:
        others = [opened(metric="euclidean").open_index("t") for _ in range(2)]
        for done in [pool.submit(write, other, 1.0 + n, barrier) for n, other in enumerate(others)]:
            done.result()
    found = [name for records in index.scan() for name in records.ids]
    assert len(found) == len(set(found)) == index.count() == ROUNDS * ROWS + len(old)
    # Each write is there whole, or not at all.
    for step in range(ROUNDS):
        held = index.fetch([f"{step}-{row}" for row in range(ROWS)]).vectors
        assert len(np.unique(held)) == 1


def test_an_id_that_another_program_wrote_twice_is_named_and_mended_by_a_write(
    raw: Any, opened: Opener
) -> None:
    store = opened()
    index = store.create_index("t", dimension=2, metric="euclidean")
    index.upsert(["a", "b"], [[1, 1], [2, 2]])
    table = raw.open_table("t")
    table.add(table.to_arrow().slice(0, 1))
    for read in (lambda: list(index.scan()), lambda: index.search([1, 1], k=3)):
        with pytest.raises(BackendError, match=r"twice, 'a': .*delete it and write it again"):
            read()
    (found,) = [each for each in diagnosed(store) if each.status == "warning"]
    assert "'a'" in found.found
    index.upsert(["a", "c"], [[5, 5], [6, 6]])
    assert [name for part in index.scan() for name in part.ids] == ["a", "b", "c"]
    assert index.fetch(["a"]).vectors.tolist() == [[5, 5]]


def test_many_small_writes_are_put_together_and_seen_at_once(raw: Any, opened: Opener) -> None:
    index = opened().create_index("t", dimension=2, metric="euclidean")
    other = opened().open_index("t")
    for row in range(140):
        index.upsert([f"r{row:03}"], [[row, 0]])
        if row % 20 == 0:
            assert other.search([row, 0], k=1)[0].ids == (f"r{row:03}",)
    stats = raw.open_table("t").stats()["fragment_stats"]
    assert stats["num_fragments"] < 70
    assert [name for part in other.scan(start="r") for name in part.ids] == [
        f"r{row:03}" for row in range(140)
    ]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_forked_process_is_refused_and_its_parent_goes_on(opened: Opener) -> None:
    index = opened().create_index("t", dimension=2, metric="euclidean")
    index.upsert(["a"], [[1, 1]])
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            index.count()
        except ConnectionFailedError as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    watchdog = threading.Timer(30, os.kill, (child, 9))
    watchdog.start()
    with os.fdopen(reading) as told:
        assert "'spawn' or 'forkserver'" in told.read()
    watchdog.cancel()
    os.waitpid(child, 0)
    assert index.count() == 1


def test_a_killed_writer_loses_nothing_that_was_acknowledged(folder: Path, opened: Opener) -> None:
    index = opened().create_index("t", dimension=2, metric="euclidean")
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    writer = context.Process(target=write_on, args=(str(folder), sending))
    writer.start()
    acknowledged = [receiving.recv() for _ in range(8)]
    writer.kill()
    writer.join(30)
    while receiving.poll(0):
        acknowledged.append(receiving.recv())
    for step in acknowledged:
        assert not index.fetch([f"{step}-{row}" for row in range(ROWS)]).missing
    assert index.count() % ROWS == 0
    index.upsert(["after"], [[0, 0]])
    assert index.search([0, 0], k=1)[0].exact


def write_on(uri: str, sending: Any) -> None:
    """Write until the end, and tell what is acknowledged."""
    with vecbridge.get_backend("lancedb", uri=uri) as store:
        index = store.open_index("t")
        for step in range(10_000):
            index.upsert([f"{step}-{row}" for row in range(ROWS)], np.ones((ROWS, 2), np.float32))
            sending.send(step)


def test_failures_say_what_they_are(folder: Path, raw: Any, opened: Opener, tmp_path: Path) -> None:
    index = opened().create_index("t", dimension=2, metric="euclidean")
    raw.drop_table("t")
    with pytest.raises(IndexNotFoundError, match="dropped"):
        index.count()
    (folder / "hollow.lance").mkdir()
    with pytest.raises(CorruptStoreError, match="hollow"):
        opened().open_index("hollow")
    (tmp_path / "file").write_text("")
    with (
        vecbridge.get_backend("lancedb", uri=str(tmp_path / "file" / "x")) as store,
        pytest.raises(vecbridge.ConfigurationError, match="setting uri"),
    ):
        store.create_index("t", dimension=2, metric="cosine")
    options = {"aws_access_key_id": "me", "aws_secret_access_key": "hunter2-hunter2"}
    options |= {"endpoint": "http://127.0.0.1:9", "allow_http": "true", "region": "us-east-1"}
    with (
        vecbridge.get_backend(
            "lancedb", uri="s3://bucket/x", timeout=3, storage_options=options
        ) as store,
        pytest.raises(ConnectionFailedError) as caught,
    ):
        store.index_names()
    assert "hunter2" not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_a_newest_version_that_is_missing_is_no_silent_return_to_the_one_before(
    folder: Path, opened: Opener
) -> None:
    store = opened()
    index = store.create_index("t", dimension=2, metric="euclidean")
    for name in ("a", "b"):
        index.upsert([name], [[1, 1]])
    # The names count down from the largest number of 64 bits.
    min((folder / "t.lance" / "_versions").glob("*.manifest")).unlink()
    for use in (
        index.count,
        lambda: index.upsert(["c"], [[1, 1]]),
        lambda: opened().open_index("t"),
    ):
        with pytest.raises(CorruptStoreError, match="version 4 was written"):
            use()
    assert "latest_version_hint" in diagnosed(store)[-1].advice
    (folder / "t.lance" / "_versions" / "latest_version_hint.json").unlink()
    assert index.count() == 1


def test_the_doctor_looks_and_makes_nothing(folder: Path, opened: Opener, raw: Any) -> None:
    store = opened()
    folder.rmdir()
    assert store.index_names() == []
    assert [(each.check, each.status) for each in diagnosed(store)] == [("place", "ok")]
    assert not folder.exists()
    index = store.create_index("t", dimension=3, metric="cosine")
    index.upsert(["a", "b", "c"], [[1e-40, 0.0, 0.0], [0.0, 0.0, 0.0], [3e38, 1.0, 1.0]])
    (folder / "hollow.lance").mkdir()
    assert {each.check: each.status for each in diagnosed(store)} == {
        "place": "ok",
        "index t": "ok",
        "index hollow": "warning",
    }
    raw.open_table("t").update(where="id = 'a'", values={"vector": [0.0, 0.0, 0.0]})
    (found,) = [each for each in diagnosed(store) if each.check == "index t" and each.advice]
    assert "of 1 records" in found.found
    table = raw.open_table("t")
    infinite = {"id": ["d"], "vector": [[np.inf, 0.0, 0.0]], "norm": [1.0]}
    table.add(pa.table(infinite, schema=table.schema))
    (found,) = [each for each in diagnosed(store) if each.check == "index t" and each.advice]
    assert "of 2 records" in found.found


def diagnosed(store: Store) -> list[Finding]:
    assert isinstance(store.backend, LancedbBackend)
    return list(store.backend.diagnose())
