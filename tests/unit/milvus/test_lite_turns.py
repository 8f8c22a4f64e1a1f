"""Turns in Milvus Lite's engine: reads together, a write alone, and no writer kept waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import vecbridge
from vecbridge import BackendError, Index

servicer = pytest.importorskip("milvus_lite.adapter.grpc.servicer")
SOON_S = 10.0
"""How long something that must happen is waited for."""
NEVER_S = 0.3
"""How long something that must not happen is."""


class Turn:
    """A call that the engine is in from when it is taken until it is let go of."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.release = threading.Event()
        self.done: Future[Any] | None = None

    def taken(self) -> bool:
        return self.entered.wait(NEVER_S)

    def comes(self) -> bool:
        return self.entered.wait(SOON_S)

    def end(self) -> None:
        self.release.set()
        assert self.done is not None
        self.done.result(SOON_S)


class Engine:
    """An index whose reads and deletes stay in the engine until a test lets go of them."""

    def __init__(self, index: Index, pool: ThreadPoolExecutor) -> None:
        self._index = index
        self._pool = pool
        self.turns: dict[str, Turn] = {}

    def reading(self, name: str) -> Turn:
        return self._started(name, lambda: self._index.contains([name]))

    def writing(self, name: str) -> Turn:
        return self._started(name, lambda: self._index.delete([name]))

    def hold(self, expression: str) -> None:
        """Called from inside the engine."""
        for name, turn in list(self.turns.items()):
            if f'"{name}"' in expression:
                turn.entered.set()
                turn.release.wait(SOON_S)

    def _started(self, name: str, call: Callable[[], Any]) -> Turn:
        turn = self.turns[name] = Turn()
        turn.done = self._pool.submit(call)
        return turn


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    made: list[Engine] = []

    def hold(request: Any) -> None:
        for each in made:
            each.hold(request.expr)

    # The server binds the methods when it starts.
    for method in ("Query", "Delete"):
        _wrap(monkeypatch, method, hold)
    with (
        vecbridge.get_backend("milvus", uri=str(tmp_path / "v.db")) as store,
        ThreadPoolExecutor(8) as pool,
    ):
        index = store.create_index("turns", dimension=2)
        assert not index.contains(["nothing"]).any()
        made.append(Engine(index, pool))
        yield made[0]
        for turn in made[0].turns.values():
            turn.release.set()


def _wrap(monkeypatch: pytest.MonkeyPatch, method: str, first: Callable[[Any], object]) -> None:
    real = getattr(servicer.MilvusServicer, method)

    def wrapped(self: Any, request: Any, context: Any) -> Any:
        first(request)
        return real(self, request, context)

    monkeypatch.setattr(servicer.MilvusServicer, method, wrapped)


def test_reads_go_together(engine: Engine) -> None:
    first, second = engine.reading("a"), engine.reading("b")
    assert first.comes()
    assert second.comes()
    first.end()
    second.end()


@pytest.mark.parametrize("other", ["reading", "writing"])
def test_a_write_goes_alone(engine: Engine, other: str) -> None:
    write = engine.writing("a")
    assert write.comes()
    waiting = getattr(engine, other)("b")
    assert not waiting.taken()
    write.end()
    assert waiting.comes()
    waiting.end()


def test_a_write_that_waits_goes_before_later_reads(engine: Engine) -> None:
    first = engine.reading("a")
    assert first.comes()
    write = engine.writing("b")
    assert not write.taken()
    later = engine.reading("c")
    assert not later.taken()
    first.end()
    assert write.comes()
    assert not later.taken()
    write.end()
    assert later.comes()
    later.end()


def test_a_turn_that_fails_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = threading.Event()

    def fail(_request: Any) -> None:
        if broken.is_set():
            raise ZeroDivisionError

    for method in ("Query", "Delete"):
        _wrap(monkeypatch, method, fail)
    path = str(tmp_path / "v.db")
    with vecbridge.get_backend("milvus", uri=path, timeout=1, retry_timeout=0) as store:
        index = store.create_index("turns", dimension=2)
        index.upsert(["a"], [[1, 2]])
        broken.set()
        for call in (lambda: index.delete(["a"]), lambda: index.contains(["a"])):
            with pytest.raises(BackendError):
                call()
        broken.clear()
        assert index.contains(["a"]).all()
        index.delete(["a"])
        assert index.count() == 0
