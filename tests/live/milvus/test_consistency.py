"""What a read sees of the writes of its own process, on a server that makes it hard."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecbridge
from tests.live.milvus.consistency_table import LEVELS, WRITES, engine_of, probed
from vecbridge import Index, InvalidArgumentError, Store
from vecbridge_conformance.histories import DIMENSION, anomalies
from vecbridge_conformance.workload import in_threads, plans

TRIES = 5


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


@pytest.fixture(scope="module")
def probe(milvus_server_uri: str) -> Iterator[Any]:
    with probed(milvus_server_uri) as made:
        yield made


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("reader", ["this process", "another process"])
def test_no_first_strong_read_misses_a_write(probe: Any, reader: str, write: str) -> None:
    assert probe(write, "strong", reader, TRIES) == 0


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("reader", ["this process", "another, joined"])
def test_no_first_session_read_misses_a_write_of_its_session(
    probe: Any, reader: str, write: str
) -> None:
    assert probe(write, "session", reader, TRIES) == 0


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("level", LEVELS[1:])
def test_weaker_reads_in_another_process_miss_writes_so_the_others_prove_something(
    probe: Any, level: str, write: str
) -> None:
    assert probe(write, level, "another process", TRIES)


def test_a_token_of_another_index_is_refused(index: Index, store: Store) -> None:
    other = store.create_index(f"c_{uuid.uuid4().hex}", dimension=2)
    with pytest.raises(InvalidArgumentError, match="another index"):
        engine_of(index).join_session(engine_of(other).session_token())
    store.drop_index(other.info.name)


def test_strong_reads_beside_writers_show_no_record_as_it_was_long_ago_or_not_at_all(
    store: Store, tmp_path: Path
) -> None:
    index = store.create_index(f"c_{uuid.uuid4().hex}", dimension=DIMENSION, metric="euclidean")
    # The first read waits until a new collection is loaded.
    assert index.count() == 0
    crowd = plans(4, barrier=tmp_path, writers=2, seconds=4.0, levels=["strong"])
    history = in_threads(index, crowd)
    assert len(history.writes) > 10
    assert len(history.reads) > 10
    assert anomalies(history) == []
    store.drop_index(index.info.name)


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
