"""The shipped backends, and what stands behind them, keep the contract."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

QUICK = "smoke,semantics,ranking"
DEPLOYMENTS = (
    "sklearn-memory",
    "sklearn-disk",
    "faiss-memory",
    "torch-memory",
    "chroma",
    "qdrant",
    "lancedb",
    "milvus-lite",
    "milvus-server",
    "pgvector",
    "redis",
)
# tests/live/test_oracle.py ranks on the Milvus deployments, where every index takes long to make.
# The records of faiss and torch are those of sklearn in memory; on disk, rankings are.
LAYERS = {
    "sklearn-disk": "smoke,semantics",
    "faiss-memory": "smoke,ranking",
    "torch-memory": "smoke,ranking",
    "chroma": "smoke",
    "qdrant": "smoke",
    "lancedb": "smoke",
    "milvus-lite": "smoke,semantics",
    "milvus-server": "smoke",
    "pgvector": "smoke,semantics",
    "redis": "semantics",
}


def options(label: str, folder: Path, request: pytest.FixtureRequest) -> list[str]:
    if label.endswith("-memory"):
        return []
    if label in {"chroma", "qdrant", "sklearn-disk"}:
        return ["--option", f"path={folder / 'records'}"]
    if label in {"lancedb", "milvus-lite"}:
        return ["--option", f"uri={folder / 'vectors.db'}"]
    place = f"{label}_uri" if label in ("pgvector", "redis") else "milvus_server_uri"
    return ["--option", f"uri={request.getfixturevalue(place)}"]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("label", DEPLOYMENTS)
def test_the_quick_layers_find_nothing(
    label: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    layers = LAYERS.get(label, QUICK)
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
        if each["verdict"] == "broken"
    }

    assert broken == {}
    assert done.returncode == 0, done.stdout[-3000:]
    assert report["totals"]["kept"] > 5
