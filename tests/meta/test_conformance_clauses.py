"""The contract and the suite are held together: no clause without a test, no test without one."""

from __future__ import annotations

import importlib
import inspect
import re
from typing import Any

import pytest

from tests.meta.source import ROOT
from vecbridge_conformance import LAYERS, cases, clauses, mark_of

FUNCTIONS = {case.name: case.function for case in cases()}
MODULES = [
    importlib.import_module(name)
    for name in dict.fromkeys(function.__module__ for function in FUNCTIONS.values())
]


def test_the_suite_ships_the_contract_of_the_documentation() -> None:
    shipped = ROOT / "conformance" / "vecbridge_conformance" / "contract.md"

    assert shipped.read_bytes() == (ROOT / "docs" / "contract.md").read_bytes()


def test_every_clause_of_the_contract_has_a_test() -> None:
    cited = {name for function in FUNCTIONS.values() for name in mark_of(function).clauses}

    assert sorted(clauses().keys() - cited) == []


def test_every_test_of_the_suite_cites_a_clause() -> None:
    assert [name for name, function in FUNCTIONS.items() if not mark_of(function).clauses] == []


def test_every_test_of_the_suite_says_what_to_look_at() -> None:
    silent = [name for name, each in FUNCTIONS.items() if "Look " not in (each.__doc__ or "")]

    assert silent == []


def test_every_layer_has_a_module() -> None:
    assert {case.layer for case in cases()} == set(LAYERS)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_a_module_of_the_suite_works_as_functions_alone(module: Any) -> None:
    # The class that authors derive from takes over functions: fixtures and classes would be lost.
    assert module.__doc__
    for name, value in vars(module).items():
        assert not name.startswith("Test"), name
        assert not hasattr(value, "_fixture_function_marker"), name


@pytest.mark.parametrize("name", FUNCTIONS)
def test_nothing_in_the_suite_is_skipped_or_expected_to_fail(name: str) -> None:
    marks = {mark.name for mark in getattr(FUNCTIONS[name], "pytestmark", [])}

    assert marks & {"skip", "skipif", "xfail"} == set()
    assert "harness" in inspect.signature(FUNCTIONS[name]).parameters


def test_the_suite_imports_no_backend_and_nothing_private_of_the_core() -> None:
    folder = ROOT / "conformance" / "vecbridge_conformance"
    wrong = [
        f"{path.relative_to(folder)}: {line.strip()}"
        for path in sorted(folder.rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if _is_forbidden(line)
    ]

    assert wrong == []


def test_the_report_that_the_documentation_explains_holds_for_any_number_of_clauses() -> None:
    page = (ROOT / "docs" / "how-to" / "read-a-conformance-report.md").read_text(encoding="utf-8")
    sample = page.split("```")[1]

    assert re.findall(r"^postgres: (\S+) clauses$", sample, flags=re.MULTILINE) == ["…"]
    assert set(re.findall(r"[A-Z]+-\d+", sample)) <= clauses().keys()


def _is_forbidden(line: str) -> bool:
    words = line.split()
    if len(words) < 2 or words[0] not in {"from", "import"}:
        return False
    package, _, rest = words[1].partition(".")
    if package == "vecbridge":
        return rest.startswith("_")
    return package.startswith("vecbridge_") and package != "vecbridge_conformance"
