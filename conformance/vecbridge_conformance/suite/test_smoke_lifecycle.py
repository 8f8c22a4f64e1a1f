"""A store is opened, an index made, used, closed and dropped.

Every test takes an index of the same schema, so that a server for which making one is slow makes
one or two of them.
"""

from __future__ import annotations

import inspect

import pytest

from vecbridge import Backend, IndexNotFoundError, VectorIndex
from vecbridge_conformance import Harness, clause, vacuous


@clause("CAP-3")
def test_the_engine_has_every_method_of_the_protocol(harness: Harness) -> None:
    """Look at the signatures of the index class: names, order and defaults are the protocol's."""
    engine = harness.index(metric="euclidean").engine
    assert _departures(VectorIndex, engine) == []


@clause("CAP-3")
def test_the_backend_has_every_method_of_the_protocol(harness: Harness) -> None:
    """Look at the signatures of the backend class: names, order and defaults are the protocol's."""
    assert _departures(Backend, harness.store.backend) == []
    assert isinstance(harness.store.backend.name, str)


@clause("WRITE-1", "SEARCH-3", "READ-5")
def test_a_record_is_written_counted_and_found(harness: Harness) -> None:
    """Look at upsert first, then at search."""
    index = harness.index(metric="euclidean")
    index.upsert(["near", "far"], [[0.0, 1.0, 0.0, 0.0], [3.0, 4.0, 0.0, 0.0]])
    assert index.count() == 2
    assert index.search([0.0] * 4, k=2)[0].ids == ("near", "far")


@clause("INDEX-3", "READ-5")
def test_a_new_index_is_empty(harness: Harness) -> None:
    """Look at create_index: does it take over what an index of that name had?"""
    index = harness.index(metric="euclidean")
    assert index.count() == 0
    assert list(index.scan()) == []


@clause("SEARCH-3")
def test_an_empty_index_gives_empty_answers(harness: Harness) -> None:
    """Look at search on no records: no padding, no error."""
    index = harness.index(metric="euclidean")
    assert [len(hits) for hits in index.search([[1, 2, 3, 4], [4, 3, 2, 1]], k=5)] == [0, 0]


@clause("INDEX-9")
def test_making_a_backend_connects_to_nothing(harness: Harness) -> None:
    """Look at __init__: connect in the first method that needs the store."""
    folder = harness.folder()
    deployment = harness.deployment
    copies = (deployment.unreachable(2.0), deployment.elsewhere(folder))
    if copies == (None, None):
        vacuous("the deployment names neither a server nor a place for files")
    for copy in filter(None, copies):
        with copy.open() as store:
            assert store.name
    assert list(folder.iterdir()) == []


@clause("INDEX-7")
def test_a_dropped_index_is_gone(harness: Harness) -> None:
    """Look at drop_index and at open_index of a name that is not there."""
    name = harness.index(metric="euclidean").info.name
    harness.store.drop_index(name)
    assert name not in harness.store.index_names()
    with pytest.raises(IndexNotFoundError):
        harness.store.open_index(name)
    with pytest.raises(IndexNotFoundError):
        harness.store.drop_index(name)


def _departures(protocol: type, found: object) -> list[str]:
    """Return how an object departs from a protocol: a property may be a plain attribute."""
    wrong = []
    for name, wanted in vars(protocol).items():
        if name.startswith("_") or not (inspect.isfunction(wanted) or isinstance(wanted, property)):
            continue
        has = inspect.getattr_static(found, name, None)
        if has is None:
            wrong.append(f"{name} is missing")
        elif inspect.isfunction(wanted):
            wrong.extend(_differences(name, wanted, getattr(type(found), name)))
    return wrong


def _differences(name: str, wanted: object, has: object) -> list[str]:
    if not callable(wanted) or not callable(has):
        return [f"{name} is not a method"]
    ours = inspect.signature(wanted).parameters
    theirs = inspect.signature(has).parameters
    return [
        f"{name}: parameter {parameter.name!r} should be {parameter.kind.description}"
        + ("" if parameter.default is parameter.empty else f" = {parameter.default!r}")
        for parameter in ours.values()
        if parameter.name not in theirs
        or theirs[parameter.name].kind != parameter.kind
        or theirs[parameter.name].default != parameter.default
    ]
