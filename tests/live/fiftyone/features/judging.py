"""Duplicates, uniqueness, and the brain methods that are given an index."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.live.fiftyone.features._table import feature
from tests.live.fiftyone.features._world import World

APART, GIVEN = "Duplicates and uniqueness", "Brain methods given the index"


def copies(world: World) -> Any:
    """An index in which the last ten images are copies of the first ten."""
    if "_copies" not in vars(world):
        vectors = world.digits.vectors.copy()
        vectors[-10:] = vectors[:10]
        vars(world)["_copies"] = world.make(embeddings=vectors)
    return vars(world)["_copies"]


def visualization(world: World) -> Any:
    import fiftyone.brain as fob

    return fob.compute_visualization(
        world.dataset, similarity_index=copies(world), method="pca", brain_key=None
    )


@feature(APART, "`find_duplicates(thresh=)`, with the right neighbours", brief=True)
def by_threshold(world: World) -> None:
    index = copies(world)
    index.find_duplicates(thresh=1e-3)
    assert set(index.duplicate_ids) == set(world.ids[-10:])
    found = {original: pairs[0] for original, pairs in index.neighbors_map.items()}
    pairs = dict(zip(world.ids[:10], world.ids[-10:], strict=True))
    assert {original: pair[0] for original, pair in found.items()} == pairs
    assert max(abs(pair[1]) for pair in found.values()) < 1e-3


@feature(APART, "`find_duplicates(fraction=)`")
def by_fraction(world: World) -> None:
    index = copies(world)
    index.find_duplicates(fraction=0.25)
    assert 13 <= len(index.duplicate_ids) <= 15
    pairs = [pair for near in index.neighbors_map.values() for pair in near]
    assert max(distance for _, distance in pairs) <= index.thresh + 1e-3


@feature(APART, "`find_duplicates` of patches")
def of_patches(world: World) -> None:
    index = world.patches
    index.find_duplicates(fraction=0.1)
    assert index.duplicate_ids
    assert set(index.duplicate_ids) < set(world.digits.label_ids)


@feature(APART, "`find_unique`")
def unique(world: World) -> None:
    index = copies(world)
    index.find_unique(15)
    assert len(index.unique_ids) == 15
    rows = [world.digits.row(str(name)) for name in index.unique_ids]
    vectors = world.digits.vectors.copy()
    vectors[-10:] = vectors[:10]
    apart = np.linalg.norm(vectors[rows][:, None] - vectors[rows], axis=2)
    assert apart[~np.eye(15, dtype=bool)].min() > index.thresh - 1e-3


@feature(APART, "`find_unique` by the dot product")
def unique_by_product(world: World) -> None:
    index = world.make(embeddings=world.digits.vectors, metric="dotproduct")
    index.find_unique(12)
    assert len(index.unique_ids) == 12


@feature(APART, "`duplicates_view`, `unique_view`")
def duplicate_views(world: World) -> None:
    index = copies(world)
    index.find_duplicates(thresh=1e-3)
    view = index.duplicates_view(type_field="kind", id_field="nearest", dist_field="apart")
    assert sorted(view.values("kind")) == ["duplicate"] * 10 + ["nearest"] * 10
    assert len(index.unique_view()) == len(world.ids) - 10


@feature(APART, "`plot_distances`")
def plotted(world: World) -> None:
    assert copies(world).plot_distances(backend="matplotlib") is not None
    assert copies(world).plot_distances() is not None


@feature(APART, "`visualize_duplicates`, `visualize_unique`")
def visualized(world: World) -> None:
    index = copies(world)
    index.find_duplicates(thresh=1e-3)
    assert index.visualize_duplicates(visualization(world), backend="matplotlib") is not None
    index.find_unique(10)
    assert index.visualize_unique(visualization(world), backend="matplotlib") is not None


@feature(GIVEN, "`compute_visualization`")
def visualizing(world: World) -> None:
    assert visualization(world).points.shape == (len(world.ids), 2)


@feature(GIVEN, "`compute_uniqueness`")
def uniqueness(world: World) -> None:
    import fiftyone.brain as fob

    fob.compute_uniqueness(world.dataset, similarity_index=copies(world), uniqueness_field="unique")
    values = world.dataset.values("unique")
    assert None not in values
    assert np.mean(values[-10:]) < np.mean(values)


@feature(GIVEN, "`compute_representativeness`")
def representativeness(world: World) -> None:
    import fiftyone.brain as fob

    fob.compute_representativeness(
        world.dataset, similarity_index=world.images, representativeness_field="typical"
    )
    assert None not in world.dataset.values("typical")


@feature(GIVEN, "`compute_near_duplicates`")
def near_duplicates(world: World) -> None:
    import fiftyone.brain as fob

    found = fob.compute_near_duplicates(
        world.dataset, threshold=1e-3, similarity_index=copies(world)
    )
    assert set(found.duplicate_ids) == set(world.ids[-10:])


@feature(GIVEN, "`compute_leaky_splits`")
def leaky_splits(world: World) -> None:
    import fiftyone.brain as fob

    world.dataset[:40].tag_samples("train")
    world.dataset[40:].tag_samples("test")
    found = fob.compute_leaky_splits(
        world.dataset, ["train", "test"], threshold=1e-3, similarity_index=copies(world)
    )
    leaks = set(found.leaks_view().values("id"))
    assert leaks == set(world.ids[:10] + world.ids[-10:])
