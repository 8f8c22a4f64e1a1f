"""Remembers what a test did to its indexes, so that a failure can be done again by hand."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

import numpy as np

from vecbridge import Index, VectorIndex
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


class Call:
    """One call of a method of an index."""

    def __init__(
        self, name: str, arguments: tuple[Any, ...], keywords: dict[str, Any], *, front: bool
    ) -> None:
        self.name = name
        self.arguments = arguments
        self.keywords = keywords
        self.front = front


class Recorder:
    """The calls that one test made, index by index.

    Args:
        deployment: what is under test.
    """

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.calls: dict[str, list[Call]] = {}
        self.infos: dict[str, Any] = {}

    def index(self, engine: VectorIndex) -> Index:
        """A front that remembers its calls."""
        return _RecordedFront(engine, self._begin(engine))

    def engine(self, engine: VectorIndex) -> VectorIndex:
        """An engine that remembers its calls."""
        return cast("VectorIndex", _RecordedEngine(engine, self._begin(engine)))

    def reopened(self, engine: VectorIndex) -> Index:
        """A front over a new connection, whose calls go on after the old one's."""
        calls = self.calls.setdefault(engine.info.name, [])
        calls.append(Call("reopen", (), {}, front=True))
        return _RecordedFront(engine, calls)

    def written(self, name: str) -> list[str]:
        """The ids of every record that somebody tried to write to an index."""
        given = (
            call.arguments[0]
            for call in self.calls.get(name, [])
            if call.name == "upsert" and call.arguments
        )
        return list(dict.fromkeys(each for part in given for each in part if type(each) is str))

    def clear(self) -> None:
        """Forgets everything."""
        self.calls.clear()
        self.infos.clear()

    def _begin(self, engine: VectorIndex) -> list[Call]:
        info = engine.info
        calls: list[Call] = []
        # An index that is used again becomes the one made last.
        self.calls.pop(info.name, None)
        self.calls[info.name] = calls
        self.infos[info.name] = info
        return calls


class _RecordedFront(Index):
    def __init__(self, engine: VectorIndex, calls: list[Call]) -> None:
        super().__init__(engine)
        self._calls = calls

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name in _RECORDED:
            return _recording(value, name, super().__getattribute__("_calls"), front=True)
        return value


class _RecordedEngine:
    def __init__(self, engine: VectorIndex, calls: list[Call]) -> None:
        self._engine = engine
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._engine, name)
        if name in _RECORDED:
            return _recording(value, name, self._calls, front=False)
        return value


def _kept(value: Any) -> Any:
    """The value as it is now: a test may change what it gave."""
    return value.copy() if isinstance(value, (np.ndarray, list, dict)) else value


def _recording(
    method: Callable[..., Any], name: str, calls: list[Call], *, front: bool
) -> Callable[..., Any]:
    @wraps(method)
    def record(*arguments: Any, **keywords: Any) -> Any:
        kept = tuple(map(_kept, arguments)), {key: _kept(value) for key, value in keywords.items()}
        calls.append(Call(name, *kept, front=front))
        return method(*arguments, **keywords)

    return record
