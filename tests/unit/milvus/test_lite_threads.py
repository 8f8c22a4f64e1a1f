"""Threads that serve Milvus Lite end with the last store of this process on its directory."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

import vecbridge

pytest.importorskip("milvus_lite")
WITHIN_S = 10.0


def test_no_thread_is_left_of_a_store_that_was_closed(tmp_path: Path) -> None:
    before = set(threading.enumerate())

    with vecbridge.get_backend("milvus", uri=str(tmp_path / "records.db")) as store:
        index = store.create_index("t", dimension=2, metric="cosine")
        index.upsert(["a"], [[1.0, 0.0]])
        made = {*threading.enumerate()} - before
        serving = [each for each in made if each.name == "vecbridge-lite"]
        assert len(serving) > 1

    give_up = time.monotonic() + WITHIN_S
    while any(each.is_alive() for each in serving) and time.monotonic() < give_up:
        time.sleep(0.02)
    assert not any(each.is_alive() for each in serving)
