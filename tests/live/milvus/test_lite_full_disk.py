"""A disk that fills up under Milvus Lite costs writes, and nothing that was acknowledged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("resource", reason="this platform limits no file sizes")

WRITER = """
import json, os, resource, sys, time
import numpy as np
import vecbridge
path, after = sys.argv[1:]
real, ahead = time.monotonic, [0.0]
time.monotonic = lambda: real() + ahead[0]
rng = np.random.default_rng(0)
store = vecbridge.get_backend("milvus", uri=path, retry_timeout=1)
index = store.create_index("photos", dimension=128)
acknowledged, told = [], {}

def write(first, batches):
    for batch in range(first, first + batches):
        # What could not be flushed is tried again after a while.
        ahead[0] += 11.0
        ids = [f"{batch}-{row}" for row in range(400)]
        index.upsert(ids, rng.standard_normal((400, 128)).astype(np.float32))
        acknowledged.extend(ids)

def whole():
    ahead[0] += 11.0
    records = index.fetch(acknowledged)
    (hits,) = index.search(records.vectors[7], 1)
    return [len(records.missing), index.count(), hits.ids == (records.ids[7],)]

# The log, and whatever is made of it, must not grow beyond.
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
try:
    write(0, 50)
except vecbridge.BackendError as error:
    told["refused"] = str(error)
told["full"] = [len(acknowledged), whole()]
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
write(100, 5)
told["room"] = [len(acknowledged), whole()]
if after == "put away":
    index._engine.settle()
    write(200, 5)
print(json.dumps({**told, "acknowledged": acknowledged}), flush=True)
os._exit(0)
"""

READER = """
import json, sys
import vecbridge

with vecbridge.get_backend("milvus", uri=sys.argv[1]) as store:
    index = store.open_index("photos")
    print(json.dumps([len(index.fetch(json.load(sys.stdin)).missing), index.count()]))
"""


def ran(program: str, *words: object, given: str = "") -> Any:
    command = [sys.executable, "-c", program, *map(str, words)]
    done = subprocess.run(
        command, input=given, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("after", ["killed", "put away"])
def test_a_full_disk_loses_nothing(after: str, tmp_path: Path) -> None:
    path = tmp_path / "vectors.db"
    told = ran(WRITER, path, after)
    assert "File too large" in told["refused"]
    for moment in ("full", "room"):
        count, found = told[moment]
        assert count
        assert found == [0, count, True], moment
    names = told["acknowledged"]
    assert ran(READER, path, given=json.dumps(names)) == [0, len(names)]
