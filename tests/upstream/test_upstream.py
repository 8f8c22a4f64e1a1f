"""FiftyOne's own tests of similarity, with every store of ours as the backend.

``make test-upstream FILES="..."`` names their files, of checkouts of fiftyone and fiftyone-brain:
the files are not in this repository. Each store gets a process of its own, where it is the default
backend and the only custom one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FILES = os.environ.get("VECBRIDGE_UPSTREAM_FILES", "").split()
ROOT = Path(__file__).parents[2]
STORES = [
    "vecbridge_sklearn",
    "vecbridge_faiss",
    "vecbridge_torch",
    "vecbridge_chroma",
    "milvus-lite",
    "milvus-server",
    "pgvector",
    "qdrant",
    "lancedb",
    "redis",
]


def settings(store: str, folder: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
    """What leads to a store, as FiftyOne's configuration names it."""
    if store == "milvus-server":
        return {"uri": request.getfixturevalue("milvus_server_uri")}
    if store == "pgvector":
        return {"connection_string": request.getfixturevalue("pgvector_uri")}
    if store == "redis":
        return {"host": "127.0.0.1", "port": request.getfixturevalue("redis_server").port}
    if store == "milvus-lite":
        return {"uri": folder / "vectors.db"}
    return {"uri" if store == "lancedb" else "path": folder / "store"}


@pytest.mark.upstream
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("store", STORES)
def test_fiftyone_tests_pass(
    store: str, fiftyone_env: dict[str, str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    assert FILES, 'name the files: make test-upstream FILES="..."'
    name = store.partition("-")[0]
    (tmp_path / "media").mkdir()
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "FIFTYONE_DATABASE_NAME": f"upstream_{store.replace('-', '_')}",
        "FIFTYONE_BRAIN_CONFIG_PATH": str(tmp_path / "brain_config.json"),
        "FIFTYONE_BRAIN_DEFAULT_SIMILARITY_BACKEND": name,
        "SIMILARITY_BACKENDS": name,
        "VECBRIDGE_UPSTREAM_MEDIA": str(tmp_path / "media"),
    }
    for parameter, value in settings(store, tmp_path, request).items():
        environment[f"FIFTYONE_BRAIN_SIMILARITY_{name}_{parameter}".upper()] = str(value)
    run = [sys.executable, "-W", "ignore", "-m"]
    enable = [*run, "vecbridge.fiftyone", "enable"]
    subprocess.run(enable, env=environment, cwd=tmp_path, check=True, capture_output=True)
    told = subprocess.run(
        [*run, "pytest", "-q", "-p", "tests.upstream.standins", "-p", "no:cacheprovider", *FILES],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=1100,
        check=False,
    )
    lines = told.stdout.splitlines()
    print(f"\n{store}: {lines[-1] if lines else told.stderr}")
    assert told.returncode == 0, told.stdout[-6000:] + told.stderr[-3000:]
