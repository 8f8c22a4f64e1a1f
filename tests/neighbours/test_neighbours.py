"""The wrappers work, so that what the page says is about what they wrap."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.neighbours._page import NOT_OFFERED, cell, changed


@pytest.fixture
def report(fiftyone_env: dict[str, str], tmp_path: Path) -> dict[str, Any]:
    """Return what the suite finds in a few tests of FiftyOne's Milvus backend on Milvus Lite."""
    from tests.neighbours.__main__ import ROOT

    label = "fiftyone-milvus-lite"
    words = "replaces_the_record or engine_itself or within_leaves or no_ceiling or written_counted"
    options = ["--layer", "smoke,semantics", "--report", str(tmp_path), "-k", words, "--inside"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.neighbours", label, *options],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=200,
    )
    file = tmp_path / f"{label}.json"
    assert file.exists(), done.stdout + done.stderr
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def test_a_neighbour_is_told_what_it_keeps_what_differs_and_what_it_lacks(
    report: dict[str, Any],
) -> None:
    assert report["versions"]["fiftyone-brain"]
    assert cell(report, "WRITE-1").verdict in {"kept", NOT_OFFERED}
    assert cell(report, "CAND-7").verdict == "broken"
    lacking = cell(report, "SEARCH-4")
    assert lacking.verdict == NOT_OFFERED
    assert "Milvus does not support" in lacking.reason
    assert cell(report, "RANK-8").verdict == "not run"


def test_a_script_of_the_page_runs_as_it_stands(
    fiftyone_env: dict[str, str], tmp_path: Path
) -> None:
    script = Path(__file__).with_name("reproducers") / "milvus.txt"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script.read_text(encoding="utf-8")],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=200,
    )

    assert done.returncode == 0, done.stderr
    assert "distances of the origin to 1, 2 and 3: [1.0, 4.0, 9.0]" in done.stdout
    assert "removing with a check: unhashable type" in done.stdout


def _report(label: str, verdict: str, suite: str = "1") -> dict[str, Any]:
    test = {"test": "test_it", "clauses": ["REC-1"], "verdict": verdict, "reason": "AssertionError"}
    clause = {"REC-1": {"verdict": verdict}}
    return {
        "label": label,
        "suite": suite,
        "seconds": {"smoke": 1},
        "tests": [test],
        "clauses": clause,
    }


def test_two_versions_are_compared_where_the_same_tests_were_run() -> None:
    older = [_report("fiftyone-redis", "broken")]
    assert "| fiftyone-redis | 1 of 1 | REC-1 ✗ → ✓ |" in changed(
        older, [_report("fiftyone-redis-0.27", "kept")]
    )
    assert "| fiftyone-redis | 0 of 1 | none |" in changed(
        older, [_report("fiftyone-redis-0.27", "broken")]
    )
    (line,) = changed(older, [_report("fiftyone-redis-0.27", "kept", suite="2")])[2:-1]
    assert "not compared" in line
