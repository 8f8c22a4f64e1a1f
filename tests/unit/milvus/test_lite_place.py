"""The file that says where a directory is served, and whom it may be believed."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from vecbridge_milvus import _lite_place as places


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where sockets are made, with a path that is short enough for them."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[int]:
    descriptor = places.take(tmp_path)
    assert descriptor is not None
    yield descriptor
    os.close(descriptor)


def test_one_at_a_time_has_the_lock(tmp_path: Path) -> None:
    first = places.take(tmp_path)
    assert first is not None
    assert places.take(tmp_path) is None
    os.close(first)
    second = places.take(tmp_path)
    assert second is not None
    os.close(second)


def test_what_was_announced_is_found(tmp_path: Path, temporary: Path, held: int) -> None:
    path = places.prepare(tmp_path)
    places.announce(held, tmp_path, path)
    place = places.find(tmp_path)
    assert place is not None
    assert (place.socket, place.pid) == (path, os.getpid())
    assert path.parent.parent == temporary


def test_a_copied_file_says_nothing(tmp_path: Path, temporary: Path, held: int) -> None:
    places.announce(held, tmp_path, temporary / "vecbridge-lite-x" / "lite.sock")
    copied = tmp_path / "copied"
    copied.mkdir()
    shutil.copy(tmp_path / places.FILE, copied)
    assert places.find(tmp_path) is not None
    assert places.find(copied) is None


@pytest.mark.parametrize(
    "content", [b"", b'{"socket": "/tmp/vec', b"[]", b'{"socket": 1}', b"\xff\x00"]
)
def test_a_torn_file_says_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / places.FILE).write_bytes(content)
    assert places.find(tmp_path) is None


@pytest.mark.parametrize(
    "named", ["relative/vecbridge-lite-x/lite.sock", "/run/docker.sock", "/a/other/lite.sock"]
)
def test_only_sockets_of_vecbridge_are_named(tmp_path: Path, held: int, named: str) -> None:
    places.announce(held, tmp_path, Path(named))
    assert places.find(tmp_path) is None


def test_a_successor_serves_where_its_predecessor_did(
    tmp_path: Path, temporary: Path, held: int
) -> None:
    path = places.prepare(tmp_path)
    places.announce(held, tmp_path, path)
    with closing(socket.socket(socket.AF_UNIX)) as left_behind:
        left_behind.bind(str(path))
    assert places.prepare(tmp_path) == path
    assert not path.exists()
    places.clear(path)
    assert not path.parent.exists()
    assert places.prepare(tmp_path) == path
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_what_was_broken_off_is_known(tmp_path: Path, held: int) -> None:
    assert places.ended_well(held)
    places.announce(held, tmp_path, tmp_path / "lite.sock")
    assert not places.ended_well(held)
    places.announce(held, tmp_path, tmp_path / "lite.sock", ended=True)
    assert places.ended_well(held)
    (tmp_path / places.FILE).write_bytes(b'{"ended": tr')
    assert not places.ended_well(held)


def test_nobody_is_pushed_off_a_socket(tmp_path: Path, temporary: Path, held: int) -> None:
    path = places.prepare(tmp_path)
    places.announce(held, tmp_path, path)
    with closing(socket.socket(socket.AF_UNIX)) as somebody:
        somebody.bind(str(path))
        somebody.listen()
        assert places.prepare(tmp_path) != path
        assert path.exists()


def test_a_long_temporary_directory_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("long" * 20)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    path = places.prepare(tmp_path)
    assert len(os.fsencode(path)) < 104
    places.clear(path)


@pytest.mark.parametrize("mode", [0o711, 0o750, 0o707])
def test_a_directory_that_others_may_enter_is_distrusted(temporary: Path, mode: int) -> None:
    path = temporary / "lite.sock"
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(path))
        place = places.Place(path, 1, "here")
        assert place.distrust() is None
        temporary.chmod(mode)
        assert f"{mode:04o}" in str(place.distrust())
        temporary.chmod(0o700)
