"""Remembers what a test did to its indexes, so that a failure can be done again by hand."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, cast

import numpy as np

from vecbridge import Index, Store, VectorIndex
from vecbridge_conformance._deployment import Deployment

_RECORDED = frozenset(
    {
        "upsert",
        "delete",
        "fetch",
        "contains",
        "count",
        "scan",
        "search",
        "farthest",
        "range_search",
        "neighbors",
        "neighbors_within",
        "duplicates",
        "search_aggregated",
        "candidates",
        "close",
    }
)
_OF_STORES = frozenset({"create_index", "open_index", "drop_index", "index_names"})


class Call:
    """One call of a method.

    Attributes:
        name: of the method.
        arguments: by position.
        keywords: by name.
        target: whose method: ``index``, ``index.engine`` or ``store``.
    """

    def __init__(
        self,
        name: str,
        arguments: tuple[Any, ...] = (),
        keywords: dict[str, Any] | None = None,
        *,
        target: str = "index",
    ) -> None:
        self.name = name
        self.arguments = arguments
        self.keywords = keywords or {}
        self.target = target


class Recorder:
    """The calls that one test made, index by index.

    Args:
        deployment: what is under test.
    """

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.calls: dict[str, list[Call]] = {}
        self.infos: dict[str, Any] = {}
        self._pending: dict[int, tuple[str, float]] = {}
        self._opened: list[Index] = []

    def store(self, store: Store) -> Store:
        """Return a store that remembers its calls, those about the index made last with its own."""
        return cast("Store", _RecordedStore(store, self))

    def index(self, engine: VectorIndex) -> Index:
        """Return an index that remembers its calls."""
        return _RecordedFront(engine, self, self._begin(engine))

    def engine(self, engine: VectorIndex) -> VectorIndex:
        """Return an engine that remembers its calls."""
        return cast("VectorIndex", _RecordedEngine(engine, self, self._begin(engine)))

    def reopened(self, engine: VectorIndex) -> Index:
        """Return an index over a new connection, whose calls go on after the old one's."""
        calls = self.calls.setdefault(engine.info.name, [])
        calls.append(Call("reopen"))
        return _RecordedFront(engine, self, calls)

    def written(self, name: str) -> list[str]:
        """Return the ids of every record that a test tried to write to an index."""
        given = (
            call.arguments[0]
            for call in self.calls.get(name, [])
            if call.name == "upsert" and call.arguments
        )
        return list(dict.fromkeys(each for part in given for each in part if type(each) is str))

    def pending(self) -> list[str]:
        """Return the calls that have not come back yet, and for how long."""
        now = time.monotonic()
        held = list(self._pending.values())
        return [f"{call} (for {now - began:.0f} s)" for call, began in held]

    @contextmanager
    def during(self, call: Call, where: str) -> Iterator[None]:
        """Mark that a call, or a step of what it gives, runs while the block lasts."""
        self._pending[id(call)] = f"{call.target}.{call.name} of {where}", time.monotonic()
        try:
            yield
        finally:
            self._pending.pop(id(call), None)

    def opened(self, index: Index) -> None:
        """Take down what a test has opened, which it need not close."""
        self._opened.append(index)

    def clear(self) -> None:
        """Forget everything, and close what was opened: a server may admit few connections."""
        opened, self._opened = self._opened, []
        for index in opened:
            # A broken backend must not break the next test.
            with contextlib.suppress(Exception):
                index.close()
        self.calls.clear()
        self.infos.clear()
        self._pending.clear()

    def latest(self) -> list[Call]:
        """Return the calls of the index made last, or those of the store where there is none."""
        name = next(reversed(self.calls), "")
        return self.calls.setdefault(name, [])

    def _begin(self, engine: VectorIndex) -> list[Call]:
        info = engine.info
        calls: list[Call] = []
        # An index that is used again becomes the one made last.
        self.calls.pop(info.name, None)
        self.calls[info.name] = calls
        self.infos[info.name] = info
        return calls


class _RecordedStore:
    def __init__(self, store: Store, recorder: Recorder) -> None:
        self._store = store
        self._recorder = recorder

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._store, name)
        if name not in _OF_STORES:
            return value
        recorder = self._recorder
        recorded = _recording(value, name, recorder, recorder.latest(), "store")

        @wraps(value)
        def kept(*arguments: Any, **keywords: Any) -> Any:
            answer = recorded(*arguments, **keywords)
            if isinstance(answer, Index):
                recorder.opened(answer)
            return answer

        return kept


class _RecordedFront(Index):
    def __init__(self, engine: VectorIndex, recorder: Recorder, calls: list[Call]) -> None:
        super().__init__(engine)
        self._recorder = recorder
        self._calls = calls

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name in _RECORDED:
            own = super().__getattribute__
            return _recording(value, name, own("_recorder"), own("_calls"), "index")
        return value


class _RecordedEngine:
    def __init__(self, engine: VectorIndex, recorder: Recorder, calls: list[Call]) -> None:
        self._engine = engine
        self._recorder = recorder
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._engine, name)
        if name in _RECORDED:
            return _recording(value, name, self._recorder, self._calls, "index.engine")
        return value


def _kept(value: Any) -> Any:
    """Return the value as it is now: a test may change what it gave."""
    return value.copy() if isinstance(value, (np.ndarray, list, dict)) else value


def _recording(
    method: Callable[..., Any], name: str, recorder: Recorder, calls: list[Call], target: str
) -> Callable[..., Any]:
    @wraps(method)
    def record(*arguments: Any, **keywords: Any) -> Any:
        kept = tuple(map(_kept, arguments)), {key: _kept(value) for key, value in keywords.items()}
        call = Call(name, *kept, target=target)
        calls.append(call)
        where = next((key for key, known in recorder.calls.items() if known is calls), "")
        with recorder.during(call, f"index {where!r}" if where else "the store"):
            answer = method(*arguments, **keywords)
        return _by_steps(answer, recorder, call, where) if isinstance(answer, Iterator) else answer

    return record


def _by_steps(answers: Iterator[Any], recorder: Recorder, call: Call, where: str) -> Iterator[Any]:
    nothing = object()
    try:
        while True:
            with recorder.during(call, f"index {where!r}"):
                answer = next(answers, nothing)
            if answer is nothing:
                return
            yield answer
    finally:
        getattr(answers, "close", lambda: None)()
