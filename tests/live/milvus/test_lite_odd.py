"""What may lie in a Milvus Lite directory that vecbridge did not put there like that.

Each directory opens, with every record, or is refused with what is wrong.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import vecbridge
from vecbridge import (
    ClosedError,
    ConnectionFailedError,
    CorruptStoreError,
    IndexNotFoundError,
    OperationTimeoutError,
)
from vecbridge.diagnosis import diagnose
from vecbridge.transfer import import_records

SERVES = """
import sys
import vecbridge

store = vecbridge.get_backend("milvus", uri=sys.argv[1])
index = store.open_or_create_index("shared", dimension=2, metric="euclidean")
for number in range(30):
    index.upsert([f"r{number}"], [[number, 1]])
# Searching puts rows away, and makes the index of their segment.
index.search([0, 0], 1)
print("ready", flush=True)
sys.stdin.read()
"""
LOCK = "vecbridge.json"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A directory with one record, that is closed."""
    path = tmp_path / "v.db"
    with vecbridge.get_backend("milvus", uri=str(path)) as store:
        store.create_index("shared", dimension=2, metric="euclidean").upsert(["a"], [[1, 2]])
    return path


def count(path: Path, **options: float) -> int:
    with vecbridge.get_backend("milvus", uri=str(path), **options) as store:
        return store.open_index("shared").count()


def served(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVES, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def odd_files() -> list[bytes]:
    """Return contents of a lock file: no JSON, deep JSON, and each entry of an odd type."""
    said = {"ended": True, "socket": "/tmp/x", "pid": 1, "host": "h", "file": [1, 1]}
    odd: list[Any] = [None, [], {}, "", "\0", "\ud800", 1e400, -1, 10**30, True, "x" * 3000, [[[]]]]
    entries = [{**said, name: value} for name in said for value in odd]
    whole = [b"", b"\0" * 100, b"\xff\xfe", b"[" * 4000, b'{"a":' * 800, b"9" * 4090, b"NaN"]
    return [*whole, *(json.dumps(each).encode() for each in [*odd, *entries])]


def test_whatever_the_lock_file_holds_the_directory_opens(path: Path) -> None:
    for content in odd_files():
        (path / LOCK).write_bytes(content)
        assert count(path) == 1, content[:80]


@pytest.mark.parametrize("kind", ["link", "loop", "directory", "pipe"])
def test_what_is_no_file_in_the_place_of_the_lock_is_named(path: Path, kind: str) -> None:
    lock = path / LOCK
    lock.unlink()
    if kind == "link":
        lock.symlink_to("elsewhere")
    elif kind == "loop":
        lock.symlink_to(LOCK)
    elif kind == "directory":
        lock.mkdir()
    else:
        os.mkfifo(lock)
    with pytest.raises(ConnectionFailedError, match=r"vecbridge\.json in it is .*remove it"):
        count(path)
    if kind == "directory":
        lock.rmdir()
    else:
        lock.unlink()
    assert count(path) == 1


@pytest.mark.parametrize("name", ["schema.json", "manifest.json"])
@pytest.mark.parametrize("content", [b"[" * 100_000, b"\xff", b"", b'{"a": 9' + b"9" * 5000 + b"}"])
def test_a_damaged_file_of_the_engine_is_named(path: Path, name: str, content: bytes) -> None:
    (victim,) = path.rglob(name)
    victim.write_bytes(content)
    with pytest.raises(CorruptStoreError, match=name):
        count(path)
    assert victim.read_bytes() == content


def test_a_copy_made_of_links_is_a_directory_of_its_own(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    shutil.copytree(path, copy, copy_function=os.link)
    for place, name in ((copy, "b"), (path, "c")):
        with vecbridge.get_backend("milvus", uri=str(place)) as store:
            store.open_index("shared").upsert([name], [[3, 4]])
    for place, names in ((copy, {"a", "b"}), (path, {"a", "c"})):
        with vecbridge.get_backend("milvus", uri=str(place)) as store:
            assert {x for batch in store.open_index("shared").scan() for x in batch.ids} == names


def test_a_copy_made_of_links_to_an_open_directory_is_refused(path: Path, tmp_path: Path) -> None:
    with vecbridge.get_backend("milvus", uri=str(path)) as store:
        index = store.open_index("shared")
        shutil.copytree(path, tmp_path / "copy.db", copy_function=os.link)
        index.upsert(["b"], [[3, 4]])
        with pytest.raises(ConnectionFailedError, match="made of links"):
            count(tmp_path / "copy.db", timeout=1)
        assert index.count() == 2


def test_a_clock_that_was_set_back_hides_no_torn_index(path: Path) -> None:
    process = served(path)
    process.kill()
    process.communicate()
    torn = max(path.rglob("indexes/*"), key=lambda each: each.stat().st_mtime_ns)
    torn.write_bytes(torn.read_bytes()[:40])
    # As the files look where the clock was set back by a day while the process served.
    past = time.time() - 86_400
    os.utime(torn, (past, past))
    assert count(path) == 31
    with vecbridge.get_backend("milvus", uri=str(path)) as store:
        assert store.open_index("shared").search([7, 1], 1)[0].ids == ("r7",)


def test_a_process_that_is_stopped_is_not_said_to_have_ended(path: Path) -> None:
    process = served(path)
    try:
        os.kill(process.pid, signal.SIGSTOP)
        with pytest.raises(OperationTimeoutError, match=rf"{process.pid}.* is stopped") as told:
            count(path, timeout=2, retry_timeout=2)
        assert told.value.retryable
        os.kill(process.pid, signal.SIGCONT)
        assert count(path) == 31
    finally:
        os.kill(process.pid, signal.SIGCONT)
        process.communicate()


@pytest.mark.slow
def test_a_directory_is_opened_by_many_processes_at_once_and_none_is_refused(
    tmp_path: Path,
) -> None:
    opens = """
import sys
import vecbridge

for turn in range(int(sys.argv[3])):
    with vecbridge.get_backend("milvus", uri=sys.argv[1]) as store:
        index = store.open_or_create_index("shared", dimension=2, metric="euclidean")
        index.upsert([f"{sys.argv[2]}-{turn}"], [[turn, 1]])
"""
    processes, turns = 8, int(os.environ.get("VECBRIDGE_OPENINGS", "25"))
    path = tmp_path / "v.db"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", opens, str(path), str(number), str(turns)],
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(processes)
    ]
    told = [process.communicate()[1] for process in started]
    assert [process.returncode for process in started] == [0] * processes, told
    assert count(path) == processes * turns


def test_reading_where_there_is_no_directory_makes_none(tmp_path: Path) -> None:
    absent = tmp_path / "mistyped.db"
    with vecbridge.get_backend("milvus", uri=str(absent)) as store:
        for call in (store.open_index, store.drop_index):
            with pytest.raises(IndexNotFoundError, match=r"no store at .*mistyped\.db; create_ind"):
                call("photos")
        assert store.index_names() == []
        found = list(diagnose("milvus", write=False, uri=str(absent)))
        assert "no store at" in found[-1].found
        rows = [{"id": "a", "vector": [1.0, 2.0]}]
        assert import_records(rows, store, "photos", dry_run=True).records == 1
        assert not absent.exists()

        store.create_index("photos", dimension=2).upsert(["a"], [[1, 2]])
        assert store.index_names() == ["photos"]
    with vecbridge.get_backend("milvus", uri=str(absent)) as store:
        assert store.open_index("photos").count() == 1


def test_a_closed_store_lists_nothing_where_there_is_no_directory(tmp_path: Path) -> None:
    store = vecbridge.get_backend("milvus", uri=str(tmp_path / "absent.db"))
    store.close()
    with pytest.raises(ClosedError):
        store.index_names()
    with pytest.raises(ClosedError):
        store.backend.index_names()
