"""Writes what a test did as a script that runs when it is pasted."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from vecbridge_conformance._recorder import Call, Recorder

_MOST_VALUES = 600
_MOST_CALLS = 40


def reproducer(recorder: Recorder) -> str:
    """A script that does again what was done to the index made last; empty if there is none."""
    if not recorder.calls:
        return ""
    name = next(reversed(recorder.calls))
    calls = recorder.calls[name]
    writer = _Writer()
    deployment = recorder.deployment
    info = recorder.infos[name]
    options = "".join(f", {key}={_plain(value)}" for key, value in deployment.options.items())
    lines = [
        f"store = vecbridge.get_backend({deployment.backend!r}{options})",
        'name = f"reproducer_{uuid.uuid4().hex[:8]}"',
        f"index = store.create_index(name, dimension={info.dimension}, metric={info.metric!r}"
        + (f", fields={dict(info.fields)!r}" if info.fields else "")
        + f", consistency={info.consistency!r})",
        *(writer.call(call) for call in _few(calls)),
        "store.drop_index(name)",
    ]
    imports = ["import uuid", "", "import numpy as np", "", "import vecbridge"]
    if any("field(" in line for line in lines):
        imports.append("from vecbridge import field")
    return "\n".join([*imports, "", *lines])


def _few(calls: list[Call]) -> list[Call]:
    """All calls, or the writes and the last few where there are many."""
    if len(calls) <= _MOST_CALLS:
        return calls
    writes = [call for call in calls[:-5] if call.name in {"upsert", "delete"}]
    return [*writes[-_MOST_CALLS:], *calls[-5:]]


class _Writer:
    """Writes calls, and keeps large arrays in files."""

    def call(self, call: Call) -> str:
        if call.name == "reopen":
            return "index = store.open_index(name)"
        given = [self.value(value) for value in call.arguments]
        given += [f"{key}={self.value(value)}" for key, value in call.keywords.items()]
        target = "index" if call.front else "index.engine"
        text = f"{target}.{call.name}({', '.join(given)})"
        if call.name in {"upsert", "delete", "close"}:
            return text
        return f"print(list({text}))" if call.name == "scan" else f"print({text})"

    def value(self, value: Any) -> str:
        if isinstance(value, np.ndarray):
            return self._array(value)
        if isinstance(value, (list, tuple)) and len(value) > _MOST_VALUES:
            return f"{self._array(np.array(value))}.tolist()"
        return _plain(value)

    def _array(self, array: Any) -> str:
        if array.size <= _MOST_VALUES and array.dtype.kind in "fiu":
            literal = f"np.array({array.tolist()!r}, dtype={array.dtype.name!r})"
            return literal.replace("nan", "np.nan").replace("inf", "np.inf")
        with tempfile.NamedTemporaryFile(
            prefix="vecbridge-reproducer-", suffix=".npy", delete=False
        ) as file:
            np.save(file, array)
        return f"np.load({str(Path(file.name))!r})"


def _plain(value: Any) -> str:
    if isinstance(value, Path):
        return repr(str(value))
    if isinstance(value, (set, frozenset)):
        return repr(sorted(value))
    return repr(value)
