"""A lock for threads, forked children and signal handlers."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.interrupts import interrupted
from vecbridge.locks import ForkSafeLock

FORKING = """
import os, signal, sys, threading
from vecbridge.locks import ForkSafeLock, reentrant_lock

lock, plain = ForkSafeLock(), reentrant_lock()
held, end = threading.Event(), threading.Event()

def busy():
    with plain:
        held.set()
        end.wait()

threading.Thread(target=lock.run, args=(busy,), kwargs={"nested": busy}).start()
held.wait()
child = os.fork()
if not child:
    signal.alarm(20)
    with plain:
        os._exit(lock.run(lambda: 0, nested=lambda: 1))
_, status = os.waitpid(child, 0)
end.set()
sys.exit(status != 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
def test_what_a_thread_of_the_parent_holds_is_free_in_its_child() -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKING]
    assert subprocess.run(command, check=False, timeout=60).returncode == 0


def by_run(lock: ForkSafeLock, work: Callable[[], Any]) -> None:
    lock.run(work, nested=work)


def test_it_lets_one_in_at_a_time() -> None:
    lock, entered = ForkSafeLock(), threading.Event()
    other = threading.Thread(target=by_run, args=(lock, entered.set))

    def begin() -> None:
        other.start()
        assert not entered.wait(0.1)

    by_run(lock, begin)
    other.join()
    assert entered.is_set()


def test_what_interrupts_its_own_thread_does_something_else_instead() -> None:
    lock = ForkSafeLock()

    def work() -> str:
        return lock.run(lambda: "inside", nested=lambda: "nested")

    assert lock.run(work, nested=work) == "nested"
    assert work() == "inside"


@pytest.mark.parametrize("opcodes", [False, True])
def test_an_exception_at_any_moment_leaves_it_usable(*, opcodes: bool) -> None:
    kept: list[Any] = []
    for moment in range(1000):
        lock, held = ForkSafeLock(), threading.Event()
        call = partial(lock.run, int, nested=int)
        error = interrupted(moment, call, opcodes=opcodes)
        kept.append(error)
        assert lock.run(lambda: "inside", nested=lambda: "nested") == "inside"
        other = threading.Thread(target=by_run, args=(lock, held.set))
        other.start()
        other.join(10)
        assert held.is_set()
        if error is None:
            assert moment > 5
            return
