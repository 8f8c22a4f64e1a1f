"""The life of a package that is not ours: built, installed from its wheel, tested by the suite."""

from __future__ import annotations

import json
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from tests.packaging.conftest import ROOT, Artifacts, Installation, checked
from tests.servers.postgres import PASSWORD, PostgresServer

PACKAGE = ROOT / "examples" / "vecbridge-postgres"
LAYERS = "smoke,semantics,ranking"


@pytest.fixture(scope="module")
def stranger(artifacts: Artifacts, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An environment with the two wheels and what they ask for, and nothing of the repository."""
    folder = tmp_path_factory.mktemp("stranger")
    checked([sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(PACKAGE)])
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / "bin" / "python"
    (wheel,) = folder.glob("*.whl")
    install = [str(python), "-m", "pip", "install", "--quiet"]
    checked([*install, f"{artifacts.wheel}[conformance]", str(wheel)])
    return Installation(python, folder)


def test_the_worked_backend_is_found_by_its_name(stranger: Installation) -> None:
    done = stranger.run("-c", "import vecbridge; print('postgres' in vecbridge.backend_names())")

    assert done.stdout == "True\n", done.stderr


@pytest.mark.timeout(400)
def test_the_worked_backend_conforms_and_its_report_can_be_read(
    stranger: Installation, postgres: PostgresServer
) -> None:
    options = ["--layer", LAYERS, "--report", "reports"]
    for word in ("host=127.0.0.1", f"port={postgres.port}", f"password={PASSWORD}"):
        options += ["--option", word]
    done = stranger.run("-m", "vecbridge_conformance", "run", "postgres", *options, timeout=300)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "postgres conforms in what was run" in done.stdout
    report = _report(stranger.folder / "reports" / "postgres.json")
    assert report["conforms"]
    assert report["partial"]
    assert {"psycopg", "vecbridge", "vecbridge-postgres"} <= set(report["versions"])
    verdicts = {each["verdict"] for each in report["clauses"].values()}
    assert verdicts == {"kept", "vacuous", "not run"}
    assert report["clauses"]["RANK-3"]["verdict"] == "kept"


def test_the_packages_own_two_lines_run_the_suite(
    stranger: Installation, postgres: PostgresServer
) -> None:
    test = stranger.folder / "test_conformance.py"
    place = {"host": "127.0.0.1", "port": postgres.port, "password": PASSWORD}
    lines = (PACKAGE / "tests" / test.name).read_text(encoding="utf-8")
    told = lines.replace('Deployment("postgres")', f'Deployment("postgres", {place})')
    test.write_text(told, encoding="utf-8")
    words = "every_method_of_the_protocol or written_counted_and_found"
    done = stranger.run("-m", "pytest", "-q", str(test), "-k", words)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


def _report(file: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return report
