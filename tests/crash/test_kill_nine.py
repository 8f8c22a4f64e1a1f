"""A writer that is killed loses nothing that it acknowledged."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from vecbridge.local import LocalStore

ROOT = Path(__file__).parents[2]
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
        lines = _run_and_kill(tmp_path, number, rng.randrange(20), rng.uniform(0.0, 0.02))
        acknowledged += sum(line.startswith("done") for line in lines)
        pending = _replay(lines, model)
        found = _contents(tmp_path)
        # The write in flight may have happened, but only as a whole.
        after = _applied(model, pending)
        assert found in (model, after), f"round {number}"
        model = found
    assert acknowledged > 5 * ROUNDS


def _run_and_kill(path: Path, seed: int, writes: int, delay: float) -> list[str]:
    """What a writer said before it was killed, some time after so many acknowledged writes."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(seed)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert writer.stdout is not None
    try:
        assert writer.stdout.readline() == "ready\n"
        said = "".join(writer.stdout.readline() for _ in range(2 * writes))
        time.sleep(delay)
    finally:
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read()
        writer.stdout.close()
        writer.wait()
    # A line that was cut off by the kill says nothing.
    said += rest[: rest.rfind("\n") + 1]
    return said.splitlines()


def _replay(lines: list[str], model: dict[str, float]) -> list[str]:
    """Applies what was acknowledged; returns the write that was in flight, if there was one."""
    pending: list[str] = []
    for line in lines:
        words = line.split()
        if words[0] == "begin":
            pending = words
        else:
            assert words == ["done", pending[2]]
            applied = _applied(model, pending)
            model.clear()
            model.update(applied)
            pending = []
    return pending


def _applied(model: dict[str, float], write: list[str]) -> dict[str, float]:
    if not write:
        return model
    _, kind, stamp, *ids = write
    if kind == "delete":
        return {name: value for name, value in model.items() if name not in set(ids)}
    return model | dict.fromkeys(ids, float(np.float32(int(stamp))))


def _contents(path: Path) -> dict[str, float]:
    store = LocalStore(path, backend="test")
    found: dict[str, float] = {}
    for records in store.open("t").scan(1000):
        assert bool((records.vectors == records.vectors[:, :1]).all())
        found.update(zip(records.ids, records.vectors[:, 0].tolist(), strict=True))
    store.close()
    return found


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
