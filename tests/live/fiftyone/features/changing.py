"""Adding and removing."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.live.fiftyone.features._table import feature
from tests.live.fiftyone.features._world import World

ADDING, REMOVING = "`add_to_index`", "`remove_from_index`"


@contextmanager
def logged() -> Iterator[list[str]]:
    """The warnings of a block."""
    said: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    loggers = [logging.getLogger(name) for name in ("fiftyone", "vecbridge")]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield said
    finally:
        for logger in loggers:
            logger.removeHandler(handler)


def has(world: World, index: object, row: int, source: int) -> None:
    vectors = index.get_embeddings(sample_ids=[world.ids[row]])[0]  # type: ignore[attr-defined]
    world.same_vectors(vectors, world.digits.vectors[[source]])


@feature(ADDING, "`overwrite=True` replaces, and counts once", brief=True)
def overwriting(world: World) -> None:
    index = world.first_twenty
    index.add_to_index(world.digits.vectors[20:35], world.ids[10:25])
    assert index.total_index_size == 25
    has(world, index, 12, 22)
    has(world, index, 9, 9)


@feature(ADDING, "`overwrite=False` keeps what is there")
def keeping(world: World) -> None:
    index = world.first_twenty
    index.add_to_index(world.digits.vectors[20:35], world.ids[10:25], overwrite=False)
    assert index.total_index_size == 25
    has(world, index, 12, 12)
    has(world, index, 22, 32)


@feature(ADDING, "`allow_existing=False` refuses, and changes nothing")
def refusing(world: World) -> None:
    index = world.first_twenty
    with pytest.raises(ValueError, match=r"."):
        index.add_to_index(
            world.digits.vectors[20:35], world.ids[10:25], overwrite=False, allow_existing=False
        )
    assert index.total_index_size == 20
    has(world, index, 12, 12)


@feature(ADDING, "`warn_existing=True` warns")
def warning(world: World) -> None:
    index = world.first_twenty
    with logged() as said:
        index.add_to_index(
            world.digits.vectors[20:35], world.ids[10:25], overwrite=False, warn_existing=True
        )
    assert any("10" in message for message in said)
    assert index.total_index_size == 25


@feature(ADDING, "lists, and float64")
def lists(world: World) -> None:
    index = world.first_twenty
    index.add_to_index(world.digits.vectors[20:22].astype("float64").tolist(), world.ids[20:22])
    assert index.total_index_size == 22
    has(world, index, 21, 21)


@feature(ADDING, "patches")
def patches(world: World) -> None:
    index = world.all_patches
    assert index.total_index_size == len(world.digits.label_ids)


@feature(REMOVING, "by sample ids, gone at once", brief=True)
def by_sample(world: World) -> None:
    index = world.first_twenty
    index.remove_from_index(sample_ids=world.ids[:5])
    assert index.total_index_size == 15
    found = index._kneighbors(world.digits.vectors[0], k=20)[0]
    assert set(found) == set(world.ids[5:20])


@feature(REMOVING, "`allow_missing=True` ignores ids that are not there")
def allowing(world: World) -> None:
    index = world.first_twenty
    index.remove_from_index(sample_ids=world.ids[18:25])
    assert index.total_index_size == 18


@feature(REMOVING, "`allow_missing=False` refuses, and changes nothing")
def refusing_missing(world: World) -> None:
    index = world.first_twenty
    with pytest.raises(ValueError, match=r"."):
        index.remove_from_index(sample_ids=world.ids[18:22], allow_missing=False)
    assert index.total_index_size == 20


@feature(REMOVING, "`warn_missing=True` warns")
def warning_missing(world: World) -> None:
    index = world.first_twenty
    with logged() as said:
        index.remove_from_index(sample_ids=world.ids[18:22], warn_missing=True)
    assert any("2" in message for message in said)
    assert index.total_index_size == 18


@feature(REMOVING, "patches by label ids")
def by_label(world: World) -> None:
    index = world.all_patches
    index.remove_from_index(label_ids=world.digits.label_ids[:3])
    assert index.total_index_size == len(world.digits.label_ids) - 3


@feature(REMOVING, "patches by sample ids: all of a sample's")
def patches_by_sample(world: World) -> None:
    index = world.all_patches
    index.remove_from_index(sample_ids=[world.ids[5], world.ids[8]])
    assert index.total_index_size == len(world.digits.label_ids) - 4
