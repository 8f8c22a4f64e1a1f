"""A file that one process at a time holds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vecbridge.remote import ProcessLock

HOLDING = """
import sys
from vecbridge.remote import ProcessLock

print(ProcessLock(sys.argv[1]).acquire(), flush=True)
"""


def held_by_another(path: Path) -> bool:
    command = [sys.executable, "-c", HOLDING, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout != "True\n"


def test_one_process_at_a_time_holds_a_file_any_number_of_times(tmp_path: Path) -> None:
    first, second = ProcessLock(tmp_path / "lock"), ProcessLock(tmp_path / "lock")
    assert first.acquire()
    assert second.acquire()
    assert held_by_another(tmp_path / "lock")
    first.release()
    first.release()
    assert held_by_another(tmp_path / "lock")
    second.release()
    assert not held_by_another(tmp_path / "lock")
    assert first.acquire()
    first.release()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
def test_a_forked_child_is_another_process_and_frees_nothing(tmp_path: Path) -> None:
    code = """
import os, sys
from vecbridge.remote import ProcessLock

lock = ProcessLock(sys.argv[1])
lock.acquire()
child = os.fork()
if not child:
    lock.release()
    os._exit(ProcessLock(sys.argv[1]).acquire())
assert os.waitpid(child, 0)[1] == 0
child = os.fork()
if not child:
    os._exit(ProcessLock(sys.argv[1]).acquire())
assert os.waitpid(child, 0)[1] == 0
"""
    command = [sys.executable, "-W", "ignore", "-c", code, str(tmp_path / "lock")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
