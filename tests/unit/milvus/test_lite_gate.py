"""Turns in Milvus Lite's engine: reads together, a write alone, and no writer kept waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYetError
from contextlib import AbstractContextManager

import pytest

from vecbridge_milvus._lite_gate import Gate

SOON_S = 10.0
"""How long something that must happen is waited for."""
NEVER_S = 0.05
"""How long something that must not happen is."""


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as threads:
        yield threads


class Turn:
    """A turn taken in another thread, held until it is let go of."""

    def __init__(
        self, pool: ThreadPoolExecutor, take: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._release = threading.Event()
        self._taken: Future[None] = Future()
        self._done = pool.submit(self._hold, take)

    def _hold(self, take: Callable[[], AbstractContextManager[None]]) -> None:
        with take():
            self._taken.set_result(None)
            self._release.wait(SOON_S)

    def taken(self) -> bool:
        try:
            self._taken.result(NEVER_S)
        except NotYetError:
            return False
        return True

    def end(self) -> None:
        self._release.set()
        self._done.result(SOON_S)


def test_reads_go_together(pool: ThreadPoolExecutor) -> None:
    gate = Gate()
    first, second = Turn(pool, gate.reading), Turn(pool, gate.reading)
    assert first.taken()
    assert second.taken()
    first.end()
    second.end()


@pytest.mark.parametrize("other", ["reading", "writing"])
def test_a_write_goes_alone(pool: ThreadPoolExecutor, other: str) -> None:
    gate = Gate()
    write = Turn(pool, gate.writing)
    assert write.taken()
    waiting = Turn(pool, getattr(gate, other))
    assert not waiting.taken()
    write.end()
    assert waiting.taken()
    waiting.end()


def test_a_write_that_waits_goes_before_later_reads(pool: ThreadPoolExecutor) -> None:
    gate = Gate()
    first = Turn(pool, gate.reading)
    assert first.taken()
    write = Turn(pool, gate.writing)
    assert not write.taken()
    later = Turn(pool, gate.reading)
    assert not later.taken()
    first.end()
    assert write.taken()
    assert not later.taken()
    write.end()
    assert later.taken()
    later.end()


def test_a_turn_that_fails_is_given_back(pool: ThreadPoolExecutor) -> None:
    gate = Gate()
    for take in (gate.writing, gate.reading):
        with pytest.raises(ZeroDivisionError), take():
            raise ZeroDivisionError
    last = Turn(pool, gate.writing)
    assert last.taken()
    last.end()
