"""Servers that are killed in the middle of an ingest, again and again."""

from __future__ import annotations

import os
import threading
import time
from typing import Protocol

import numpy as np

from vecbridge import BackendError, Index, Store

ROUNDS = int(os.environ.get("VECBRIDGE_TEST_KILLS", "2"))
"""How often; `make test-kills` asks for ten."""

BATCH, DIMENSION = 500, 64


class Killable(Protocol):
    """A server that tests may end."""

    def kill(self) -> None:
        """End it at once, as ``kill -9`` does."""

    def start(self) -> None:
        """Start it again, and wait until it answers."""


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


def killed_in_ingest(server: Killable, store: Store) -> None:
    """Kill a server again and again while records arrive, and miss none that it acknowledged."""
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
    # What is there is found, too.
    (hits,) = index.search(np.full(DIMENSION, 1, np.float32), k=1)
    assert hits.distances.tolist() == [0.0]
    print(f"{ROUNDS} kills, {batches * BATCH} records acknowledged, none lost")
