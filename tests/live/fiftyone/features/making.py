"""Making an index: from what, and of what."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.live.fiftyone.cases import ranked
from tests.live.fiftyone.features._table import feature
from tests.live.fiftyone.features._world import METRIC, World

GROUP = "`compute_similarity`"


def pixels(world: World) -> Any:
    images = [vector.reshape(8, 8) * 15 for vector in world.digits.vectors]
    return world.models.WordModel().embed_all(images)


@feature(GROUP, "`model=`, the name of a zoo model")
def model_name(world: World) -> None:
    index = world.make(world.dataset[:10], model=world.zoo)
    world.same_vectors(index.get_embeddings(sample_ids=world.ids[:10])[0], pixels(world)[:10])


@feature(GROUP, "`model=`, an instance")
def model_instance(world: World) -> None:
    index = world.make(world.dataset[:10], model=world.models.CountingModel())
    assert index.total_index_size == 10


@feature(GROUP, "`embeddings=`, an array", brief=True)
def array(world: World) -> None:
    vectors, ids, labels = world.images.get_embeddings(sample_ids=world.ids)
    rows = [world.digits.row(name) for name in ids]
    world.same_vectors(vectors, world.digits.vectors[rows])
    assert labels is None
    assert len(ids) == len(world.ids)


@feature(GROUP, "`embeddings=`, a field that exists")
def existing_field(world: World) -> None:
    world.dataset.set_values(
        "stored", [*world.digits.vectors[:10], *[None] * (len(world.ids) - 10)]
    )
    index = world.make(embeddings="stored")
    assert index.total_index_size == 10
    world.same_vectors(index.get_embeddings(sample_ids=world.ids[3])[0], world.digits.vectors[3:4])
    world.dataset.delete_sample_field("stored")


@feature(GROUP, "`embeddings=`, a new field, which is written, kept and emptied with the index")
def new_field(world: World) -> None:
    index = world.make(embeddings="fresh", model=world.models.CountingModel())
    stored = np.array(world.dataset.values("fresh"))
    vectors, ids, _ = index.get_embeddings(sample_ids=world.ids)
    world.same_vectors(vectors, stored[[world.digits.row(name) for name in ids]])
    index.remove_from_index(sample_ids=world.ids[:2])
    assert world.dataset[:3].exists("fresh").values("id") == world.ids[2:3]
    world.dataset.delete_sample_field("fresh")


@feature(GROUP, "`embeddings=False`, and filled later")
def filled_later(world: World) -> None:
    index = world.make(embeddings=False)
    assert index.total_index_size == 0
    index.add_to_index(world.digits.vectors[:5], world.ids[:5])
    assert index.total_index_size == 5


@feature(GROUP, "`embeddings=False` on a collection that exists")
def adopted(world: World) -> None:
    name = world.images.config.collection_name
    index = world.make(embeddings=False, collection_name=name)
    found, _, dists = index._kneighbors(world.ids[3], k=6, return_dists=True)
    world.check(found, dists, world.ranked(world.digits.vectors[3])[:6])


@feature(GROUP, "`embeddings=False` on a collection of patches that exists")
def adopted_patches(world: World) -> None:
    name = world.patches.config.collection_name
    index = world.make(embeddings=False, collection_name=name, patches_field="halves")
    _, found, dists = index._kneighbors(world.digits.label_ids[3], k=6, return_dists=True)
    world.check(found, dists, world.ranked_patches(world.digits.patch_vectors[3])[:6])


@feature(GROUP, "patches, `embeddings=` a dict")
def patches(world: World) -> None:
    assert world.patches.total_index_size == len(world.digits.label_ids)


@feature(GROUP, "patches, by a model")
def patches_by_model(world: World) -> None:
    model = world.models.CountingModel()
    index = world.make(world.dataset[:12], patches_field="halves", model=model)
    assert index.total_index_size == model.seen == 12


@feature(GROUP, "a patches view of its own")
def patches_view(world: World) -> None:
    view = world.dataset.to_patches("halves")[:9]
    index = world.make(view, patches_field="halves", model=world.models.CountingModel())
    assert sorted(index.get_embeddings(label_ids=view.values("id"))[2]) == sorted(view.values("id"))


@feature(GROUP, "`roi_field`: the mean of the patches, or the whole image")
def roi(world: World) -> None:
    model = world.models.CountingModel()
    index = world.make(world.dataset[:6], roi_field="halves", model=model)
    assert index.config.roi_field == "halves"
    assert index.config.patches_field is None
    vectors, ids, labels = index.get_embeddings(sample_ids=world.ids[:6])
    assert (len(ids), labels) == (6, None)
    images = [vector.reshape(8, 8) * 15 for vector in world.digits.vectors[:6]]
    halves = [model.embed(part) for part in (images[5][:, :4], images[5][:, 4:])]
    expected = np.mean(halves, axis=0, dtype=np.float64)
    rows = {name: row for row, name in enumerate(ids)}
    assert vectors[rows[world.ids[5]]] == pytest.approx(expected, rel=1e-5, abs=1e-5)
    world.same_vectors(vectors[[rows[world.ids[3]]]], [model.embed(images[3])])


@feature(GROUP, "video frames")
def frames(world: World) -> None:
    view = world.media.frames()
    ids, vectors = view.values("id"), world.digits.vectors[: len(view)]
    index = world.make(view, embeddings=vectors)
    found = view.sort_by_similarity(ids[2], k=4, brain_key=index.key).values("id")
    world.check(found, None, ranked(METRIC, ids, vectors, vectors[2])[:4])


@feature(GROUP, "video clips")
def clips(world: World) -> None:
    view = world.media.clips()
    ids, vectors = view.values("id"), world.digits.vectors[: len(view)]
    index = world.make(view, embeddings=vectors)
    with index.use_view(view):
        found = index.sort_by_similarity(ids[2], k=4).values("id")
    world.check(found, None, ranked(METRIC, ids, vectors, vectors[2])[:4])


@feature(GROUP, "groups: one slice, and several")
def groups(world: World) -> None:
    everything = world.media.slices(["left", "right"])
    ids, vectors = everything.values("id"), world.digits.vectors[: len(everything)]
    index = world.make(everything, embeddings=vectors)
    assert index.total_index_size == len(ids)
    with index.use_view(everything):
        found = index.sort_by_similarity(ids[4], k=5).values("id")
    world.check(found, None, ranked(METRIC, ids, vectors, vectors[4])[:5])
    left = world.media.slices("left")
    inside = set(left.values("id"))
    with index.use_view(left):
        found = index.sort_by_similarity(ids[4], k=3).values("id")
    expected = [pair for pair in ranked(METRIC, ids, vectors, vectors[4]) if pair[0] in inside]
    world.check(found, None, expected[:3])


@feature(GROUP, "`metric=` cosine, dotproduct and euclidean", brief=True)
def metrics(world: World) -> None:
    for metric in ("cosine", "dotproduct"):
        index = world.make(embeddings=world.digits.vectors, metric=metric)
        found, _, dists = index._kneighbors(world.ids[8], k=7, return_dists=True)
        expected = ranked(metric, world.ids, world.digits.vectors, world.digits.vectors[8])
        world.check(found, dists, expected[:7])


@feature(GROUP, "`collection_name=`, `consistency_level=`")
def parameters(world: World) -> None:
    name = f"named_{world.images.key}"
    index = world.make(embeddings=False, collection_name=name, consistency_level="Strong")
    config = world.dataset.get_brain_info(index.key).config
    assert (config.collection_name, config.consistency_level) == (name, "Strong")
    index.add_to_index(world.digits.vectors[:3], world.ids[:3])
    assert index.total_index_size == 3
