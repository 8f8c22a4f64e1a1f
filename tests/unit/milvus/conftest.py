"""A Milvus of the tests' own, whose calls are noted and whose answers can be changed."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import vecbridge
from tests.servers.milvus_wire import Wire, serving_wire
from vecbridge import Index, Store


@pytest.fixture(scope="session")
def _running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    pytest.importorskip("milvus_lite")
    with serving_wire(tmp_path_factory.mktemp("wire")) as running:
        yield running


@pytest.fixture
def wire(_running: Wire) -> Iterator[Wire]:
    """The server, which answers as it should when a test begins."""
    _running.clear()
    yield _running
    _running.clear()


@pytest.fixture
def opened(wire: Wire) -> Iterator[Callable[..., Store]]:
    """Opens stores on the server, and closes them."""
    stores: list[Store] = []

    def get(**options: Any) -> Store:
        settings = {"uri": wire.uri, "timeout": 5, "retry_timeout": 0, **options}
        stores.append(vecbridge.get_backend("milvus", **settings))
        return stores[-1]

    yield get
    for each in stores:
        each.close()


@pytest.fixture
def store(opened: Callable[..., Store]) -> Store:
    """A store that tries each call once."""
    return opened()


@pytest.fixture
def make_index(store: Store) -> Callable[..., Index]:
    """Makes an empty index of a new name."""

    def make(**options: Any) -> Index:
        return store.create_index(f"t_{uuid.uuid4().hex}", **options)

    return make
