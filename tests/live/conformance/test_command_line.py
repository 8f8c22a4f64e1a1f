"""The suite as its users run it: by command and by two lines of pytest, on a store of their own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = '''
"""A store that drops the sign of a zero."""

from vecbridge import Records
from vecbridge_conformance.mutants import ReferenceBackend, ReferenceIndex


class ToyIndex(ReferenceIndex):
    def fetch(self, ids, *, vectors, consistency):
        found = super().fetch(ids, vectors=vectors, consistency=consistency)
        return Records(found.ids, found.vectors + 0.0, found.fields, found.missing)


class ToyBackend(ReferenceBackend):
    name = "toy"
    index_type = ToyIndex
'''
ENTRY = """
[[deviation]]
clause = "READ-3"
kind = "by-design"
reason = "a zero is a zero"
link = "https://example.com/why"
raises = "{raises}"
test = "{test}"
"""
SHOWN = "test_a_vector_comes_back_bit_for_bit"
TWO_LINES = """
from vecbridge_conformance import Deployment, conformance_suite, pytest_plugins
class TestToy(conformance_suite(Deployment("toy"), "smoke", "semantics")): ...
"""


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A folder in which a third party's backend is installed."""
    package = tmp_path / "vecbridge_toy"
    package.mkdir()
    (package / "__init__.py").write_text(PACKAGE)
    registered = tmp_path / "vecbridge_toy-1.0.dist-info"
    registered.mkdir()
    (registered / "METADATA").write_text("Metadata-Version: 2.1\nName: vecbridge-toy\nVersion: 1\n")
    (registered / "entry_points.txt").write_text(
        "[vecbridge.backends]\ntoy = vecbridge_toy:ToyBackend\n"
    )
    return tmp_path


def admit(toy: Path, *, test: str = SHOWN, raises: str = "AssertionError") -> None:
    ledger = toy / "vecbridge_toy" / "deviations.toml"
    ledger.write_text(ENTRY.format(test=test, raises=raises))


def run(toy: Path, *words: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, *words],
        cwd=toy,
        env={**os.environ, "PYTHONPATH": str(toy), "COLUMNS": "200"},
        check=False,
        capture_output=True,
        text=True,
        timeout=200,
    )
    return done.returncode, done.stdout + done.stderr


def command(toy: Path, *words: str) -> tuple[int, str]:
    return run(toy, "-m", "vecbridge_conformance", *words)


def test_a_failure_names_the_clause_and_gives_a_script_that_shows_it(toy: Path) -> None:
    code, shown = command(toy, "run", "toy", "-k", SHOWN, "--report", "reports")

    assert code == 1
    assert "toy does not conform" in shown
    assert "READ-3. A vector comes back bit for bit as REC-4 converted it" in shown
    assert "Look for normalising" in shown
    script = shown.partition("run this:\n")[2].partition("store.drop_index(name)")[0]
    code, printed = run(toy, "-c", script)
    assert code == 0, printed
    assert "Records(" in printed
    report = json.loads((toy / "reports" / "toy.json").read_text())
    assert report["clauses"]["READ-3"]["verdict"] == "broken"
    assert report["partial"]


def test_a_property_that_fails_gives_a_small_example_as_a_script(toy: Path) -> None:
    code, shown = command(toy, "run", "toy", "-k", "test_records_come_back_bit_for_bit")

    assert code == 1
    assert "READ-3. A vector comes back bit for bit" in shown
    assert "Look at types and encodings" in shown
    assert re.search(r"vector \d: expected \[.*-0.0.*\], got", shown)
    script = shown.partition("run this:\n")[2].partition("store.drop_index(name)")[0]
    calls = [line for line in script.splitlines() if "index.upsert" in line]
    assert len(calls) == 1
    assert calls[0].count("-0.0") == 1
    assert calls[0].count("], [") <= 1, "there are more records than it takes"
    code, printed = run(toy, "-c", script)
    assert code == 0, printed
    assert "Records(" in printed


def test_a_clause_that_was_tested_in_part_is_named_beside_those_that_pass(toy: Path) -> None:
    # The store offers strong reads only, so it cannot show that a weaker one would be seen.
    words = "test_threads_on_one_index or test_a_strong_read_sees"
    code, shown = command(toy, "run", "toy", "-k", words)

    assert code == 0, shown
    assert re.search(r"│ kept +│ 5 +│ in part: WRITE-7 CONS-1 +│", shown), shown


def test_an_admitted_deviation_conforms_and_is_shown_as_one(toy: Path) -> None:
    admit(toy)

    code, shown = command(toy, "run", "toy", "-k", SHOWN, "--report", "reports")
    assert code == 0, shown
    assert "semantics is through; so far 1 known" in shown, "a pipe is told of progress too"
    report = json.loads((toy / "reports" / "toy.json").read_text())
    assert report["clauses"]["READ-3"]["verdict"] == "known"
    assert report["clauses"]["READ-3"]["reason"] == (
        "by-design: a zero is a zero (https://example.com/why)"
    )


def test_a_deviation_of_another_error_fails(toy: Path) -> None:
    admit(toy, raises="KeyError")

    assert command(toy, "run", "toy", "-k", SHOWN)[0] == 1


def test_a_deviation_that_nothing_shows_any_more_fails(toy: Path) -> None:
    passing = "test_fetch_answers_in_the_order_of_the_request"
    ledger = ENTRY.format(test=passing, raises="AssertionError").replace("READ-3", "READ-1")
    (toy / "vecbridge_toy" / "deviations.toml").write_text(ledger)

    code, shown = command(toy, "run", "toy", "-k", passing)
    assert code == 1
    assert "Remove the entry" in shown


def test_a_run_that_is_stopped_was_a_part_of_the_suite(toy: Path) -> None:
    stopping = PACKAGE.replace("found = super()", "raise KeyboardInterrupt; found = super()")
    (toy / "vecbridge_toy" / "__init__.py").write_text(stopping)

    code, shown = command(toy, "run", "toy")
    assert code == 1
    assert "in what was run, which is a part of the suite" in shown


def test_a_ledger_that_is_wrong_is_an_error_of_usage(toy: Path) -> None:
    (toy / "vecbridge_toy" / "deviations.toml").write_text("[[deviation]]\nclause = 'READ-3'\n")

    code, shown = command(toy, "run", "toy", "--layer", "smoke")
    assert code == 2
    assert "vecbridge_toy/deviations.toml, entry 1" in shown


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["run", "no_such_store"], "no_such_store"),
        (["run", "toy", "--option", "colour=red"], "colour"),
        (["run", "toy", "--option", "path"], "KEY=VALUE"),
        (["run", "toy", "--layer", "smooth"], "smooth"),
        (["run"], "required"),
        (["explain", "NONSENSE-1"], "no clause 'NONSENSE-1'"),
        (["compare", "a.json", "b.json"], "a.json"),
        (["dance"], "dance"),
    ],
)
def test_a_command_that_cannot_be_followed_says_why(
    toy: Path, words: list[str], complaint: str
) -> None:
    code, shown = command(toy, *words)

    assert code == 2, shown
    assert complaint in shown
    assert "Traceback" not in shown


def test_explain_shows_the_clause_and_its_tests(toy: Path) -> None:
    code, shown = command(toy, "explain", "search-3")

    assert code == 0
    assert "There is no padding." in shown
    assert "test_an_answer_is_never_padded" in shown


def test_compare_shows_where_two_reports_differ(toy: Path) -> None:
    command(toy, "run", "toy", "-k", SHOWN, "--label", "before", "--report", "reports")
    admit(toy)
    command(toy, "run", "toy", "-k", SHOWN, "--label", "after", "--report", "reports")

    code, shown = command(toy, "compare", "reports/before.json", "reports/after.json")
    assert code == 1
    assert "READ-3" in shown
    assert "2 of" in shown
    page = (toy / "reports" / "matrix.md").read_text()
    matrix = re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", page)
    assert "| clause | after | before |" in matrix
    assert "| READ-3 | △ known | ✗ broken |" in matrix


def test_two_lines_of_pytest_run_the_suite(toy: Path) -> None:
    (toy / "test_toy.py").write_text(TWO_LINES)

    code, shown = run(
        toy, "-m", "pytest", "-q", "test_toy.py", "-k", f"{SHOWN} or smoke or deleted"
    )
    assert code == 1
    assert f"FAILED test_toy.py::TestToy::{SHOWN}" in shown
    assert "READ-3. A vector comes back bit for bit" in shown
    assert "1 failed" in shown
    admit(toy)
    code, shown = run(toy, "-m", "pytest", "-q", "test_toy.py", "-k", f"{SHOWN} or deleted")
    assert code == 0, shown
    assert "1 xfailed" in shown


def test_a_test_of_the_suite_cannot_be_overridden(toy: Path) -> None:
    hidden = f"class TestToy(conformance_suite(Deployment('toy'))):\n    {SHOWN} = None\n"
    (toy / "test_toy.py").write_text(TWO_LINES.splitlines()[1] + "\n" + hidden)

    code, shown = run(toy, "-m", "pytest", "-q", "test_toy.py")
    assert code == 2
    assert "cannot be overridden" in shown


def test_neither_the_folder_that_it_is_run_in_nor_the_environment_has_a_say(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The suite runs without the plugin that has this option.
    monkeypatch.setenv("PYTEST_ADDOPTS", "--junitxml=other.xml")
    (toy / "tests").mkdir()
    (toy / "tests" / "conftest.py").write_text(
        "def pytest_collection_modifyitems(items):\n    items.clear()\n"
    )

    code, shown = command(toy, "run", "toy", "-k", "test_fetch_answers_in_the_order_of_the_request")
    assert code == 0, shown
    assert "toy conforms in what was run" in shown
