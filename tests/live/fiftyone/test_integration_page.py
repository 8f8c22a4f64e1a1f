"""What FiftyOne's pages on Milvus and pgvector do, call by call, each in a script of its own.

A script knows nothing of vecbridge: ``vecbridge fiftyone enable`` was called before it. The pages
load a dataset and a model by name, which are downloaded; here a zoo on the disk has both, and the
first call names the model too, which the pages leave to a default that cannot come from there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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

MILVUS_PAGE = """
import numpy as np
import fiftyone as fo
import fiftyone.brain as fob
import fiftyone.zoo as foz

# The basic recipe.
dataset = foz.load_zoo_dataset("quickstart")
similar = fob.compute_similarity(dataset, model=MODEL, brain_key="basic", backend="milvus")
near = dataset.sort_by_similarity(dataset.first().id, brain_key="basic", k=10)
assert len(near) == 10
similar.cleanup()
dataset.delete_brain_run("basic")

# Parameters of an index, and four ways to make one.
made = fob.compute_similarity(
    dataset, model=MODEL, backend="milvus", brain_key="chosen",
    collection_name="page_collection", metric="dotproduct", consistency_level="Strong",
)
assert made.config.metric == "dotproduct" and made.total_index_size == 150
model = foz.load_zoo_model(MODEL)
fob.compute_similarity(dataset, model=model, backend="milvus", brain_key="instance")
vectors = dataset.compute_embeddings(model)
fob.compute_similarity(dataset, embeddings=vectors, backend="milvus", brain_key="array")
dataset.compute_embeddings(model, embeddings_field="embeddings")
fob.compute_similarity(dataset, embeddings="embeddings", backend="milvus", brain_key="field")
patches = fob.compute_similarity(
    dataset, patches_field="ground_truth", model=MODEL, backend="milvus", brain_key="patches"
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

# A collection that exists.
dataset.delete_brain_run("chosen")
there = fob.compute_similarity(
    dataset, model=MODEL, embeddings=False, collection_name="page_collection",
    brain_key="there", backend="milvus",
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
assert found.shape == (10, vectors.shape[1])

# Queries: a vector, an id, ids, a prompt.
queries = [
    np.random.rand(vectors.shape[1]), dataset.first().id,
    [dataset.first().id, dataset.last().id], "a photo of a five",
]
for query in queries:
    assert len(dataset.sort_by_similarity(query, k=10, brain_key="there")) == 10
there.delete()

# An index that is filled later, and the client behind it.
custom = fob.compute_similarity(
    dataset, model=MODEL, embeddings=False, metric="euclidean", brain_key="custom",
    backend="milvus", collection_name="custom_page_collection",
)
part, ids, _ = custom.compute_embeddings(dataset.take(10))
custom.add_to_index(part, ids)
print(custom.collection)
import pymilvus
assert "custom_page_collection" in pymilvus.utility.list_collections()
assert type(custom).__module__ == "vecbridge.fiftyone.similarity"
custom.delete()
print("the page is done")
"""


PGVECTOR_PAGE = """
import numpy as np
import fiftyone as fo
import fiftyone.brain as fob
import fiftyone.zoo as foz

# The basic recipe.
dataset = foz.load_zoo_dataset("quickstart")
similar = fob.compute_similarity(dataset, model=MODEL, brain_key="basic", backend="pgvector")
assert similar.config.metric == "cosine"
assert len(dataset.sort_by_similarity(dataset.first().id, brain_key="basic", k=10)) == 10
similar.cleanup()
dataset.delete_brain_run("basic")

# Parameters of an HNSW index and of an IVFFlat index.
hnsw = fob.compute_similarity(
    dataset, model=MODEL, backend="pgvector", brain_key="hnsw",
    index_name="your-index", table_name="your-table", metric="cosine", work_mem="64MB",
    index_type="hnsw", hnsw_m=16, hnsw_ef_construction=64, hnsw_ef_search=40,
)
assert hnsw.config.table_name == "your-table" and hnsw.total_index_size == 150
assert len(dataset.sort_by_similarity(dataset.first().id, brain_key="hnsw", k=10)) == 10
ivfflat = fob.compute_similarity(
    dataset, model=MODEL, backend="pgvector", brain_key="ivfflat",
    index_name="your-other-index", table_name="your-other-table", metric="cosine", work_mem="64MB",
    index_type="ivfflat", ivfflat_lists=100, ivfflat_probes=1,
)
assert len(dataset.sort_by_similarity(dataset.first().id, brain_key="ivfflat", k=10)) == 10

# Four ways to make an index, and one of patches.
model = foz.load_zoo_model(MODEL)
fob.compute_similarity(dataset, model=model, backend="pgvector", brain_key="instance")
vectors = dataset.compute_embeddings(model)
fob.compute_similarity(dataset, embeddings=vectors, backend="pgvector", brain_key="array")
dataset.compute_embeddings(model, embeddings_field="embeddings")
fob.compute_similarity(dataset, embeddings="embeddings", backend="pgvector", brain_key="field")
fob.compute_similarity(
    dataset, patches_field="ground_truth", model=MODEL, backend="pgvector", brain_key="patches"
)

# Brain runs.
assert len(dataset.list_brain_runs(type=fob.Similarity)) == 6
wanted = {"patches_field": "ground_truth", "supports_prompts": True}
assert dataset.list_brain_runs(type=fob.Similarity, **wanted) == ["patches"]
print(dataset.get_brain_info("patches"))
dataset.rename_brain_run("patches", "renamed")
for key in ("renamed", "instance", "array", "field", "ivfflat"):
    dataset.load_brain_results(key).cleanup()
    dataset.delete_brain_run(key)

# A table that exists.
dataset.delete_brain_run("hnsw")
there = fob.compute_similarity(
    dataset, model=MODEL, embeddings=False, index_name="your-index", table_name="your-table",
    brain_key="there", backend="pgvector",
)
assert there.total_index_size == 150

# Added and removed.
view = dataset.take(10)
ids = view.values("id")
dataset.delete_samples(view)
there.remove_from_index(sample_ids=ids)
new = dataset.add_samples([fo.Sample(filepath="tmp%d.jpg" % i) for i in range(20)])
there.add_to_index(np.random.rand(20, vectors.shape[1]), new)
assert there.total_index_size == 160

# Embeddings of all, and of a view.
found, ids, _ = there.get_embeddings(sample_ids=dataset.values("id"))
assert found.shape == (160, vectors.shape[1]) and ids.shape == (160,)
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

# An index that is filled later, and embeddings of many dimensions.
custom = fob.compute_similarity(
    dataset, model=MODEL, embeddings=False, metric="dotproduct", brain_key="custom",
    backend="pgvector", index_name="custom-quickstart-index",
)
part, ids, _ = custom.compute_embeddings(dataset.match({"ground_truth": {"$ne": None}}).take(10))
custom.add_to_index(part, ids)
assert custom.total_index_size == 10
custom.delete()
long = fob.compute_similarity(
    dataset, embeddings=np.random.randn(len(dataset), 2048), backend="pgvector", brain_key="long",
    vector_type="halfvec", maintenance_work_mem="256MB",
)
assert long.total_index_size == len(dataset)
assert type(long).__module__ == "vecbridge.fiftyone.similarity"
long.delete()
print("the page is done")
"""


@pytest.mark.parametrize(
    ("page", "server", "setting"),
    [
        (MILVUS_PAGE, "milvus_server_uri", "MILVUS_URI"),
        (PGVECTOR_PAGE, "pgvector_uri", "PGVECTOR_CONNECTION_STRING"),
    ],
    ids=["milvus", "pgvector"],
)
def test_page_runs_unchanged(
    request: pytest.FixtureRequest,
    digits: Digits,
    elsewhere: Elsewhere,
    zoo_model: str,
    tmp_path: Path,
    page: str,
    server: str,
    setting: str,
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
        "FIFTYONE_DATABASE_NAME": f"page_{server}",
        f"FIFTYONE_BRAIN_SIMILARITY_{setting}": request.getfixturevalue(server),
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
    assert run("-c", f"MODEL = {zoo_model!r}\n{page}").endswith("the page is done\n")
