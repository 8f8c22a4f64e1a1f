"""What the App's panel *Similarity Search* asks of an index, through the panel's own operator."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np

from tests.live.fiftyone.cases import ranked
from tests.live.fiftyone.features._table import feature
from tests.live.fiftyone.features._world import METRIC, World

GROUP = "The App's panel Similarity Search"


def searched(world: World, index: Any, query: Any, kind: str = "image", **params: Any) -> Any:
    """Searches as the panel does, and returns what it keeps of the search."""
    import fiftyone.operators as foo
    from fiftyone.operators.store import ExecutionStore

    given = {"brain_key": index.key, "query": query, "query_type": kind, **params}
    asked = {"dataset": world.dataset, "params": given}
    done = foo.execute_operator("@voxel51/panels/similarity_search", asked)
    store = ExecutionStore.create("similarity_search_panel", world.dataset._doc.id)
    run = store.get(f"run:{done.result['run_id']}")
    assert run["status"] == "completed"
    return run


@feature(GROUP, "selected samples, and samples that it should not be like", brief=True)
def negatives(world: World) -> None:
    vectors = world.digits.vectors
    wanted, unwanted = [world.ids[5]], [world.ids[8], world.ids[9]]
    run = searched(world, world.images, wanted, k=7, negative_query_ids=unwanted)
    query = 2 * np.mean(vectors[[5]], axis=0) - np.mean(vectors[[8, 9]], axis=0)
    world.check(run["result_ids"], None, world.ranked(query)[:7])


@feature(GROUP, "patches, and patches that it should not be like")
def negative_patches(world: World) -> None:
    labels, vectors = world.digits.label_ids, world.digits.patch_vectors
    run = searched(
        world,
        world.patches,
        [labels[7]],
        k=6,
        negative_query_ids=[labels[2]],
        patches_field="halves",
    )
    query = 2 * np.mean(vectors[[7]], axis=0) - np.mean(vectors[[2]], axis=0)
    world.check(run["result_ids"], None, world.ranked_patches(query)[:6])


@feature(GROUP, "an image that is uploaded", brief=True)
def uploaded(world: World) -> None:
    index = world.make(world.dataset[:10], model=world.zoo)
    image = {
        "content": base64.b64encode(
            Path(world.dataset[world.ids[3]].filepath).read_bytes()
        ).decode(),
        "name": "mine.png",
    }
    run = searched(world, index, None, kind="upload", query_image=image, k=4)
    vectors, ids, _ = index.get_embeddings(sample_ids=world.ids[:10])
    own = vectors[list(ids).index(world.ids[3])]
    expected = ranked(METRIC, list(ids), vectors, own)[:4]
    assert run["result_ids"] == [name for name, _ in expected]


@feature(GROUP, "`dynamic_results`: the search is kept, and not its answer")
def dynamic(world: World) -> None:
    from fiftyone import DatasetView

    run = searched(world, world.images, [world.ids[5]], k=8, dynamic_results=True)
    assert run["result_ids"] == []
    view = DatasetView._build(world.dataset, run["result_view"])
    assert len(view) == run["result_count"] == 8
    world.check(view.values("id"), None, world.ranked(world.digits.vectors[5])[:8])
