"""The file that spares building an index again: nothing depends on it, the process neither."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.local.helpers import ROOT

PROGRAM = """
import sys
from pathlib import Path
import numpy as np
import vecbridge
from tests.unit.faiss_backend.test_cache import {change} as change

rng = np.random.default_rng(0)
vectors = rng.standard_normal((2500, 8), dtype=np.float32)
ids = [f"id{{number}}" for number in range(2500)]
def opened():
    return vecbridge.get_backend("faiss", path=sys.argv[1], index=sys.argv[2])
with opened() as store:
    index = store.create_index("t", dimension=8, metric="euclidean")
    index.upsert(ids, vectors)
    index.search(vectors[0], 5)
(cache,) = (Path(sys.argv[1]) / "faiss").iterdir()
store = opened()
index = store.open_index("t")
index.search(vectors[0], 5)
change(cache)
def recall(index):
    answers = index.search(vectors[:50], 1)
    return sum(hits.ids[0] == name for hits, name in zip(answers, ids)) / 50
print(recall(index) > 0.9)
index.upsert(["more"], vectors[:1] + 9)
print(index.search(vectors[0] + 9, 1)[0].ids[0])
store.close()
with opened() as store:
    print(recall(store.open_index("t")) > 0.9)
"""


def cut(cache: Path) -> None:
    os.truncate(cache, 1000)


def overwritten(cache: Path) -> None:
    size = cache.stat().st_size
    with cache.open("r+b") as file:
        file.write(os.urandom(size))


def shorter(cache: Path) -> None:
    cache.write_bytes(cache.read_bytes()[: cache.stat().st_size // 2])


def emptied(cache: Path) -> None:
    cache.write_bytes(b"")


def removed(cache: Path) -> None:
    cache.unlink()


def one_bit(cache: Path) -> None:
    content = bytearray(cache.read_bytes())
    content[len(content) // 3] ^= 4
    cache.write_bytes(content)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "kind"),
    [
        *((each, "hnsw") for each in (cut, overwritten, shorter, emptied, removed, one_bit)),
        (overwritten, "ivf"),
    ],
)
def test_a_cache_that_changes_while_it_is_used_changes_no_answer(
    tmp_path: Path, change: object, kind: str
) -> None:
    code = PROGRAM.format(change=change.__name__)  # type: ignore[attr-defined]
    command = [sys.executable, "-c", code, str(tmp_path), kind]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True", "more", "True"]
