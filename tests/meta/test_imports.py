"""Who imports whom, and what ``import vecbridge`` costs. ``make lint`` has the wider contracts."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.meta.source import BACKENDS, exported, modules, tree

HEAVY = ("faiss", "fiftyone", "pydantic", "pymilvus", "sklearn", "torch", "vecbridge_milvus")
MOST_TIMES_NUMPY = 1.5

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
    assert {path.parent.name for path in BACKEND_FILES} == {path.name for path in BACKENDS}
    assert any(list(_imported_names(path)) for path in BACKEND_FILES)


def test_importing_vecbridge_loads_nothing_heavy() -> None:
    loaded = _run("import sys, vecbridge; print(*{name.split('.')[0] for name in sys.modules})")

    assert "numpy" in loaded.split()
    assert set(loaded.split()) & set(HEAVY) == set()


def test_importing_vecbridge_costs_at_most_half_more_than_numpy() -> None:
    # The least of several runs is the cost; the rest is what else the machine was doing.
    numpy_times, our_times = [], []
    for _ in range(3):
        for _ in range(5):
            numpy_times.append(_import_seconds("numpy"))
            our_times.append(_import_seconds("vecbridge"))
        if min(our_times) <= MOST_TIMES_NUMPY * min(numpy_times):
            return

    ratio = min(our_times) / min(numpy_times)
    pytest.fail(f"import vecbridge takes {ratio:.2f} times import numpy")


def _imported_names(path: Path) -> Iterator[tuple[str, str]]:
    """Module and name of each ``from vecbridge... import`` in a file."""
    for node in ast.walk(tree(path)):
        match node:
            case ast.ImportFrom(module=str(module), names=names):
                if module.partition(".")[0] == "vecbridge":
                    yield from ((module, alias.name) for alias in names)


def _import_seconds(module: str) -> float:
    return float(
        _run(
            "from time import perf_counter; start = perf_counter(); "
            f"import {module}; print(perf_counter() - start)"
        )
    )


def _run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    ).stdout
