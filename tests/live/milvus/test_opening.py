"""What a server is asked until an index can be searched, and what is not asked again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import vecbridge
from vecbridge import Index, Store

ASKED = ["describe_collection", "describe_index", "get_load_state"]
"""What it is, how it is indexed, and whether it is in memory."""


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the client's methods, as they are called."""
    from pymilvus import MilvusClient

    seen: list[str] = []

    def told(name: str) -> Any:
        method = getattr(MilvusClient, name)

        def called(self: Any, *args: Any, **kwargs: Any) -> Any:
            seen.append(name)
            return method(self, *args, **kwargs)

        return called

    for name in [*ASKED, "has_collection", "list_indexes", "load_collection"]:
        monkeypatch.setattr(MilvusClient, name, told(name))
    return seen


@pytest.fixture
def name(make_index: Callable[..., Index]) -> str:
    index = make_index(dimension=3, metric="euclidean")
    index.upsert(["a", "b"], np.eye(3)[:2])
    assert index.count(consistency="strong") == 2
    return index.info.name


@pytest.fixture
def reader(milvus_uri: str) -> Iterator[Store]:
    """A store of its own, through which nothing was read yet."""
    with vecbridge.get_backend("milvus", uri=milvus_uri) as store:
        yield store


def test_opening_asks_the_server_each_thing_once(
    reader: Store, name: str, calls: list[str]
) -> None:
    for _ in range(2):
        reader.open_index(name)
        assert calls == ASKED
        calls.clear()


@pytest.mark.parametrize("milvus_uri", ["server"], indirect=True)
def test_what_another_client_released_is_loaded_once(
    reader: Store, name: str, calls: list[str]
) -> None:
    reader.backend.client.release_collection(name)  # type: ignore[attr-defined]
    for _ in range(2):
        assert reader.open_index(name).count(consistency="strong") == 2
    assert calls.count("load_collection") == 1


@pytest.mark.parametrize("milvus_uri", ["server"], indirect=True)
def test_an_index_of_another_name_than_its_field_is_found(
    reader: Store, name: str, calls: list[str]
) -> None:
    client: Any = reader.backend.client  # type: ignore[attr-defined]
    client.release_collection(name)
    client.drop_index(name, "vector")
    made = client.prepare_index_params()
    made.add_index("vector", index_type="FLAT", index_name="theirs", metric_type="L2")
    client.create_index(name, made)
    client.load_collection(name)
    calls.clear()
    assert reader.open_index(name).search([1, 0, 0], 1)[0].ids == ("a",)
    assert calls[:4] == ["describe_collection", "describe_index", "list_indexes", "describe_index"]
