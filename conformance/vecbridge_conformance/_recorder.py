"""Remember what a test did to its indexes, and write it as a script that runs when pasted."""

from __future__ import annotations

import contextlib
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, cast

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
_MOST_VALUES = 600
_MOST_CALLS = 40
_NAMES = {
    "Scope(": "from vecbridge import Scope",
    "parse(": "from vecbridge.filters import parse",
}
_NO_NUMBER = re.compile(r"\b(inf|nan)\b")
_OF_STORES = frozenset({"create_index", "open_index", "drop_index", "index_names"})


class Call(NamedTuple):
    """One call of a method.

    Attributes:
        name: of the method.
        arguments: by position.
        keywords: by name.
        target: whose method: ``index``, ``index.engine`` or ``store``.
    """

    name: str
    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = MappingProxyType({})
    target: str = "index"


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
        return _RecordedIndex(engine, self, self._begin(engine))

    def engine(self, engine: VectorIndex) -> VectorIndex:
        """Return an engine that remembers its calls."""
        return cast("VectorIndex", _RecordedEngine(engine, self, self._begin(engine)))

    def reopened(self, engine: VectorIndex) -> Index:
        """Return an index over a new connection, whose calls go on after the old one's."""
        calls = self.calls.setdefault(engine.info.name, [])
        calls.append(Call("reopen"))
        return _RecordedIndex(engine, self, calls)

    def script(self, folder: Path | None = None) -> str:
        """Return a script that does again what was done to the index made last; may be empty.

        Args:
            folder: where large arrays are kept that the script loads; a new one of the system's
                by default, made where there are any.
        """
        if not self.calls:
            return ""
        name = next(reversed(self.calls))
        calls = self.calls[name]
        writer = _Writer(folder, name)
        options, left_out = _options(self.deployment)
        lines = [
            *(f"# First set {variable}, which is not shown here." for variable in left_out),
            f"store = vecbridge.get_backend({self.deployment.backend!r}{options})",
        ]
        if name:
            info = self.infos[name]
            schema = f"dimension={info.dimension}, metric={info.metric!r}"
            schema += f", fields={dict(info.fields)!r}" if info.fields else ""
            schema += f", consistency={info.consistency!r}"
            lines += [
                'name = f"reproducer_{uuid.uuid4().hex[:8]}"',
                f"index = store.create_index(name, {schema})",
            ]
        lines += map(writer.call, _few(calls))
        # A call that raises is the last one that was recorded: what comes after it cleans up.
        lines += ["store.drop_index(name)"] if name else []
        imports = ["import uuid", "", "import numpy as np", "", "import vecbridge"]
        imports += [name for mark, name in _NAMES.items() if any(mark in line for line in lines)]
        if any("datetime." in line for line in lines):
            imports.insert(0, "import datetime")
        if any(_NO_NUMBER.search(line) for line in lines):
            imports.insert(imports.index("import uuid") + 1, "from math import inf, nan")
        return "\n".join([*imports, "", *lines])

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
        def call(*arguments: Any, **keywords: Any) -> Any:
            answer = recorded(*arguments, **keywords)
            if isinstance(answer, Index):
                recorder.opened(answer)
            return answer

        return call


class _RecordedIndex(Index):
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


def _copied(value: Any) -> Any:
    """Return the value as it is now: a test may change what it gave."""
    return value.copy() if isinstance(value, (np.ndarray, list, dict)) else value


def _recording(
    method: Callable[..., Any], name: str, recorder: Recorder, calls: list[Call], target: str
) -> Callable[..., Any]:
    @wraps(method)
    def record(*arguments: Any, **keywords: Any) -> Any:
        named = {key: _copied(value) for key, value in keywords.items()}
        call = Call(name, tuple(map(_copied, arguments)), named, target)
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


def _few(calls: list[Call]) -> list[Call]:
    """Return all calls, or the writes and the last few where there are many."""
    if len(calls) <= _MOST_CALLS:
        return calls
    writes = [call for call in calls[:-5] if call.name in {"upsert", "delete"}]
    return [*writes[-_MOST_CALLS:], *calls[-5:]]


def _options(deployment: Deployment) -> tuple[str, list[str]]:
    """Return the options as keywords, and the variables that hold the backend's secrets."""
    hidden = deployment.hidden_options()
    visible = {key: value for key, value in deployment.options.items() if key not in hidden}
    prefix = f"FIFTYONE_BRAIN_SIMILARITY_{deployment.backend.upper()}_"
    return (
        "".join(f", {key}={_plain(value)}" for key, value in visible.items()),
        [f"{prefix}{key.upper()}" for key in hidden],
    )


class _Writer:
    """Writes calls, and keeps large arrays in files."""

    def __init__(self, folder: Path | None, name: str = "") -> None:
        self._folder = folder
        self._name = name

    def call(self, call: Call) -> str:
        if call.name == "reopen":
            return "index = store.open_index(name)"
        given = [self.value(value) for value in call.arguments]
        given += [f"{key}={self.value(value)}" for key, value in call.keywords.items()]
        if call.target == "store" and call.arguments and call.arguments[0] == self._name:
            given[0] = "name"
        text = f"{call.target}.{call.name}({', '.join(given)})"
        if call.name in {"upsert", "delete", "close", "create_index", "drop_index"}:
            return text
        streams = call.name in {"scan", "neighbors", "neighbors_within"}
        return f"print(list({text}))" if streams else f"print({text})"

    def value(self, value: Any) -> str:
        if isinstance(value, np.ndarray):
            return self._array(value)
        if isinstance(value, (list, tuple)) and len(value) > _MOST_VALUES:
            return f"{self._array(np.array(value))}.tolist()"
        if isinstance(value, (list, tuple)) and any(map(_holds_values, value)):
            return f"[{', '.join(map(self.value, value))}]"
        return _plain(value)

    def _array(self, array: Any) -> str:
        if array.size <= _MOST_VALUES and array.dtype.kind in "fiu":
            return f"np.array({array.tolist()!r}, dtype={array.dtype.name!r})"
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="vecbridge-reproducer-"))
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            prefix="array-", suffix=".npy", dir=self._folder, delete=False
        ) as file:
            np.save(file, array)
        return f"np.load({str(Path(file.name).absolute())!r})"


def _holds_values(value: Any) -> bool:
    """Return whether it is an array, or a list that may be too long to be shown."""
    return isinstance(value, np.ndarray) or (
        isinstance(value, (list, tuple)) and len(value) > _MOST_VALUES
    )


def _plain(value: Any) -> str:
    if isinstance(value, Path):
        return repr(str(value))
    if isinstance(value, (set, frozenset)):
        return repr(sorted(value))
    return repr(value)
