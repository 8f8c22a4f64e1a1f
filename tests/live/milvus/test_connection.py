"""Connecting and letting go: dead addresses, locks, closed stores, secrets."""

from __future__ import annotations

import fcntl
import gc
import os
import socket
import subprocess
import sys
import time
import traceback
from pathlib import Path

import pytest

import vecbridge
from vecbridge import ClosedError, ConnectionFailedError

SECRET = "Sup3r-s3cret-w0rd"
COUNTING = """
import sys, vecbridge
with vecbridge.get_backend("milvus", uri=sys.argv[1]) as store:
    print(store.open_index("kept").count())
"""


def dead_uri() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_making_a_store_connects_to_nothing() -> None:
    with vecbridge.get_backend("milvus", uri=dead_uri()) as store:
        assert store.name == "milvus"


def test_no_server_listens(capfd: pytest.CaptureFixture[str]) -> None:
    uri = dead_uri()
    store = vecbridge.get_backend("milvus", uri=uri, timeout=2)
    started = time.monotonic()
    with pytest.raises(ConnectionFailedError) as caught:
        store.index_names()
    assert time.monotonic() - started < 4
    message = str(caught.value)
    assert uri.removeprefix("http://") in message
    assert "Start a Milvus server" in message
    assert "uri='vectors.db'" in message
    assert caught.value.retryable
    assert "Traceback" not in capfd.readouterr().err


def test_no_secret_is_in_errors(capfd: pytest.CaptureFixture[str]) -> None:
    for options in ({"user": "root", "password": SECRET}, {"token": SECRET}):
        store = vecbridge.get_backend("milvus", uri=dead_uri(), timeout=2, **options)
        with pytest.raises(ConnectionFailedError) as caught:
            store.index_names()
        assert SECRET not in "".join(traceback.format_exception(caught.value))
    written = capfd.readouterr()
    assert SECRET not in written.out + written.err


def test_a_closed_store_says_so(milvus_uri: str) -> None:
    store = vecbridge.get_backend("milvus", uri=milvus_uri)
    index = store.open_or_create_index("closing", dimension=3)
    store.close()
    store.close()
    with pytest.raises(ClosedError, match="store of index 'closing' was closed"):
        index.count()
    with pytest.raises(ClosedError):
        store.index_names()


def test_a_closed_index_says_so(milvus_uri: str) -> None:
    with vecbridge.get_backend("milvus", uri=milvus_uri) as store:
        index = store.open_or_create_index("closing", dimension=3)
        index.close()
        index.close()
        with pytest.raises(ClosedError, match="index 'closing' was closed"):
            index.search([1, 2, 3])
        assert store.open_index("closing").count() == 0


def test_lite_is_unlocked_when_its_last_store_is_closed(tmp_path: Path) -> None:
    path = str(tmp_path / "v.db")
    first, second = (vecbridge.get_backend("milvus", uri=path) for _ in range(2))
    first.create_index("kept", dimension=2).upsert(["a"], [[1, 2]])
    assert second.open_index("kept").count() == 1
    first.close()
    assert second.open_index("kept").count() == 1
    assert is_locked(path)
    second.close()
    assert not is_locked(path)
    with vecbridge.get_backend("milvus", uri=path) as again:
        assert again.open_index("kept").fetch(["a"]).vectors.tolist() == [[1.0, 2.0]]


def test_a_store_that_is_forgotten_unlocks_lite(tmp_path: Path) -> None:
    path = str(tmp_path / "v.db")
    vecbridge.get_backend("milvus", uri=path).create_index("kept", dimension=2)
    assert is_locked(path)
    gc.collect()
    give_up = time.monotonic() + 10
    while is_locked(path):
        assert time.monotonic() < give_up
        time.sleep(0.02)


def test_paths_that_cannot_be_lites(tmp_path: Path) -> None:
    (tmp_path / "old.db").write_bytes(b"SQLite format 3\0")
    with pytest.raises(ConnectionFailedError, match="is a file"):
        vecbridge.get_backend("milvus", uri=str(tmp_path / "old.db")).index_names()
    with pytest.raises(ConnectionFailedError, match="no directory"):
        vecbridge.get_backend("milvus", uri=str(tmp_path / "no" / "v.db")).index_names()


@pytest.mark.parametrize("name", ["y" * 300 + ".db", "loop.db", "pipe.db"])
def test_what_is_no_path_for_a_directory_is_said_before_anything_is_made(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "loop.db").symlink_to(tmp_path / "loop.db")
    os.mkfifo(tmp_path / "pipe.db")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ConnectionFailedError, match="Milvus Lite cannot be opened") as caught:
        vecbridge.get_backend("milvus", uri=f"{tmp_path}/{name}").index_names()
    assert name in str(caught.value)
    assert "File exists" not in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "name", ["a space.db", "漢字 ü.db", "ha#sh.db", "per%20cent.db", "l/" * 99]
)
def test_another_process_finds_lite_whatever_the_path(tmp_path: Path, name: str) -> None:
    path = tmp_path / (f"{name}v.db" if name.endswith("/") else name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with vecbridge.get_backend("milvus", uri=str(path)) as store:
        store.create_index("kept", dimension=2).upsert(["a"], [[1, 2]])
        told = subprocess.run(
            [sys.executable, "-c", COUNTING, str(path)], check=False, capture_output=True, text=True
        )
        assert told.stdout == "1\n", told.stderr
    assert path.is_dir()


def is_locked(path: str) -> bool:
    """Return whether the engine's own lock of a directory is taken."""
    with (Path(path) / "LOCK").open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
