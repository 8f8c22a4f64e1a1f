"""Locks belong to processes: what others acknowledge, and what this one does, is never lost."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.local.helpers import contents, named, new_table, reader, run, vectors

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


class _Interrupted:
    """A connection on which an interrupt arrives while a commit is being synced."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, statement: str, *arguments: Any) -> Any:
        result = self._connection.execute(statement, *arguments)
        if statement == "COMMIT":
            os.kill(os.getpid(), signal.SIGINT)
        return result


def test_a_write_that_was_interrupted_after_its_commit_is_seen_by_the_next_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = new_table(tmp_path)
    table.upsert(named(1), vectors(1))
    database = table._journal._database  # type: ignore[attr-defined]
    # A shell that runs this in the background has interrupts ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with monkeypatch.context() as patch:
        patch.setattr(database, "_connection", _Interrupted(database._connection))
        with pytest.raises(KeyboardInterrupt):
            table.upsert(["interrupted"], vectors(1))
    signal.signal(signal.SIGINT, before)
    table.upsert(["next"], vectors(1, seed=3))
    assert contents(table) == contents(reader(tmp_path))
    assert "interrupted" in contents(table)
