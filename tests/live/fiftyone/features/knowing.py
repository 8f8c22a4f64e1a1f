"""Features by which an index describes itself."""

from __future__ import annotations

import pytest

from tests.live.fiftyone.features._table import feature
from tests.live.fiftyone.features._world import World

GETTING, KNOWING = "`get_embeddings`", "Sizes, ids and views"


@feature(GETTING, "of some samples; a single id too")
def some(world: World) -> None:
    wanted = [world.ids[row] for row in (7, 3, 11)]
    vectors, ids, labels = world.images.get_embeddings(sample_ids=wanted)
    assert sorted(ids) == sorted(wanted)
    assert labels is None
    world.same_vectors(vectors, world.digits.vectors[[world.digits.row(name) for name in ids]])
    assert list(world.images.get_embeddings(sample_ids=wanted[0])[1]) == wanted[:1]


@feature(GETTING, "of all")
def everything(world: World) -> None:
    vectors, ids, _ = world.images.get_embeddings()
    assert sorted(ids) == sorted(world.ids)
    world.same_vectors(vectors, world.digits.vectors[[world.digits.row(name) for name in ids]])


@feature(GETTING, "of patches by label, and of all")
def patches(world: World) -> None:
    digits = world.digits
    vectors, _, labels = world.patches.get_embeddings(label_ids=digits.label_ids[4:9])
    assert sorted(labels) == sorted(digits.label_ids[4:9])
    rows = [digits.label_ids.index(label) for label in labels]
    world.same_vectors(vectors, digits.patch_vectors[rows])
    assert len(world.patches.get_embeddings()[2]) == len(digits.label_ids)


@feature(GETTING, "of patches by sample", brief=True)
def patches_by_sample(world: World) -> None:
    owner = world.ids[5]
    _, samples, labels = world.patches.get_embeddings(sample_ids=[owner])
    owned = zip(world.digits.label_ids, world.digits.label_samples, strict=True)
    assert sorted(labels) == sorted(label for label, name in owned if name == owner)
    assert set(samples) == {owner}


@feature(GETTING, "ids that are not there: left out, or refused")
def missing(world: World) -> None:
    index = world.first_twenty
    assert sorted(index.get_embeddings(sample_ids=world.ids[18:22])[1]) == sorted(world.ids[18:20])
    with pytest.raises(ValueError, match=r"."):
        index.get_embeddings(sample_ids=world.ids[18:22], allow_missing=False)


@feature(KNOWING, "`total_index_size`, exact after adding and removing", brief=True)
def total(world: World) -> None:
    index = world.first_twenty
    index.add_to_index(world.digits.vectors[:20], world.ids[:20])
    index.remove_from_index(sample_ids=world.ids[:7])
    assert index.total_index_size == 13


@feature(KNOWING, "`sample_ids`, `label_ids`")
def ids(world: World) -> None:
    assert sorted(world.images.sample_ids) == sorted(world.ids)
    assert world.images.label_ids is None
    assert sorted(world.patches.label_ids) == sorted(world.digits.label_ids)
    assert set(world.patches.sample_ids) == set(world.digits.label_samples)


@feature(KNOWING, "`index_size`, `missing_size` in a view")
def sizes(world: World) -> None:
    index = world.first_twenty
    assert index.index_size == 20
    with index.use_view(world.dataset[15:30]):
        assert (index.index_size, index.missing_size) == (5, 10)
        assert sorted(index.current_sample_ids) == sorted(world.ids[15:20])
    assert (index.index_size, index.missing_size) == (20, None)


@feature(KNOWING, "`use_view(allow_missing=False)` refuses")
def strict_view(world: World) -> None:
    index = world.first_twenty
    with (
        index.use_view(world.dataset[15:30], allow_missing=False),
        pytest.raises(ValueError, match="not present"),
    ):
        index.index_size  # noqa: B018


@feature(KNOWING, "`values`, in the order of the current ids")
def values(world: World) -> None:
    digits = dict(zip(world.ids, world.dataset.values("digit.label"), strict=True))
    with world.images.use_view(world.dataset[5:25]):
        found = world.images.values("digit.label")
        current = world.images.current_sample_ids
        assert found == [digits[str(name)] for name in current]
    assert len(world.patches.values("halves.detections.label")) == len(world.digits.label_ids)


@feature(KNOWING, "`use_view`, `clear_view`, `has_view`")
def using_views(world: World) -> None:
    index = world.images
    assert not index.has_view
    index.use_view(world.dataset[:20])
    assert index.has_view
    assert (index.index_size, index.total_index_size) == (20, len(world.ids))
    index.clear_view()
    assert not index.has_view


@feature(KNOWING, "`reload` takes changes of the view in")
def reloaded(world: World) -> None:
    index = world.first_twenty
    world.dataset[:8].tag_samples("chosen")
    with index.use_view(world.dataset.match_tags("chosen")):
        assert index.index_size == 8
        world.dataset[8:10].tag_samples("chosen")
        index.reload()
        assert index.index_size == 10
    world.dataset.untag_samples("chosen")


@feature(KNOWING, "`compute_embeddings(skip_existing=True)`")
def only_missing(world: World) -> None:
    index = world.first_twenty
    model = world.models.CountingModel()
    vectors, ids, _ = index.compute_embeddings(world.dataset[15:30], model, skip_existing=True)
    assert model.seen == 10
    assert sorted(ids) == sorted(world.ids[20:30])
    index.add_to_index(vectors, ids)
    assert index.total_index_size == 30
