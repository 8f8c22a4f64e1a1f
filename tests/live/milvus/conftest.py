"""One store of each kind, and the digits that hostile ids are made of."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import vecbridge
from vecbridge import Index, Store


@pytest.fixture(scope="session")
def lite_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A path of Milvus Lite."""
    path: Path = tmp_path_factory.mktemp("lite") / "vectors.db"
    return str(path)


@pytest.fixture(scope="module", params=["lite", "server"])
def milvus_uri(request: pytest.FixtureRequest) -> str:
    """Where a Milvus is: Lite by path, then a real server."""
    uri: str = request.getfixturevalue(
        "lite_uri" if request.param == "lite" else "milvus_server_uri"
    )
    return uri


@pytest.fixture(scope="module")
def milvus_store(milvus_uri: str) -> Iterator[Store]:
    """A store on it."""
    with vecbridge.get_backend("milvus", uri=milvus_uri) as store:
        yield store


@pytest.fixture(scope="module")
def make_index(milvus_store: Store) -> Callable[..., Index]:
    """Makes an empty index of a new name."""

    def make(**options: Any) -> Index:
        name = f"t_{uuid.uuid4().hex}"
        return milvus_store.create_index(name, **options)

    return make
