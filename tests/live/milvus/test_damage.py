"""Milvus Lite's files, damaged one at a time: an error that says so, never a wrong answer."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import vecbridge
from vecbridge import CorruptStoreError

COUNT = 500


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("intact") / "x.db"
    with vecbridge.get_backend("milvus", uri=str(path)) as store:
        index = store.create_index("damaged", dimension=2, metric="euclidean")
        index.upsert([f"n{number}" for number in range(COUNT)], [[1, 2]] * COUNT)
    return path


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def overwritten(content: bytes) -> bytes:
    return b"torn" * (len(content) // 4 + 1)


@pytest.mark.parametrize("damage", [cut, overwritten])
@pytest.mark.parametrize("pattern", ["manifest.json", "schema.json", "*.parquet"])
def test_a_damaged_file_is_told_and_left_alone(
    intact: Path, tmp_path: Path, pattern: str, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "x.db"
    shutil.copytree(intact, path)
    (victim,) = path.rglob(pattern)
    victim.write_bytes(damage(victim.read_bytes()))
    before = victim.read_bytes()
    with (
        pytest.raises(CorruptStoreError, match=r"x\.db"),
        vecbridge.get_backend("milvus", uri=str(path)) as store,
    ):
        store.open_index("damaged").count()
    assert victim.read_bytes() == before


def test_an_intact_copy_opens(intact: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    shutil.copytree(intact, path)
    with vecbridge.get_backend("milvus", uri=str(path)) as store:
        assert store.open_index("damaged").count() == COUNT
