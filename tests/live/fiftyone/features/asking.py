"""Queries."""

from __future__ import annotations

import numpy as np

from tests.live.fiftyone.cases import ranked
from tests.live.fiftyone.features._table import feature
from tests.live.fiftyone.features._world import METRIC, World
from tests.live.fiftyone.features.making import pixels

GROUP = "Queries"
MANY = [3, 17, 20, 3, 41]


def sorted_ids(world: World, query: object, **options: object) -> list[str]:
    ids: list[str] = world.images.sort_by_similarity(query, **options).values("id")
    return ids


def aggregated(world: World, aggregation: str) -> None:
    for reverse in (False, True):
        found, _, dists = world.images._kneighbors(
            query=world.digits.vectors[MANY],
            k=9,
            aggregation=aggregation,
            reverse=reverse,
            return_dists=True,
        )
        expected = world.ranked(world.digits.vectors[MANY], aggregation, reverse=reverse)
        world.check(found, dists, expected[:9])


@feature(GROUP, "by an id", brief=True)
def by_id(world: World) -> None:
    expected = world.ranked(world.digits.vectors[5])[:8]
    world.check(sorted_ids(world, world.ids[5], k=8), None, expected)
    # A sample is the nearest to itself.
    assert [sorted_ids(world, name, k=3)[0] for name in world.ids[::5]] == world.ids[::5]


@feature(GROUP, "by an id, which is first in its own result before its duplicates", brief=True)
def own_first(world: World) -> None:
    index = world.first_twenty
    vectors = np.repeat(world.digits.vectors[:2], [6, 14], axis=0)
    index.add_to_index(vectors, world.ids[:20])
    wanted, *others = world.ids[5::-1]
    for k in (1, 4, 9):
        found = index.sort_by_similarity(wanted, k=k).values("id")
        assert found[0] == wanted
        assert set(found[1:6]) <= set(others)


@feature(GROUP, "by several ids")
def by_ids(world: World) -> None:
    expected = world.ranked(world.digits.vectors[MANY])[:8]
    world.check(sorted_ids(world, [world.ids[row] for row in MANY], k=8), None, expected)


@feature(GROUP, "by a vector")
def by_vector(world: World) -> None:
    expected = world.ranked(world.digits.vectors[5])[:8]
    world.check(sorted_ids(world, world.digits.vectors[5], k=8), None, expected)
    world.check(sorted_ids(world, world.digits.vectors[5].tolist(), k=8), None, expected)


@feature(GROUP, "by a sample of another dataset: its vector, from that dataset's index")
def from_another_dataset(world: World) -> None:
    import fiftyone as fo

    others = fo.Dataset()
    others.add_samples([fo.Sample(filepath=each.filepath) for each in world.dataset[5:8]])
    theirs = world.make(others, embeddings=world.digits.vectors[5:8])
    (vector,) = theirs.get_embeddings(sample_ids=others.values("id")[1:2])[0]
    view = world.dataset.sort_by_similarity(vector, k=5, brain_key=world.images.key)
    world.check(view.values("id"), None, world.ranked(world.digits.vectors[6])[:5])


@feature(GROUP, "by several vectors")
def by_vectors(world: World) -> None:
    expected = world.ranked(world.digits.vectors[MANY])[:8]
    world.check(sorted_ids(world, world.digits.vectors[MANY], k=8), None, expected)


@feature(GROUP, "by a text prompt, and by several")
def by_prompt(world: World) -> None:
    index = world.make(model=world.zoo)
    assert index.config.supports_prompts
    vectors = pixels(world)
    for prompts in (["a five"], ["a five", "a six"]):
        query = world.models.WordModel().embed_prompts(prompts)
        found = index.sort_by_similarity(prompts if len(prompts) > 1 else prompts[0], k=9)
        expected = ranked(METRIC, world.ids, vectors, query)[:9]
        world.check(found.values("id"), None, expected)


@feature(GROUP, "by `dataset.sort_by_similarity(brain_key=)`")
def by_stage(world: World) -> None:
    view = world.dataset.sort_by_similarity(world.ids[9], k=5, brain_key=world.images.key)
    world.check(view.values("id"), None, world.ranked(world.digits.vectors[9])[:5])


@feature(GROUP, "`k=1`, and a `k` larger than there is")
def any_k(world: World) -> None:
    expected = world.ranked(world.digits.vectors[7])
    for k in (1, len(world.ids), 100_000):
        world.check(sorted_ids(world, world.ids[7], k=k), None, expected[:k])


@feature(GROUP, "`k=None`: everything is ranked", brief=True)
def every_k(world: World) -> None:
    expected = world.ranked(world.digits.vectors[7])
    world.check(sorted_ids(world, world.ids[7]), None, expected)
    found = world.images._kneighbors(world.digits.vectors[7])[0]
    world.check(found, None, expected)


@feature(GROUP, "`reverse=True`: the least similar", brief=True)
def least(world: World) -> None:
    expected = world.ranked(world.digits.vectors[7], reverse=True)
    for k in (6, None):
        world.check(sorted_ids(world, world.ids[7], k=k, reverse=True), None, expected[:k])


@feature(GROUP, '`aggregation="mean"`')
def mean(world: World) -> None:
    aggregated(world, "mean")


@feature(GROUP, '`aggregation="post-mean"`')
def post_mean(world: World) -> None:
    aggregated(world, "post-mean")


@feature(GROUP, '`aggregation="post-min"`')
def post_min(world: World) -> None:
    aggregated(world, "post-min")


@feature(GROUP, '`aggregation="post-max"`')
def post_max(world: World) -> None:
    aggregated(world, "post-max")


@feature(GROUP, "several queries without an aggregation")
def one_by_one(world: World) -> None:
    ids, _, dists = world.images._kneighbors(
        query=world.digits.vectors[MANY], k=4, return_dists=True
    )
    for row, found, distances in zip(MANY, ids, dists, strict=True):
        world.check(found, distances, world.ranked(world.digits.vectors[row])[:4])


@feature(GROUP, "neighbours of every record (`query=None`)")
def of_all(world: World) -> None:
    inds, dists = world.images._kneighbors(k=2, return_dists=True)
    ids = [str(name) for name in world.images.current_sample_ids]
    for row in (0, 11):
        expected = world.ranked(world.digits.vectors[world.digits.row(ids[row])])
        found = [ids[at] for at in inds[row]]
        world.check(found, list(dists[row]), [pair for pair in expected if pair[0] != ids[row]][:2])


@feature(GROUP, "`dist_field`: a distance, ascending")
def dist_field(world: World) -> None:
    view = world.images.sort_by_similarity(world.ids[2], k=8, dist_field="distance")
    found, dists = view.values(["id", "distance"])
    world.check(found, dists, world.ranked(world.digits.vectors[2])[:8])


@feature(GROUP, "a patches view, sorted by label")
def patches_view(world: World) -> None:
    wanted = world.digits.label_ids[31]
    with world.patches.use_view(world.dataset.to_patches("halves")):
        view = world.patches.sort_by_similarity(wanted, k=7, dist_field="patch_distance")
    found, dists = view.values(["id", "patch_distance"])
    world.check(found, dists, world.ranked_patches(world.digits.patch_vectors[31])[:7])


@feature(GROUP, "`dist_field` on patches in a samples view")
def patches_in_samples(world: World) -> None:
    wanted = world.digits.label_ids[31]
    view = world.patches.sort_by_similarity(wanted, k=7, dist_field="half_distance")
    found, dists = view.values(
        ["halves.detections.id", "halves.detections.half_distance"], unwind=True
    )
    expected = world.ranked_patches(world.digits.patch_vectors[31])[:7]
    pairs = sorted(zip(found, dists, strict=True), key=lambda pair: (pair[1], pair[0]))
    world.check([name for name, _ in pairs], [distance for _, distance in pairs], expected)
    owners = dict(zip(world.digits.label_ids, world.digits.label_samples, strict=True))
    if world.ours:
        assert view.values("id") == list(dict.fromkeys(owners[label] for label, _ in expected))


@feature(GROUP, "views: results inside, query ids anywhere", brief=True)
def views(world: World) -> None:
    for inside in (world.ids[40:42], world.ids[10:50]):
        with world.images.use_view(world.dataset.select(inside)):
            found = sorted_ids(world, world.ids[:3], k=6)
        everything = world.ranked(world.digits.vectors[:3])
        world.check(found, None, [pair for pair in everything if pair[0] in inside][:6])


@feature(GROUP, "views with patches")
def patch_views(world: World) -> None:
    inside = set(world.ids[20:50])
    owners = dict(zip(world.digits.label_ids, world.digits.label_samples, strict=True))
    with world.patches.use_view(world.dataset.select(list(inside))):
        _, labels, dists = world.patches._kneighbors(
            world.digits.label_ids[0], k=5, return_dists=True
        )
    everything = world.ranked_patches(world.digits.patch_vectors[0])
    world.check(labels, dists, [pair for pair in everything if owners[pair[0]] in inside][:5])


@feature(GROUP, "a view in which nothing is indexed gives nothing")
def empty_view(world: World) -> None:
    with world.images.use_view(world.dataset.limit(1).skip(1)):
        view = world.images.sort_by_similarity(world.ids[0], k=3, dist_field="nothing")
        assert len(view) == 0


@feature(GROUP, "an unknown query id is refused, also beside known ones")
def unknown_id(world: World) -> None:
    for query in (["0" * 24], [world.ids[0], "0" * 24]):
        try:
            world.images.sort_by_similarity(query, k=3)
        except ValueError:
            continue
        raise AssertionError("an unknown id was ignored")


@feature(GROUP, "queries change nothing that is stored")
def unchanged(world: World) -> None:
    index = world.images
    index.sort_by_similarity(world.ids[:2], k=3)
    vectors, ids, _ = index.get_embeddings(sample_ids=world.ids)
    rows = [world.digits.row(name) for name in ids]
    assert np.array_equal(vectors, world.digits.vectors[rows])
