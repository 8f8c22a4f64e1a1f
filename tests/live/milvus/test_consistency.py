"""What a read sees of the writes of its own process, on a server that makes it hard."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import numpy as np
import pytest

import vecbridge
from vecbridge import Index, Store

TRIES = 8


@pytest.fixture(scope="module")
def store(milvus_server_uri: str) -> Iterator[Store]:
    with vecbridge.get_backend("milvus", uri=milvus_server_uri) as opened:
        yield opened


@pytest.fixture(scope="module")
def index(store: Store) -> Index:
    made = store.create_index(f"c_{uuid.uuid4().hex}", dimension=4, metric="euclidean")
    made.upsert(["anchor"], np.ones((1, 4)))
    return made


def test_a_server_offers_every_level_and_begins_with_session(index: Index) -> None:
    assert index.capabilities.consistency == {"strong", "session", "bounded", "eventual"}
    assert index.info.consistency == "session"


def test_a_session_sees_its_own_upserts_replacements_and_deletes(index: Index) -> None:
    for number in range(TRIES):
        name = f"own-{number}"
        index.upsert([name], np.zeros((1, 4)))
        assert index.contains([name]).all()
        index.upsert([name], np.full((1, 4), 7.0))
        assert index.fetch([name]).vectors.tolist() == [[7.0] * 4]
        index.delete([name])
        assert index.fetch([name]).missing == (name,)
        assert name not in index.search(np.full(4, 7.0), 5)[0].ids


def test_a_session_spans_stores_and_spellings_of_the_address(
    index: Index, milvus_server_uri: str
) -> None:
    other_uri = milvus_server_uri.replace("127.0.0.1", "localhost")
    with vecbridge.get_backend("milvus", uri=other_uri) as other:
        reader = other.open_index(index.info.name)
        for number in range(TRIES):
            index.upsert([f"far-{number}"], np.zeros((1, 4)))
            assert reader.contains([f"far-{number}"]).all()
            index.delete([f"far-{number}"])
            assert not reader.contains([f"far-{number}"]).any()


def test_weak_reads_are_really_weak_so_the_others_prove_something(index: Index) -> None:
    missed = 0
    for number in range(TRIES):
        index.upsert([f"weak-{number}"], np.zeros((1, 4)))
        missed += int(not index.contains([f"weak-{number}"], consistency="eventual").any())
    assert missed


def test_the_level_of_creation_is_read_back(store: Store) -> None:
    name = f"c_{uuid.uuid4().hex}"
    store.create_index(name, dimension=2, consistency="bounded")
    assert store.open_index(name).info.consistency == "bounded"


def test_lite_is_strong_whatever_is_asked(lite_uri: str) -> None:
    with vecbridge.get_backend("milvus", uri=lite_uri, consistency_level="Session") as lite:
        index = lite.create_index(f"c_{uuid.uuid4().hex}", dimension=2)
        assert index.capabilities.consistency == {"strong"}
        assert index.info.consistency == "strong"
        index.upsert(["a"], [[1, 2]])
        assert index.contains(["a"], consistency="eventual").all()
