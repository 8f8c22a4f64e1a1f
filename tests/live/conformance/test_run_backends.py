"""The shipped backends, and what stands behind them, keep the contract."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

QUICK = "smoke,semantics,ranking"
DEPLOYMENTS = ("sklearn-memory", "sklearn-disk", "milvus-lite", "milvus-server")


def options(label: str, folder: Path, request: pytest.FixtureRequest) -> list[str]:
    if label == "sklearn-memory":
        return []
    if label == "sklearn-disk":
        return ["--option", f"path={folder / 'records'}"]
    if label == "milvus-lite":
        return ["--option", f"uri={folder / 'vectors.db'}"]
    return ["--option", f"uri={request.getfixturevalue('milvus_server_uri')}"]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("label", DEPLOYMENTS)
def test_the_quick_layers_find_nothing(
    label: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    # On a server, where an index takes seconds to make, the layers of one caller are sampled.
    layers = "smoke,ranking" if label == "milvus-server" else QUICK
    backend = label.partition("-")[0]
    where = ["--layer", layers, "--label", label, "--report", str(tmp_path / "reports")]
    where += options(label, tmp_path, request)
    done = subprocess.run(
        [sys.executable, "-m", "vecbridge_conformance", "run", backend, *where],
        check=False,
        capture_output=True,
        text=True,
        timeout=580,
    )
    report: dict[str, Any] = json.loads((tmp_path / "reports" / f"{label}.json").read_text())
    broken = {
        name: each["reason"]
        for name, each in report["clauses"].items()
        if each["verdict"] == "fail"
    }

    assert broken == {}
    assert done.returncode == 0, done.stdout[-3000:]
    assert report["totals"]["pass"] > 25
