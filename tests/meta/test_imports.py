"""Who imports whom, and what ``import vecbridge`` costs. ``make lint`` has the wider contracts."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import vecbridge
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

AT_ONCE = """
import sys, threading, vecbridge
sys.setswitchinterval(1e-5)
failed, names = [], vecbridge.__all__
gate = threading.Barrier(len(names))

def use(name):
    gate.wait()
    try:
        getattr(vecbridge, name)
    except Exception as error:
        failed.append(error)

threads = [threading.Thread(target=use, args=(name,)) for name in names]
for each in threads:
    each.start()
for each in threads:
    each.join()
print(failed)
"""

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

    assert set(loaded.split()) & {*HEAVY, "numpy"} == set()


def test_what_vecbridge_gives_loads_little_beyond_numpy_and_itself() -> None:
    # What it costs is measured in benchmarks/bench_import.py.
    beyond = _run(
        "import sys, numpy; before = set(sys.modules); from vecbridge import *; "
        "print(*{name.split('.')[0] for name in set(sys.modules) - before})"
    )

    assert set(beyond.split()) - LIGHT == {"vecbridge"}


def test_names_are_the_same_at_run_time_as_for_type_checkers() -> None:
    checked = [
        (module, name)
        for node in tree(ROOT / "vecbridge" / "__init__.py").body
        if isinstance(node, ast.If)
        for module, name in _froms(node)
    ]

    assert checked
    for module, name in checked:
        assert getattr(vecbridge, name) is getattr(import_module(module), name)


def test_every_name_is_listed_before_its_first_use() -> None:
    missing = _run("import vecbridge; print(*{*vecbridge.__all__} - {*dir(vecbridge)})")

    assert missing.split() == []


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'vecbridge' has no attribute 'Vector'"):
        _ = vecbridge.Vector  # type: ignore[attr-defined]


def test_threads_may_use_names_first_at_once() -> None:
    assert _run(AT_ONCE).split() == ["[]"]


def _imported_names(path: Path) -> Iterator[tuple[str, str]]:
    """Module and name of each ``from vecbridge... import`` in a file."""
    return _froms(tree(path))


def _froms(root: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(root):
        match node:
            case ast.ImportFrom(module=str(module), names=names):
                if module.partition(".")[0] == "vecbridge":
                    yield from ((module, alias.name) for alias in names)


def _run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    ).stdout
