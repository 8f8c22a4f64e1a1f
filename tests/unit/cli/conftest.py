"""The command line, run in this process."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecbridge
from vecbridge.cli import main


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        # A program is shown no progress.
        assert self.err == ""
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def ran(*words: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["vecbridge", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return Ran(int(ended.value.code or 0), printed.out, printed.err)

    return ran


@pytest.fixture(autouse=True)
def no_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No settings of the machine that runs the tests; the file that commands read instead."""
    path = tmp_path / "brain_config.json"
    monkeypatch.setenv("FIFTYONE_BRAIN_CONFIG_PATH", str(path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store of scikit-learn's with one index: the corners of a square."""
    path = tmp_path / "store"
    with vecbridge.get_backend("sklearn", path=path) as store:
        index = store.create_index(
            "corners", dimension=2, metric="euclidean", fields={"name": "string"}
        )
        vectors = np.array([[0, 0], [3, 4], [0, 4], [3, 0]], dtype=np.float32)
        index.upsert(["a", "[b]", "c", "d"], vectors, {"name": ["A", "B", "C", "D"]})
    return path
