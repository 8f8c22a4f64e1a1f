"""A writer that is killed loses nothing that it acknowledged."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest

from tests.crash.writers import ROOT, after, applied, contents, replay, run_and_kill
from vecbridge.local import LocalStore

ROUNDS = 20
WRITER = """
import random, sys
import numpy as np
from vecbridge.local import LocalStore
path, seed = sys.argv[1], int(sys.argv[2])
rng = random.Random(seed)
table = LocalStore(path, backend="test").open("t")
stamp = seed * 1_000_000
print("ready", flush=True)
while True:
    stamp += 1
    size = rng.choice([1, 1, 3, 40, 3000])
    ids = [f"r{number}" for number in rng.sample(range(6000), size)]
    deletes = rng.random() < 0.35
    print("begin", "delete" if deletes else "upsert", stamp, *ids, flush=True)
    if deletes:
        table.delete(ids)
    else:
        table.upsert(ids, np.full((size, 8), stamp, dtype=np.float32))
    print("done", stamp, flush=True)
"""


def test_nothing_acknowledged_is_lost_and_nothing_deleted_comes_back(tmp_path: Path) -> None:
    LocalStore(tmp_path, backend="test").create("t", dimension=8, metric="euclidean")
    rng = random.Random(7)
    model: dict[str, float] = {}
    acknowledged = 0
    for number in range(1, ROUNDS + 1):
        # Counted in writes, not in seconds: a busy machine must not make the rounds empty.
        writes, delay = rng.randrange(20), rng.uniform(0.0, 0.02)

        def read(output: IO[str], writes: int = writes, delay: float = delay) -> str:
            return after(delay, "".join(output.readline() for _ in range(2 * writes)))

        lines = run_and_kill(WRITER, tmp_path, number, read)
        acknowledged += sum(line.startswith("done") for line in lines)
        pending = replay(lines, model)
        found = contents(tmp_path)
        # The write in flight may have happened, but only as a whole.
        written = applied(model, pending)
        assert found in (model, written), f"round {number}"
        model = found
    assert acknowledged > 5 * ROUNDS


@pytest.mark.parametrize("seed", range(2))
def test_a_killed_maker_leaves_a_store_that_can_be_made(tmp_path: Path, seed: int) -> None:
    code = (
        "import sys; from vecbridge.local import LocalStore; print('ready', flush=True);"
        "LocalStore(sys.argv[1], 'test').create('t', dimension=2, metric='cosine')"
    )
    rng = random.Random(seed)
    for number in range(4):
        path = tmp_path / str(number)
        maker = subprocess.Popen(
            [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        assert maker.stdout is not None
        maker.stdout.readline()
        time.sleep(rng.uniform(0.0, 0.02))
        maker.send_signal(signal.SIGKILL)
        maker.stdout.close()
        maker.wait()
        store = LocalStore(path, backend="test")
        if "t" not in store.names():
            store.create("t", dimension=2, metric="cosine")
        assert store.open("t").count() == 0
        store.close()
