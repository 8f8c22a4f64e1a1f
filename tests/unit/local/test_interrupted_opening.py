"""A store whose opening was broken off, or that was opened during a fork, keeps its locks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interrupts import interrupted, moments
from tests.unit.local.helpers import ROOT, run
from tests.unit.local.test_interrupts import fill, template, upsert, vectors
from vecbridge.local import LocalStore

# Interrupted between opening a file and the statement that closes it, it is closed by its end.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


class OtherProcess:
    """Opens the store, counts, and closes it again, as often as it is asked."""

    CODE = (
        "import sys; from vecbridge.local import LocalStore\n"
        "for folder in sys.stdin:\n"
        "    store = LocalStore(folder.strip(), 'test')\n"
        "    print(store.open('t').count(), flush=True)\n"
        "    store.close()\n"
    )

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", self.CODE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def count(self, folder: Path) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{folder}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the other process could not open it"
        return int(answer)

    def end(self) -> None:
        self.process.communicate()


@pytest.fixture
def other_process() -> Iterator[OtherProcess]:
    other = OtherProcess()
    yield other
    other.end()


@pytest.mark.parametrize("first", [None, 70])
def test_a_store_whose_opening_was_interrupted_keeps_its_locks(
    tmp_path: Path, first: int | None, other_process: OtherProcess
) -> None:
    """Another process that closes it must not take itself for the last, and remove the log."""
    made = template(tmp_path, fill)
    kept: list[Any] = []
    for moment in moments():
        # Never the same again: SQLite removes a log by its name.
        folder = shutil.copytree(made, tmp_path / str(moment))
        store = LocalStore(folder, "test")
        if first is not None:
            # What a broken off write leaves is mended by a call that is itself broken off.
            table = store.open("t")
            table.count()
            kept.append(interrupted(first, lambda: upsert(table)))  # noqa: B023
        error = interrupted(moment, lambda: store.open("t").count())  # noqa: B023
        kept = [*kept[-3:], error]
        table = store.open("t")
        for number in range(3):
            table.upsert([f"more{number}"], vectors(1), {"n": [1]})
            assert other_process.count(folder) == table.count(), (moment, error)
        store.close()
        if error is None:
            assert moment > 50
            return


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_child_is_not_harmed_by_stores_that_threads_open_during_the_fork(
    tmp_path: Path,
) -> None:
    code = """
import os, sys, threading, numpy as np
from vecbridge.local import LocalStore
def opened():
    return LocalStore(sys.argv[1], "test").open("t")
def write(id):
    table.upsert([id], np.zeros((1, 2), np.float32), {"n": [1]})
table, done = opened(), threading.Event()
def work(number):
    written = 0
    while not done.is_set():
        opened().count()
        write(f"thread{number}-{written}")
        written += 1
threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
for thread in threads: thread.start()
for number in range(40):
    child = os.fork()
    if not child:
        try:
            table.count(); write(f"child{number}")
        except BaseException as error:
            print("child", number, error, file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
done.set()
for thread in threads: thread.join()
print(sum(bool(table.contains([f"child{number}"])[0]) for number in range(40)))
"""
    template(tmp_path, fill)
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    assert run(code, tmp_path / "made", env=environment) == "40"
