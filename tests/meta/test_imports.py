"""Who imports whom, and what ``import vecbridge`` costs. ``make lint`` has the wider contracts."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.meta.source import BACKENDS, ROOT, exported, modules, tree

HEAVY = ("faiss", "fiftyone", "pydantic", "pymilvus", "sklearn", "torch", "vecbridge_milvus")
LIGHT = {
    "__future__",
    "_heapq",
    "_string",
    "copy",
    "dataclasses",
    "heapq",
    "numpy",
    "string",
    "threading",
}

EXPORTS = {name: set(exported(path)) for name, path in modules()}
BACKEND_FILES = [path for _, path in modules() if "backends" in path.parts]


@pytest.mark.parametrize("path", BACKEND_FILES, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_a_backend_imports_public_names_of_vecbridge_only(path: Path) -> None:
    private = [
        f"from {module} import {name}"
        for module, name in _imported_names(path)
        if name not in EXPORTS[module]
    ]

    assert private == []


def test_the_check_above_sees_imports() -> None:
    roots = {path.relative_to(ROOT / "backends").parts[0] for path in BACKEND_FILES}
    assert roots == {path.name for path in BACKENDS}
    assert any(list(_imported_names(path)) for path in BACKEND_FILES)


def test_importing_vecbridge_loads_nothing_heavy() -> None:
    loaded = _run("import sys, vecbridge; print(*{name.split('.')[0] for name in sys.modules})")

    assert "numpy" in loaded.split()
    assert set(loaded.split()) & set(HEAVY) == set()


def test_importing_vecbridge_loads_little_beyond_numpy_and_itself() -> None:
    # What it costs is measured in benchmarks/bench_import.py.
    beyond = _run(
        "import sys, numpy; before = set(sys.modules); import vecbridge; "
        "print(*{name.split('.')[0] for name in set(sys.modules) - before})"
    )

    assert set(beyond.split()) - LIGHT == {"vecbridge"}


def _imported_names(path: Path) -> Iterator[tuple[str, str]]:
    """Module and name of each ``from vecbridge... import`` in a file."""
    for node in ast.walk(tree(path)):
        match node:
            case ast.ImportFrom(module=str(module), names=names):
                if module.partition(".")[0] == "vecbridge":
                    yield from ((module, alias.name) for alias in names)


def _run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    ).stdout
