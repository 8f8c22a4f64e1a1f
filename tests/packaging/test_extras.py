"""Each extra does its work alone, in an environment that has nothing else."""

from __future__ import annotations

import venv
from pathlib import Path

import pytest

from tests.packaging.conftest import Artifacts, Installation, checked

STORE = """
import vecbridge

with vecbridge.get_backend({backend}) as store:
    index = store.create_index("points", dimension=2, metric="euclidean")
    index.upsert(["origin", "near", "far"], [[0, 0], [3, 4], [30, 40]])
    hits = index.search([0, 0], k=2)[0]
    print(hits.ids, hits.distances.tolist())
"""
FOUND = "('origin', 'near') [0.0, 5.0]"
UNREACHABLE = """
import vecbridge
try:
    vecbridge.get_backend({backend}).index_names()
except vecbridge.BackendError as error:
    print(type(error).__name__)
"""
INTEGRATION = """
import fiftyone.brain
import vecbridge.fiftyone as ours
print(all(hasattr(ours, name) for name in ours.__all__))
"""
LANGCHAIN = """
from vecbridge.langchain import VectorStore
print(VectorStore.__mro__[1].__module__)
"""
HAYSTACK = """
from vecbridge.haystack import VecbridgeDocumentStore
print(VecbridgeDocumentStore.__module__)
"""
PARQUET = """
import pyarrow.parquet
from vecbridge.transfer import export_records, import_records
print(callable(export_records), callable(import_records))
"""

SMOKE = {
    "sklearn": (["-c", STORE.format(backend="'sklearn', path='records'")], FOUND),
    "faiss": (["-c", STORE.format(backend="'faiss', path='records'")], FOUND),
    "milvus": (["-c", STORE.format(backend="'milvus', uri='records.db'")], FOUND),
    "lancedb": (["-c", STORE.format(backend="'lancedb', uri='records'")], FOUND),
    "chroma": (["-c", STORE.format(backend="'chroma', path='records'")], FOUND),
    "pgvector": (
        ["-c", UNREACHABLE.format(backend="'pgvector', uri='postgresql://127.0.0.1:1'")],
        "ConnectionFailedError",
    ),
    "redis": (
        ["-c", UNREACHABLE.format(backend="'redis', uri='redis://127.0.0.1:1'")],
        "ConnectionFailedError",
    ),
    "qdrant": (["-c", STORE.format(backend="'qdrant', path='collections'")], FOUND),
    "torch": (["-c", STORE.format(backend="'torch'")], FOUND),
    "fiftyone": (["-c", INTEGRATION], "True"),
    "conformance": (["-m", "vecbridge_conformance", "explain", "SEARCH-3"], "SEARCH-3"),
    "cli": (["-m", "vecbridge.cli", "backends"], "vecbridge[torch]"),
    "langchain": (["-c", LANGCHAIN], "langchain_core.vectorstores.base"),
    "haystack": (["-c", HAYSTACK], "vecbridge.haystack"),
    "parquet": (["-c", PARQUET], "True True"),
    "dask": (
        ["-c", "from vecbridge.bulk import dask_executor; print(dask_executor.__name__)"],
        "dask_executor",
    ),
    "ray": (
        ["-c", "import ray; from vecbridge.bulk import RayExecutor; print(RayExecutor.__name__)"],
        "RayExecutor",
    ),
    "all": (["-c", STORE.format(backend="'milvus', uri='records.db'")], FOUND),
}
"""By extra: what is run, and what it has to say."""
PINNED = {"torch": ["torch==2.13.0"]}
"""What keeps gigabytes for graphics cards out of it, as in our own environment."""


@pytest.fixture
def alone(request: pytest.FixtureRequest, artifacts: Artifacts, tmp_path: Path) -> Installation:
    """An environment with the wheel and one extra of it."""
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    extra = request.param
    wanted = f"{artifacts.wheel}[{extra}]"
    checked([str(python), "-m", "pip", "install", "--quiet", wanted, *PINNED.get(extra, [])])
    return Installation(python, tmp_path)


def test_every_extra_is_tried(artifacts: Artifacts) -> None:
    metadata = artifacts.wheel_text(".dist-info/METADATA")
    offered = {
        line.partition(": ")[2]
        for line in metadata.splitlines()
        if line.startswith("Provides-Extra: ")
    }

    assert offered == set(SMOKE)


@pytest.mark.extras
@pytest.mark.timeout(1200)  # FiftyOne alone brings a hundred packages
@pytest.mark.parametrize(("alone", "extra"), [(name, name) for name in SMOKE], indirect=["alone"])
def test_an_extra_works_alone(alone: Installation, extra: str) -> None:
    arguments, expected = SMOKE[extra]
    done = alone.run(*arguments)

    assert done.returncode == 0, done.stdout + done.stderr
    assert expected in done.stdout
    assert alone.run("-m", "pip", "check").returncode == 0
