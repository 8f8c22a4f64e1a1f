"""Writes what a test did as a script that runs when it is pasted."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from vecbridge_conformance._deployment import Deployment
from vecbridge_conformance._recorder import Call, Recorder
from vecbridge_conformance._secrets import is_secret, secret_settings

_MOST_VALUES = 600
_MOST_CALLS = 40
_NO_NUMBER = re.compile(r"\b(inf|nan)\b")


def reproducer(recorder: Recorder, folder: Path | None = None) -> str:
    """Return a script that does again what was done to the index made last; empty if there is none.

    Args:
        recorder: what was done.
        folder: where large arrays are kept that the script loads; a new one of the system's by
            default, made where there are any.
    """
    if not recorder.calls:
        return ""
    name = next(reversed(recorder.calls))
    calls = recorder.calls[name]
    writer = _Writer(folder, name)
    deployment = recorder.deployment
    options, left_out = _options(deployment)
    lines = [
        *(f"# First set {variable}, which is not shown here." for variable in left_out),
        f"store = vecbridge.get_backend({deployment.backend!r}{options})",
    ]
    if name:
        info = recorder.infos[name]
        lines += [
            'name = f"reproducer_{uuid.uuid4().hex[:8]}"',
            f"index = store.create_index(name, dimension={info.dimension}, metric={info.metric!r}"
            + (f", fields={dict(info.fields)!r}" if info.fields else "")
            + f", consistency={info.consistency!r})",
        ]
    lines += map(writer.call, _few(calls))
    # A call that raises is the last one that was recorded: what comes after it cleans up.
    lines += ["store.drop_index(name)"] if name else []
    imports = ["import uuid", "", "import numpy as np", "", "import vecbridge"]
    if any("field(" in line for line in lines):
        imports.append("from vecbridge import field")
    if any(_NO_NUMBER.search(line) for line in lines):
        imports.insert(imports.index("import uuid") + 1, "from math import inf, nan")
    return "\n".join([*imports, "", *lines])


def _few(calls: list[Call]) -> list[Call]:
    """Return all calls, or the writes and the last few where there are many."""
    if len(calls) <= _MOST_CALLS:
        return calls
    writes = [call for call in calls[:-5] if call.name in {"upsert", "delete"}]
    return [*writes[-_MOST_CALLS:], *calls[-5:]]


def _options(deployment: Deployment) -> tuple[str, list[str]]:
    """Return the options as keywords, and the variables that hold the backend's secrets."""
    secrets = secret_settings(deployment)
    hidden = [key for key, value in deployment.options.items() if is_secret(key, value, secrets)]
    shown = {key: value for key, value in deployment.options.items() if key not in hidden}
    prefix = f"FIFTYONE_BRAIN_SIMILARITY_{deployment.backend.upper()}_"
    return (
        "".join(f", {key}={_plain(value)}" for key, value in shown.items()),
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
