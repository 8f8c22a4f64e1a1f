"""Writes what a test did as a script that runs when it is pasted."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
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
    """A script that does again what was done to the index made last; empty if there is none.

    Args:
        recorder: what was done.
        folder: where large arrays are kept that the script loads; a new one of the system's by
            default, made where there are any.
    """
    if not recorder.calls:
        return ""
    name = next(reversed(recorder.calls))
    calls = recorder.calls[name]
    writer = _Writer(folder)
    deployment = recorder.deployment
    info = recorder.infos[name]
    lines = [
        f"store = vecbridge.get_backend({deployment.backend!r}{_options(deployment)})",
        'name = f"reproducer_{uuid.uuid4().hex[:8]}"',
        f"index = store.create_index(name, dimension={info.dimension}, metric={info.metric!r}"
        + (f", fields={dict(info.fields)!r}" if info.fields else "")
        + f", consistency={info.consistency!r})",
        *(writer.call(call) for call in _few(calls)),
        "store.drop_index(name)",
    ]
    imports = ["import uuid", "", "import numpy as np", "", "import vecbridge"]
    if "os.environ" in lines[0]:
        imports.insert(0, "import os")
    if any("field(" in line for line in lines):
        imports.append("from vecbridge import field")
    if any(_NO_NUMBER.search(line) for line in lines):
        imports.insert(imports.index("import uuid") + 1, "from math import inf, nan")
    return "\n".join([*imports, "", *lines])


def _few(calls: list[Call]) -> list[Call]:
    """All calls, or the writes and the last few where there are many."""
    if len(calls) <= _MOST_CALLS:
        return calls
    writes = [call for call in calls[:-5] if call.name in {"upsert", "delete"}]
    return [*writes[-_MOST_CALLS:], *calls[-5:]]


def _options(deployment: Deployment) -> str:
    """The options as keywords; a secret is taken from the environment of whoever pastes it."""
    secrets = secret_settings(deployment)
    shown: Mapping[str, str] = {
        key: f'os.environ["VECBRIDGE_{key.upper()}"]'
        if is_secret(key, value, secrets)
        else _plain(value)
        for key, value in deployment.options.items()
    }
    return "".join(f", {key}={value}" for key, value in shown.items())


class _Writer:
    """Writes calls, and keeps large arrays in files."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def call(self, call: Call) -> str:
        if call.name == "reopen":
            return "index = store.open_index(name)"
        given = [self.value(value) for value in call.arguments]
        given += [f"{key}={self.value(value)}" for key, value in call.keywords.items()]
        target = "index" if call.front else "index.engine"
        text = f"{target}.{call.name}({', '.join(given)})"
        if call.name in {"upsert", "delete", "close"}:
            return text
        streams = call.name in {"scan", "neighbors", "neighbors_within"}
        return f"print(list({text}))" if streams else f"print({text})"

    def value(self, value: Any) -> str:
        if isinstance(value, np.ndarray):
            return self._array(value)
        if isinstance(value, (list, tuple)) and len(value) > _MOST_VALUES:
            return f"{self._array(np.array(value))}.tolist()"
        if isinstance(value, (list, tuple)) and any(isinstance(each, np.ndarray) for each in value):
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


def _plain(value: Any) -> str:
    if isinstance(value, Path):
        return repr(str(value))
    if isinstance(value, (set, frozenset)):
        return repr(sorted(value))
    return repr(value)
