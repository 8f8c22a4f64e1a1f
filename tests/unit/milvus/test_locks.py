from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from vecbridge_milvus._locks import Lock

FORKING = """
import os, signal, sys, threading
from vecbridge_milvus._locks import Lock

lock, held, end = Lock(), threading.Event(), threading.Event()

def busy():
    with lock:
        held.set()
        end.wait()

threading.Thread(target=busy).start()
held.wait()
child = os.fork()
if not child:
    signal.alarm(20)
    with lock:
        os._exit(0)
_, status = os.waitpid(child, 0)
end.set()
sys.exit(status != 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
def test_a_lock_that_the_parent_holds_is_open_in_its_child() -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKING]
    assert subprocess.run(command, check=False).returncode == 0


def test_it_lets_one_in_at_a_time() -> None:
    lock, entered = Lock(), threading.Event()

    def enter() -> None:
        with lock:
            entered.set()

    other = threading.Thread(target=enter)
    with lock:
        other.start()
        assert not entered.wait(0.1)
    other.join()
    assert entered.is_set()
