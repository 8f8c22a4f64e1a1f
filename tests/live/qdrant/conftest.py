"""Stores on Qdrant: embedded, on its own segments, and on the server that is given."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import vecbridge
from tests.servers.qdrant import URL, given_qdrant
from vecbridge import Store

Opener = Callable[..., Store]
PLACES = ["embedded", "edge", *(["given"] if URL else [])]


@pytest.fixture(scope="session")
def given() -> Iterator[dict[str, Any]]:
    """The settings of the server that the environment names."""
    with given_qdrant() as options:
        yield options


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """The settings that reach Qdrant."""
    if request.param == "embedded":
        return {"path": tmp_path / "collections"}
    if request.param == "given":
        return dict(request.getfixturevalue("given"))
    return dict(request.getfixturevalue("qdrant_edge").options)


@pytest.fixture
def opened(place: dict[str, Any]) -> Iterator[Opener]:
    """Opens stores, and closes them at the end."""
    with ExitStack() as stack:

        def opener(**options: Any) -> Store:
            store = vecbridge.get_backend("qdrant", **{**place, **options})
            return stack.enter_context(store)

        yield opener


@pytest.fixture
def name() -> str:
    """A name that nothing else has."""
    return f"test_{uuid.uuid4().hex[:12]}"
