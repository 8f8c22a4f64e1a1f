"""What FiftyOne's page on each store does, call by call, in a script of its own.

A script knows nothing of vecbridge: ``vecbridge fiftyone enable`` was called before it. The pages
load a dataset and a model by name, which are downloaded; here a zoo on the disk has both, and the
first call names the model too, which the pages leave to a default that cannot come from there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.live.fiftyone.cases import Digits, Elsewhere

PREPARE = """
import fiftyone as fo
import fiftyone.zoo as foz
name, folder = arguments
# A view, whose clone has no brain runs of other tests.
dataset = fo.load_dataset(name).view().clone()
dataset.rename_sample_field("halves", "ground_truth")
dataset.export(export_dir=folder, dataset_type=fo.types.FiftyOneDataset)
info = foz.ZooDatasetInfo(foz.get_zoo_dataset("quickstart"), fo.types.FiftyOneDataset, 150)
info.write_json(f"{folder}/info.json")
dataset.delete()
answer = None
"""

PAGE = """
import numpy as np
import fiftyone as fo
import fiftyone.brain as fob
import fiftyone.zoo as foz

# The basic recipe.
dataset = foz.load_zoo_dataset("quickstart")
similar = fob.compute_similarity(dataset, model=MODEL, brain_key="basic", backend=BACKEND)
assert similar.config.metric == METRIC
near = dataset.sort_by_similarity(dataset.first().id, brain_key="basic", k=10)
assert len(near) == 10
similar.cleanup()
dataset.delete_brain_run("basic")

# Parameters of an index, and four ways to make one.
made = fob.compute_similarity(
    dataset, model=MODEL, backend=BACKEND, brain_key="chosen", **{NAME: "your_index"}, **CHOSEN
)
assert getattr(made.config, NAME) == "your_index" and made.total_index_size == 150
assert len(dataset.sort_by_similarity(dataset.first().id, brain_key="chosen", k=10)) == 10
model = foz.load_zoo_model(MODEL)
fob.compute_similarity(dataset, model=model, backend=BACKEND, brain_key="instance")
vectors = dataset.compute_embeddings(model)
fob.compute_similarity(dataset, embeddings=vectors, backend=BACKEND, brain_key="array")
dataset.compute_embeddings(model, embeddings_field="embeddings")
fob.compute_similarity(dataset, embeddings="embeddings", backend=BACKEND, brain_key="field")
patches = fob.compute_similarity(
    dataset, patches_field="ground_truth", model=MODEL, backend=BACKEND, brain_key="patches"
)
assert patches.total_index_size == 150

# Brain runs.
assert len(dataset.list_brain_runs()) == 5
assert len(dataset.list_brain_runs(type=fob.Similarity)) == 5
wanted = {"patches_field": "ground_truth", "supports_prompts": True}
assert dataset.list_brain_runs(type=fob.Similarity, **wanted) == ["patches"]
print(dataset.get_brain_info("patches"))
dataset.rename_brain_run("patches", "renamed")
for key in ("renamed", "instance", "array", "field"):
    dataset.load_brain_results(key).cleanup()
    dataset.delete_brain_run(key)

# An index that exists.
dataset.delete_brain_run("chosen")
metric = {"metric": CHOSEN["metric"]}
there = fob.compute_similarity(
    dataset, model=MODEL, embeddings=False, brain_key="there", backend=BACKEND,
    **{NAME: "your_index"}, **metric,
)
assert there.total_index_size == 150

# Added and removed.
view = dataset.take(10)
gone = view.values("id")
dataset.delete_samples(view)
there.remove_from_index(sample_ids=gone)
new = dataset.add_samples([fo.Sample(filepath="new%d.jpg" % i) for i in range(20)])
there.add_to_index(np.random.rand(20, vectors.shape[1]), new)
assert there.total_index_size == 160
dataset.delete_samples(new)
there.remove_from_index(sample_ids=new)

# Embeddings of all, and of a view.
found, ids, _ = there.get_embeddings(sample_ids=dataset.values("id"))
assert found.shape == (140, vectors.shape[1]) and ids.shape == (140,)
found, ids, _ = there.get_embeddings(sample_ids=dataset.take(10).values("id"))
assert found.shape == (10, vectors.shape[1]) and ids.shape == (10,)

# Queries: a vector, an id, ids, a prompt.
queries = [
    np.random.rand(vectors.shape[1]), dataset.first().id,
    [dataset.first().id, dataset.last().id], "a photo of a five",
]
for query in queries:
    assert len(dataset.sort_by_similarity(query, k=10, brain_key="there")) == 10
there.delete()

# An index that is filled later, and what is behind it.
custom = fob.compute_similarity(
    dataset, model=MODEL, embeddings=False, brain_key="custom", backend=BACKEND,
    **{NAME: CUSTOM}, **FILLED_LATER,
)
part, ids, _ = custom.compute_embeddings(dataset.match({"ground_truth": {"$ne": None}}).take(10))
custom.add_to_index(part, ids)
assert custom.total_index_size == 10
assert type(custom).__module__ == "vecbridge.fiftyone.similarity"
exec(BEHIND)
custom.delete()
print("the page is done")
"""

_PGVECTOR = """
ivfflat = fob.compute_similarity(
    dataset, model=MODEL, backend="pgvector", brain_key="ivfflat",
    index_name="your-other-index", table_name="your-other-table", metric="cosine", work_mem="64MB",
    index_type="ivfflat", ivfflat_lists=100, ivfflat_probes=1,
)
assert len(dataset.sort_by_similarity(dataset.first().id, brain_key="ivfflat", k=10)) == 10
ivfflat.delete()
long = fob.compute_similarity(
    dataset, embeddings=np.random.randn(len(dataset), 2048), backend="pgvector", brain_key="long",
    vector_type="halfvec", maintenance_work_mem="256MB",
)
assert long.total_index_size == len(dataset)
long.delete()
"""


@dataclass(frozen=True)
class Page:
    """What FiftyOne's page on a store does that others do not.

    Attributes:
        name: the parameter that names the index.
        chosen: the page's other parameters.
        behind: what it does with the store's own objects.
        metric: the default.
        later: parameters of the index that is filled later, and its name.
    """

    name: str
    chosen: dict[str, Any]
    behind: str
    metric: str = "cosine"
    later: tuple[str, dict[str, Any]] = ("custom-quickstart-index", {"metric": "dotproduct"})


PAGES = {
    "milvus": Page(
        "collection_name",
        {"metric": "dotproduct", "consistency_level": "Strong"},
        "print(custom.collection)\n"
        "import pymilvus\n"
        "assert CUSTOM in pymilvus.utility.list_collections()",
        metric="dotproduct",
        later=("custom_quickstart_index", {"metric": "euclidean"}),
    ),
    "pgvector": Page(
        "table_name",
        {"index_name": "your-index", "metric": "cosine", "work_mem": "64MB", "index_type": "hnsw"}
        | {"hnsw_m": 16, "hnsw_ef_construction": 64, "hnsw_ef_search": 40},
        _PGVECTOR,
    ),
    # What says how a server keeps a collection is refused by the embedded engine.
    "qdrant": Page(
        "collection_name",
        {"metric": "cosine"},
        "assert CUSTOM in [each.name for each in custom.client.get_collections().collections]",
    ),
    "lancedb": Page(
        "table_name",
        {"metric": "euclidean"},
        "assert len(custom.table.to_pandas()) == custom.table.to_arrow().num_rows == 10",
        later=("custom-quickstart-index", {"metric": "cosine"}),
    ),
    "redis": Page(
        "index_name",
        {"metric": "cosine", "algorithm": "FLAT"},
        "assert custom.config.index_name == CUSTOM\n"
        "print(custom.client.ft(custom.config.index_name).info())",
        later=("custom-quickstart-index", {"metric": "dotproduct", "algorithm": "HNSW"}),
    ),
}

RUN = list(PAGES) if os.environ.get("VECBRIDGE_FEATURES_PAGE") else ["milvus", "pgvector"]
"""Those that this run takes: `make features` takes all of them."""


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The environment that leads to a store."""
    found = request.getfixturevalue
    settings: dict[str, Callable[[], dict[str, str]]] = {
        "milvus": lambda: {"URI": found("milvus_server_uri")},
        "pgvector": lambda: {"CONNECTION_STRING": found("pgvector_uri")},
        "qdrant": lambda: {"PATH": str(tmp_path / "qdrant")},
        "lancedb": lambda: {"URI": str(tmp_path / "lancedb")},
        "redis": lambda: {"HOST": "127.0.0.1", "PORT": str(found("redis_server").port)},
    }
    name: str = request.param
    prefix = f"FIFTYONE_BRAIN_SIMILARITY_{name.upper()}_"
    return {prefix + setting: value for setting, value in settings[name]().items()}


@pytest.mark.parametrize(("backend", "store"), [(each, each) for each in RUN], indirect=["store"])
def test_page_runs_unchanged(
    digits: Digits,
    elsewhere: Elsewhere,
    zoo_model: str,
    tmp_path: Path,
    backend: str,
    store: dict[str, str],
) -> None:
    kept = ("FIFTYONE_DATABASE_", "FIFTYONE_DO_NOT")
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("FIFTYONE_") or name.startswith(kept)
    }
    environment |= {
        "HOME": str(tmp_path),
        "FIFTYONE_MODEL_ZOO_MANIFEST_PATHS": os.environ["FIFTYONE_MODEL_ZOO_MANIFEST_PATHS"],
        "FIFTYONE_DATASET_ZOO_DIR": str(tmp_path / "zoo"),
        "FIFTYONE_DATABASE_NAME": f"page_{backend}",
        **store,
    }

    def run(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", *words],
            env=environment,
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    elsewhere.run(PREPARE, digits.dataset.name, str(tmp_path / "zoo" / "quickstart"))
    run("-m", "vecbridge.cli", "fiftyone", "enable")
    page = PAGES[backend]
    custom, filled_later = page.later
    given = {
        "MODEL": zoo_model,
        "BACKEND": backend,
        "NAME": page.name,
        "METRIC": page.metric,
        "CHOSEN": page.chosen,
        "CUSTOM": custom,
        "FILLED_LATER": filled_later,
        "BEHIND": page.behind,
    }
    stated = "".join(f"{name} = {value!r}\n" for name, value in given.items())
    assert run("-c", stated + PAGE).endswith("the page is done\n")
