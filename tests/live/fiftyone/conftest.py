"""A real FiftyOne over a real MongoDB, with digits as real images, and every store under it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.live.fiftyone.cases import Case, Digits, Elsewhere, make_digits, new_run

STORES = ["sklearn-path", "sklearn-memory", "milvus-lite", "milvus-server"]
RUNS = [
    *((store, metric) for store in STORES[::2] for metric in ("cosine", "dotproduct", "euclidean")),
    ("sklearn-memory", "cosine"),
    ("torch-path", "euclidean"),
    ("faiss-path", "euclidean"),
    ("milvus-server", "dotproduct"),
    ("milvus-server", "euclidean"),
]


@pytest.fixture(scope="session")
def elsewhere(fiftyone_env: dict[str, str]) -> Iterator[Elsewhere]:
    """Another process, started once: importing FiftyOne takes seconds."""
    process = Elsewhere()
    yield process
    process.close()


@pytest.fixture(scope="session")
def digits(fob: Any, tmp_path_factory: pytest.TempPathFactory) -> Digits:
    """A dataset of digit images, each with none to two patches, and vectors of both."""
    return make_digits(tmp_path_factory.mktemp("digits"), count=150)


@pytest.fixture(scope="session")
def case(
    request: pytest.FixtureRequest, fob: Any, tmp_path_factory: pytest.TempPathFactory
) -> Case:
    """One store, as its user would configure it in FiftyOne."""
    folder = tmp_path_factory.mktemp("store")
    name: str = request.param
    if name == "milvus-server":
        return Case("milvus", {"uri": request.getfixturevalue("milvus_server_uri")})
    return {
        "sklearn-path": Case("vecbridge_sklearn", {"path": str(folder)}),
        "faiss-path": Case("vecbridge_faiss", {"path": str(folder)}),
        "torch-path": Case("vecbridge_torch", {"path": str(folder)}),
        "sklearn-memory": Case("vecbridge_sklearn", {"path": ":memory:"}),
        "milvus-lite": Case("milvus", {"uri": str(folder / "vectors.db")}),
    }[name]


@pytest.fixture(scope="session")
def metric(request: pytest.FixtureRequest) -> str:
    """The metric of a run."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def images(case: Case, metric: str, digits: Digits) -> Iterator[Any]:
    """An index of the digits' images that no test changes."""
    index = new_run(digits, case, metric=metric, embeddings=digits.vectors)
    yield index
    index.delete()


@pytest.fixture(scope="session")
def models(fob: Any) -> Any:
    """The tests' models, whose module imports FiftyOne."""
    import tests.live.fiftyone.models

    return tests.live.fiftyone.models


@pytest.fixture(scope="session")
def zoo_model(models: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a model in a zoo of the tests' own."""
    import fiftyone as fo

    path = tmp_path_factory.mktemp("model-zoo") / "manifest.json"
    path.write_text(json.dumps(models.manifest()), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fo.config, "model_zoo_manifest_paths", [str(path)])
        # For processes that are started from now on.
        patch.setenv("FIFTYONE_MODEL_ZOO_MANIFEST_PATHS", str(path))
        yield models.ZOO


@pytest.fixture
def path_case(fob: Any, tmp_path: Any) -> Case:
    """The sklearn backend in a directory of the test's own."""
    return Case("vecbridge_sklearn", {"path": str(tmp_path)})
