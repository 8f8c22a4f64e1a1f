"""Stores on disks that are read-only or full, and under relative paths."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import vecbridge
from tests.unit.local.helpers import ROOT, contents, named, new_table, reader, vectors
from vecbridge.local import LocalStore

FILE = "records.vecbridge"
UNSHARE = shutil.which("unshare")
READ_ONLY = """
import json, os, subprocess, sys
from pathlib import Path
import numpy as np
import vecbridge
from vecbridge.local import LocalStore

folder, place = sys.argv[1:3]
subprocess.run(["mount", "--bind", folder, place], check=True)
subprocess.run(["mount", "-o", "remount,ro,bind", place], check=True)
one = np.ones((1, 4), dtype=np.float32)
told = []
def tell(call):
    try:
        told.append(call())
    except vecbridge.BackendError as error:
        told.append(str(error))
store = LocalStore(place, backend="test")
tell(store.names)
tell(lambda: store.open("t").count())
tell(lambda: store.open("t").upsert(["new"], one))
tell(lambda: store.create("u", dimension=4, metric="cosine"))
tell(lambda: store.drop("t"))
if sys.argv[3] == "written":
    writer = subprocess.Popen(
        [sys.executable, "-c", '''
import sys, numpy as np
from vecbridge.local import LocalStore
store = LocalStore(sys.argv[1], backend="test")
for name in ("first", "second"):
    store.open("t").upsert([name], np.ones((1, 4), dtype=np.float32))
    print(flush=True)
    sys.stdin.readline()
''', folder],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )
    for _ in range(2):
        writer.stdout.readline()
        tell(lambda: store.open("t").count())
        writer.stdin.write(b"\\n")
        writer.stdin.flush()
    writer.wait()
    tell(lambda: store.open("t").count())
print(json.dumps(told))
"""
FULL = """
import json, os, subprocess, sys
import numpy as np
import vecbridge
from vecbridge.local import LocalStore

place = sys.argv[1]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60m", "none", place], check=True)
store = LocalStore(place, backend="test")
large = store.create("large", dimension=256, metric="cosine")
small = store.create("small", dimension=256, metric="cosine")
matrix = np.random.default_rng(0).random((500, 256), dtype=np.float32)
small.upsert([str(number) for number in range(500)], matrix)
count = 0
try:
    while True:
        large.upsert([f"{count}-{number}" for number in range(500)], matrix)
        count += 1
except vecbridge.BackendError as error:
    full = str(error)
def free():
    found = os.statvfs(place)
    return found.f_bavail * found.f_bsize
def tried(call):
    try:
        call()
    except vecbridge.BackendError as error:
        return str(error)
    return "done"
told = {"full": full, "kept": large.count() == 500 * count}
told["delete"] = tried(lambda: large.delete([f"{row}-7" for row in range(count)]))
told["drop"] = tried(lambda: store.drop("large"))
told["names"], told["count"] = store.names(), small.count()
store.close()
store = LocalStore(place, backend="test")
told["again"] = [store.names(), store.open("small").count()]
print(json.dumps(told))
"""


def mounted(code: str, *words: object) -> Any:
    """What a program said that may mount what it likes."""
    if UNSHARE is None or subprocess.run([UNSHARE, "-m", "true"], check=False).returncode:
        pytest.skip("this user may not mount anything")
    command = [UNSHARE, "-m", sys.executable, "-c", code, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def closed(folder: Path) -> None:
    """A store of three records."""
    store = LocalStore(folder, backend="test")
    store.create("t", dimension=4, metric="cosine").upsert(named(3), vectors(3))
    store.close()


@pytest.mark.parametrize("then", ["left", "written"])
def test_a_store_on_a_read_only_disk_is_read_and_not_written(tmp_path: Path, then: str) -> None:
    closed(tmp_path / "store")
    (tmp_path / "place").mkdir()
    before = (tmp_path / "store" / FILE).read_bytes()
    names, count, *refused = mounted(READ_ONLY, tmp_path / "store", tmp_path / "place", then)
    assert (names, count) == (["t"], 3)
    assert all("copy the folder to where it can be written" in said for said in refused[:3])
    if then == "written":
        # Through the other mount, by a process that may write.
        assert refused[3:] == [4, 5, 5]
    else:
        assert (tmp_path / "store" / FILE).read_bytes() == before


def test_a_log_on_a_read_only_disk_says_what_to_do(tmp_path: Path) -> None:
    code = """
import os, sys
import numpy as np
from vecbridge.local import LocalStore
store = LocalStore(sys.argv[1], backend="test")
store.create("t", dimension=4, metric="cosine").upsert(["a"], np.ones((1, 4), dtype=np.float32))
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", code, tmp_path / "store"], check=True, cwd=ROOT)
    (tmp_path / "place").mkdir()
    names, count, *_ = mounted(READ_ONLY, tmp_path / "store", tmp_path / "place", "left")
    assert (names, count) == (["t"], 1)
    (tmp_path / "store" / (FILE + "-shm")).unlink()
    for said in mounted(READ_ONLY, tmp_path / "store", tmp_path / "place", "left"):
        assert "Open the store once where it can be written" in said
    assert reader(tmp_path / "store").count() == 1


def test_an_index_can_be_dropped_where_the_disk_is_full(tmp_path: Path) -> None:
    told = mounted(FULL, tmp_path)
    assert "full" in told["full"]
    assert told["kept"]
    assert told["delete"] == "done" or "Make a few megabytes of room" in told["delete"]
    assert told["drop"] == "done"
    assert [told["names"], told["count"]] == told["again"] == [["small"], 500]


def test_a_relative_path_is_taken_from_where_the_store_was_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in ("sklearn", "faiss", "torch"):
        with vecbridge.get_backend(name, path=f"of-{name}") as store:
            monkeypatch.chdir(tmp_path / "elsewhere")
            index = store.create_index("t", dimension=2)
            index.upsert(["a"], [[1, 2]])
            monkeypatch.chdir(tmp_path)
            assert index.count() == 1
        assert (tmp_path / f"of-{name}" / FILE).exists()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_store_can_be_copied_whole_and_used_elsewhere(tmp_path: Path) -> None:
    table = new_table(tmp_path / "a")
    table.upsert(named(3), vectors(3))
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert contents(reader(tmp_path / "b")) == contents(table)
