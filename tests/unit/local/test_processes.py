"""Locks belong to processes: what others acknowledge, and what this one does, is never lost."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.unit.local.helpers import contents, new_table, reader, run, vectors

WRITE = """
import sys, numpy as np
from vecbridge.local import LocalStore
store = LocalStore(sys.argv[1], backend="test")
store.open("t").upsert([sys.argv[2]], np.float32([[1, 2, 3, 4]]))
store.close()
"""


def test_a_second_store_on_a_path_keeps_the_first_ones_locks(tmp_path: Path) -> None:
    first = new_table(tmp_path)
    second = reader(tmp_path)
    assert second.count() == 0
    run(WRITE, tmp_path, "theirs")
    first.upsert(["ours"], vectors(1))
    run(WRITE, tmp_path, "later")
    assert sorted(contents(first)) == ["later", "ours", "theirs"]
    seen = run(
        "import sys; from vecbridge.local import LocalStore\n"
        "print(LocalStore(sys.argv[1], backend='test').open('t').count())",
        tmp_path,
    )
    assert seen.strip() == "3"


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_child_keeps_its_writes_when_the_parent_goes_first(tmp_path: Path) -> None:
    code = """
import os, sys, numpy as np
from vecbridge.local import LocalStore
store = LocalStore(sys.argv[1], backend="test")
table = store.create("t", dimension=2, metric="euclidean")
ready, told = os.pipe(), os.pipe()
child = os.fork()
if not child:
    table.upsert(["before"], np.float32([[1, 2]]))
    os.write(ready[1], b"x")
    os.read(told[0], 1)
    table.upsert(["after"], np.float32([[1, 2]]))
    os._exit(0)
os.read(ready[0], 1)
store.close()
os.write(told[1], b"x")
os.waitpid(child, 0)
again = LocalStore(sys.argv[1], backend="test").open("t")
print(*sorted(name for records in again.scan(9) for name in records.ids))
"""
    assert run(code, tmp_path).split() == ["after", "before"]
