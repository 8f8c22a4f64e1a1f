"""What the tests of the local store share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vecbridge.local import LocalStore, LocalTable

ROOT = Path(__file__).parents[3]


def vectors(count: int, dimension: int = 4, seed: int = 0) -> Any:
    """Random float32 vectors."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, dimension)).astype(np.float32)


def named(count: int, start: int = 0) -> list[str]:
    """Distinct ids."""
    return [f"id{number}" for number in range(start, start + count)]


def new_table(
    path: Path | None, dimension: int = 4, fields: Any = None, **options: Any
) -> LocalTable:
    """A fresh index called ``t``, with a store of its own that has these options."""
    store = LocalStore(path, backend="test", **options)
    return store.create("t", dimension=dimension, metric="euclidean", fields=fields)


def reader(path: Path, **options: Any) -> LocalTable:
    """The index ``t`` through another connection, as another process has it."""
    return LocalStore(path, backend="test", **options).open("t")


def contents(table: LocalTable) -> dict[str, bytes]:
    """Every record: id to the bits of its vector; a record that comes twice fails."""
    found: dict[str, bytes] = {}
    for records in table.scan(7):
        for name, vector in zip(records.ids, records.vectors, strict=True):
            assert name not in found
            found[name] = vector.tobytes()
    return found


def as_model(ids: list[str], matrix: Any) -> dict[str, bytes]:
    """What :func:`contents` should find."""
    return {name: vector.tobytes() for name, vector in zip(ids, matrix, strict=True)}


def run(code: str, *arguments: object, env: Mapping[str, str] | None = None) -> str:
    """Runs Python code in another process and returns what it printed."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False, env=env
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
