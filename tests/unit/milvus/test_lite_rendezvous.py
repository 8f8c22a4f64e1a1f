"""The file that says where a Milvus Lite directory is served, and what of it is believed."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import vecbridge
from tests.servers.lite_file import locked, name_socket, named, named_socket
from vecbridge import ConnectionFailedError

pytest.importorskip("milvus_lite")


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where sockets are made, with a path that is short enough for them."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An empty directory, which is served as soon as it is read."""
    found = tmp_path / "v.db"
    found.mkdir()
    return found


def serve(path: Path) -> Path:
    """Open a directory and close it again, and return the socket that it was served on."""
    with vecbridge.get_backend("milvus", uri=str(path), timeout=2, retry_timeout=0) as store:
        assert store.index_names() == []
        return named_socket(path)


def refusal(path: Path) -> str:
    with (
        vecbridge.get_backend("milvus", uri=str(path), timeout=1, retry_timeout=0) as store,
        pytest.raises(ConnectionFailedError) as refused,
    ):
        store.index_names()
    return str(refused.value)


def test_it_names_the_process_and_a_private_socket(path: Path, temporary: Path) -> None:
    with vecbridge.get_backend("milvus", uri=str(path)) as store:
        store.index_names()
        found = named_socket(path)
        assert named(path)["pid"] == os.getpid()
        assert named(path)["ended"] is False
        assert found.parent.parent == temporary
        assert found.parent.stat().st_mode & 0o777 == 0o700
        with pytest.raises(BlockingIOError), locked(path):
            pass
    assert named(path)["ended"] is True
    assert not found.parent.exists()
    with locked(path):
        pass


def test_a_successor_serves_where_its_predecessor_did(path: Path, temporary: Path) -> None:
    first = serve(path)
    assert serve(path) == first
    first.parent.mkdir(mode=0o700)
    with closing(socket.socket(socket.AF_UNIX)) as left_behind:
        left_behind.bind(str(first))
    assert serve(path) == first


def test_a_program_is_not_pushed_off_a_socket(path: Path, temporary: Path) -> None:
    first = serve(path)
    first.parent.mkdir(mode=0o700)
    with closing(socket.socket(socket.AF_UNIX)) as other:
        other.bind(str(first))
        other.listen()
        assert serve(path) != first
        assert first.exists()


@pytest.mark.parametrize("mode", [0o711, 0o750, 0o707])
def test_a_directory_that_others_may_enter_is_not_trusted(
    path: Path, temporary: Path, mode: int
) -> None:
    serve(path)
    lair = temporary / "vecbridge-lite-x"
    lair.mkdir(mode=0o700)
    with locked(path) as held, closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(lair / "lite.sock"))
        listener.listen()
        name_socket(held, path, lair / "lite.sock")
        lair.chmod(mode)
        said = refusal(path)
    assert f"{mode:04o}" in said
    assert str(lair) in said


@pytest.mark.parametrize("folder", ["vecbridge-lite-x", "other"])
@pytest.mark.parametrize("file", ["lite.sock", "docker.sock"])
def test_only_sockets_of_vecbridge_are_spoken_to(
    path: Path, temporary: Path, folder: str, file: str
) -> None:
    serve(path)
    lair = temporary / folder
    lair.mkdir(mode=0o700)
    with locked(path) as held, closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(lair / file))
        listener.listen()
        listener.settimeout(0.2)
        name_socket(held, path, lair / file)
        said = refusal(path)
        ours = (folder, file) == ("vecbridge-lite-x", "lite.sock")
        assert ("does not say how to reach it" in said) is not ours, said
        if not ours:
            with pytest.raises(TimeoutError):
                listener.accept()


def test_a_long_temporary_directory_is_not_used(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("long" * 20)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    assert len(os.fsencode(serve(path))) < 104
