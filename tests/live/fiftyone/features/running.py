"""The life of a run."""

from __future__ import annotations

import pytest

from tests.live.fiftyone.features._table import feature
from tests.live.fiftyone.features._world import World

GROUP = "Runs"

LOAD = """
import fiftyone as fo
name, key, options, query = arguments
dataset = fo.load_dataset(name)
dataset.reload()
index = dataset.load_brain_results(key, **options)
view = index.sort_by_similarity(query, k=5, dist_field="elsewhere")
answer = [index.total_index_size, view.values("id"), view.values("elsewhere")]
"""


@feature(GROUP, "`load_brain_results` with credentials, in another process")
def loaded_elsewhere(world: World) -> None:
    secrets = {name: value for name, value in world.case.options.items() if name != "path"}
    if not world.ours:
        world.images.save()
    size, ids, dists = world.run_elsewhere(
        LOAD, world.dataset.name, world.images.key, secrets, world.ids[4]
    )
    assert size == len(world.ids)
    world.check(ids, dists, world.ranked(world.digits.vectors[4])[:5])


@feature(GROUP, "`load_brain_results` without credentials, from the environment", brief=True)
def loaded_by_environment(world: World) -> None:
    with pytest.MonkeyPatch.context() as patch:
        # FiftyOne reads the environment once: what it had found there is set for its own.
        for name, value in world.case.options.items() if world.ours else ():
            prefix = f"FIFTYONE_BRAIN_SIMILARITY_{world.method.upper()}"
            patch.setenv(f"{prefix}_{name.upper()}", str(value))
        index = world.dataset.load_brain_results(world.images.key, cache=False)
        assert index is not world.images
        assert index.total_index_size == len(world.ids)


@feature(GROUP, "`list_brain_runs` by type, method, patches field and prompts")
def listed(world: World) -> None:
    import fiftyone.brain as fob

    images, patches = world.images, world.patches
    dataset = world.dataset
    method = images.config.method
    assert {images.key, patches.key} <= set(dataset.list_brain_runs(type=fob.Similarity))
    assert {images.key, patches.key} <= set(dataset.list_brain_runs(method=method))
    by_field = dataset.list_brain_runs(method=method, patches_field="halves")
    assert patches.key in by_field
    assert images.key not in by_field
    assert images.key not in dataset.list_brain_runs(supports_prompts=True)


@feature(GROUP, "`get_brain_info`")
def informed(world: World) -> None:
    info = world.dataset.get_brain_info(world.patches.key)
    assert info.config.method == world.method
    assert (info.config.type, info.config.patches_field) == ("similarity", "halves")


@feature(GROUP, "`rename_brain_run`")
def renamed(world: World) -> None:
    index = world.make(embeddings=world.digits.vectors[:4], samples=world.dataset[:4])
    name = f"renamed_{index.key}"
    world.dataset.rename_brain_run(index.key, name)
    loaded = world.dataset.load_brain_results(name)
    assert loaded.total_index_size == 4


@feature(GROUP, "`delete_brain_run`")
def deleted_run(world: World) -> None:
    index = world.make(embeddings=False)
    world.dataset.delete_brain_run(index.key)
    assert not world.dataset.has_brain_run(index.key)
    assert world.images.key in world.dataset.list_brain_runs()


@feature(GROUP, "`cleanup()` empties the store, and the index can be filled again")
def cleaned(world: World) -> None:
    index = world.first_twenty
    index.cleanup()
    index.cleanup()
    assert index.total_index_size == 0
    index.add_to_index(world.digits.vectors[:3], world.ids[:3])
    assert index.total_index_size == 3


@feature(GROUP, "`delete()` drops the index and its run", brief=True)
def deleted(world: World) -> None:
    index = world.make(embeddings=world.digits.vectors[:4], samples=world.dataset[:4])
    index.delete()
    assert not world.dataset.has_brain_run(index.key)
    assert index.total_index_size == 0


@feature(GROUP, "`.collection` and `.client`, the store's own")
def store_objects(world: World) -> None:
    assert world.images.collection is not None
    assert world.images.client is not None
