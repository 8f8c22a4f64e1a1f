"""A writer that is killed while the file is made smaller loses nothing that it acknowledged."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import IO

from tests.crash.writers import after, applied, contents, replay, run_and_kill
from vecbridge.local import LocalStore

ROUNDS = 16
# Compaction at nearly every write instead of now and then, each piece of it announced.
WRITER = """
import random, sys
import numpy as np
from vecbridge.local import Compaction, LocalStore

class Announced(Compaction):
    def rewrite(self, *given):
        print("compaction rewrite", flush=True)
        return super().rewrite(*given)
    def merge_tail(self, *given):
        print("compaction merge_tail", flush=True)
        return super().merge_tail(*given)
    def shrink(self, *given):
        print("compaction shrink", flush=True)
        return super().shrink(*given)

path, seed = sys.argv[1], int(sys.argv[2])
rng = random.Random(seed)
often = Announced(spare_rows=0, spare_pages=0)
table = LocalStore(path, backend="test", compaction=often).open("t")
stamp = seed * 100_000
print("ready", flush=True)
while True:
    stamp += 1
    ids = [f"r{number}" for number in rng.sample(range(600), 400)]
    deletes = stamp % 2 == 0
    print("begin", "delete" if deletes else "upsert", stamp, *ids, flush=True)
    if deletes:
        table.delete(ids)
    else:
        table.upsert(ids, np.full((len(ids), 300), stamp, dtype=np.float32))
    print("done", stamp, flush=True)
"""


def test_nothing_is_lost_while_the_file_is_rewritten_and_shrunk(tmp_path: Path) -> None:
    LocalStore(tmp_path, backend="test").create("t", dimension=300, metric="euclidean")
    rng = random.Random(3)
    model: dict[str, float] = {}
    caught: Counter[str] = Counter()
    for number in range(1, ROUNDS + 1):
        wanted, delay = rng.randrange(1, 8), rng.uniform(0.0, 0.004)

        def read(output: IO[str], wanted: int = wanted, delay: float = delay) -> str:
            said = ""
            while said.count("compaction") < wanted:
                said += output.readline()
            return after(delay, said)

        lines = run_and_kill(WRITER, tmp_path, number, read)
        last = lines[-1].split(maxsplit=2)[0]
        caught[last] += 1
        pending = replay(lines, model)
        written = applied(model, pending)
        found = contents(tmp_path)
        # Compaction comes after what it follows is kept; a write alone may be cut off, as a whole.
        assert found == written or (last != "compaction" and found == model), f"round {number}"
        model = found
    assert caught["compaction"] > ROUNDS // 4
    live = 4 * 300 * len(model)
    assert (tmp_path / "records.vecbridge").stat().st_size < 20 * live + (4 << 20)
