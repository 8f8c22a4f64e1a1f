"""Writers that say what they do, so that a test can kill them and tell what must be there."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np

from vecbridge.local import LocalStore

ROOT = Path(__file__).parents[2]


def run_and_kill(code: str, path: Path, seed: int, read: Callable[[IO[str]], str]) -> list[str]:
    """What a writer said until it was killed.

    Args:
        code: of the writer, which says ``ready`` first.
        path: of its store; its first argument.
        seed: its second argument.
        read: reads what it says, and returns that when it is to be killed.
    """
    writer = subprocess.Popen(
        [sys.executable, "-c", code, str(path), str(seed)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert writer.stdout is not None
    try:
        assert writer.stdout.readline() == "ready\n"
        said = read(writer.stdout)
    finally:
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read()
        writer.stdout.close()
        writer.wait()
    # A line that was cut off by the kill says nothing.
    said += rest[: rest.rfind("\n") + 1]
    return said.splitlines()


def after(delay: float, said: str) -> str:
    """What was said, a while later."""
    time.sleep(delay)
    return said


def replay(lines: list[str], model: dict[str, float]) -> list[str]:
    """Applies what was acknowledged; returns the write that was in flight, if there was one."""
    pending: list[str] = []
    for line in lines:
        words = line.split()
        if words[0] == "begin":
            pending = words
        elif words[0] == "done":
            assert words == ["done", pending[2]]
            done = applied(model, pending)
            model.clear()
            model.update(done)
            pending = []
    return pending


def applied(model: dict[str, float], write: list[str]) -> dict[str, float]:
    """The records after a write."""
    if not write:
        return model
    _, kind, stamp, *ids = write
    if kind == "delete":
        return {name: value for name, value in model.items() if name not in set(ids)}
    return model | dict.fromkeys(ids, float(np.float32(int(stamp))))


def contents(path: Path) -> dict[str, float]:
    """The records of a store whose vectors have one value each."""
    store = LocalStore(path, backend="test")
    found: dict[str, float] = {}
    for records in store.open("t").scan(1000):
        assert bool((records.vectors == records.vectors[:, :1]).all())
        found.update(zip(records.ids, records.vectors[:, 0].tolist(), strict=True))
    store.close()
    return found
