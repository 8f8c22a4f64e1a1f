"""Features that hold when something goes wrong."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.live.fiftyone.features._table import feature
from tests.live.fiftyone.features._world import World
from vecbridge import InvalidVectorError

GROUP = "When something goes wrong"
PLANTED = "planted-hunter2"


def dumped() -> str:
    """Everything that MongoDB holds, as text."""
    import fiftyone.core.odm as foo

    database = foo.get_db_conn()
    return "".join(
        json.dumps(document, default=str)
        for name in database.list_collection_names()
        for document in database[name].find()
    )


@feature(GROUP, "a failed `compute_similarity` leaves no run")
def failed(world: World) -> None:
    broken = np.full((len(world.ids), 4), np.nan)
    refused = InvalidVectorError if world.ours else Exception
    with pytest.raises(refused, match=r"."):  # noqa: PT012
        world.make(embeddings=broken, brain_key="failed")
        raise AssertionError("vectors that are not numbers were taken")
    assert not world.dataset.has_brain_run("failed")


@feature(GROUP, "an unknown parameter is refused, and stored nowhere", brief=True)
def unknown(world: World) -> None:
    with pytest.raises(ValueError, match="no parameter 'passwrd'"):
        world.make(embeddings=False, passwrd=PLANTED)
    assert PLANTED not in dumped()


@feature(GROUP, "no address or credential reaches MongoDB")
def secrets(world: World) -> None:
    assert world.images.key
    if "uri" in world.case.options and "://" in world.case.options["uri"]:
        assert world.case.options["uri"] not in dumped()


@feature(GROUP, "an embedding step that broke off goes on, with only what is missing")
def going_on(world: World) -> None:
    options = {"brain_key": "going_on", "skip_failures": False, "samples": world.dataset[:40]}
    with pytest.MonkeyPatch.context() as patch:
        if world.ours:
            kind = type(world.images.backend)
            patch.setattr(kind, "part_sizes", replace(kind.part_sizes, first=10))
        with pytest.raises(RuntimeError, match="out of memory"):
            world.make(model=world.models.CountingModel(fail_after=35), **options)
    model = world.models.CountingModel()
    index = world.make(model=model, **options)
    assert index.total_index_size == 40
    assert model.seen <= 10


@feature(GROUP, "writes of another process are seen")
def other_writer(world: World) -> None:
    import vecbridge.fiftyone

    index = world.first_twenty
    if not world.ours:
        index.save()
    vecbridge.fiftyone.close_stores()
    remove = """
import fiftyone as fo
import vecbridge.fiftyone
name, key, options, ids = arguments
dataset = fo.load_dataset(name)
dataset.reload()
dataset.load_brain_results(key, cache=False, **options).remove_from_index(sample_ids=ids)
vecbridge.fiftyone.close_stores()
answer = None
"""
    options = {name: value for name, value in world.case.options.items() if name != "path"}
    world.run_elsewhere(remove, world.dataset.name, index.key, options, world.ids[:4])
    index.reload()
    assert index.total_index_size == 16
    assert not set(world.ids[:4]) & set(index._kneighbors(world.digits.vectors[0], k=20)[0])


@feature(GROUP, "a collection that vanished says so, and harms nothing else", brief=True)
def vanished(world: World) -> None:
    index = world.make(embeddings=world.digits.vectors[:4], samples=world.dataset[:4])
    index.cleanup()
    loaded = world.dataset.load_brain_results(index.key, cache=False, **_secrets(world))
    with pytest.raises(LookupError, match="does not exist"):
        loaded.sort_by_similarity(world.ids[0], k=3)
    assert {index.key, world.images.key} <= set(world.dataset.list_brain_runs())
    assert len(world.images.sort_by_similarity(world.ids[0], k=3)) == 3


def _secrets(world: World) -> dict[str, str]:
    return {name: value for name, value in world.case.options.items() if name != "path"}


@feature(GROUP, "vectors of another dimension are refused")
def other_dimension(world: World) -> None:
    index = world.first_twenty
    with pytest.raises(ValueError, match="dimension"):
        index.add_to_index(world.digits.vectors[:2, :8], world.ids[:2])
    assert index.total_index_size == 20


@feature(GROUP, "a clone of the dataset reads the index, and changes nothing of the original's")
def cloned(world: World) -> None:
    index = world.make(embeddings=world.digits.vectors, brain_key="cloned")
    index.save()
    clone = world.dataset.clone()
    try:
        of_clone = clone.load_brain_results("cloned", cache=False, **world.case.options)
        before = of_clone.total_index_size
        try:
            of_clone.remove_from_index(sample_ids=world.ids[:5])
            of_clone.cleanup()
        except ValueError as error:
            assert "detach()" in str(error)  # noqa: PT017
        again = world.dataset.load_brain_results("cloned", cache=False, **world.case.options)
        assert (before, again.total_index_size) == (len(world.ids), len(world.ids))
    finally:
        clone.delete()
