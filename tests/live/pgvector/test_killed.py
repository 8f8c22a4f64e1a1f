"""A server that is killed in the middle of an ingest loses nothing that it acknowledged."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecbridge
from tests.servers.postgres import running_postgres
from vecbridge import BackendError, Index

ROUNDS = int(os.environ.get("VECBRIDGE_TEST_KILLS", "2"))
"""How often; `make test-kills` asks for ten."""

BATCH, DIMENSION = 500, 64


def write(index: Index, rounds: list[int], number: int, stop: threading.Event) -> None:
    """Write batches until it is enough; note each that was acknowledged."""
    step = 0
    while not stop.is_set():
        ids = [f"{number}-{step}-{row}" for row in range(BATCH)]
        try:
            index.upsert(ids, np.full((BATCH, DIMENSION), step + 1, np.float32))
        except BackendError:
            return
        rounds.append(step)
        step += 1


@pytest.mark.timeout(600)
def test_kills_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    with running_postgres() as server:
        options: dict[str, Any] = {"uri": server.uri, "retry_timeout": 30.0}
        with vecbridge.get_backend("pgvector", **options) as store:
            index = store.create_index("t", dimension=DIMENSION, metric="euclidean")
            acknowledged: dict[int, list[int]] = {}
            for number in range(ROUNDS):
                rounds: list[int] = acknowledged.setdefault(number, [])
                stop = threading.Event()
                writer = threading.Thread(target=write, args=(index, rounds, number, stop))
                writer.start()
                while len(rounds) < 3 and writer.is_alive():
                    time.sleep(0.005)
                time.sleep(0.03 * (number % 4))
                server.kill()
                stop.set()
                server.start()
                writer.join(90)
                assert not writer.is_alive()
                for past, steps in acknowledged.items():
                    for step in steps:
                        ids = [f"{past}-{step}-{row}" for row in range(BATCH)]
                        found = index.fetch(ids)
                        assert not found.missing
                        assert (found.vectors == step + 1).all()
            batches = sum(map(len, acknowledged.values()))
            # At most one batch per round was under way, and is there whole or not at all.
            assert index.count() % BATCH == 0
            assert batches * BATCH <= index.count() <= (batches + ROUNDS) * BATCH
            print(f"{ROUNDS} kills, {batches * BATCH} records acknowledged, none lost")
