"""A store pickles as its configuration, without secrets, and an index with its store."""

from __future__ import annotations

import asyncio
import copy
import json
import multiprocessing
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from tests.engine import make_engine
from vecbridge import (
    AsyncIndex,
    AsyncStore,
    ClosedError,
    ConfigurationError,
    Hits,
    Index,
    IndexNotFoundError,
    SchemaMismatchError,
    Store,
    UnsupportedError,
    get_backend,
)
from vecbridge_sklearn import SklearnBackend, SklearnSettings

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
SECRET = "hunter2-and-more"
HOST = "http://somewhere:19530"
VARIABLE = "FIFTYONE_BRAIN_SIMILARITY_MILVUS_"
MILVUS: dict[str, dict[str, Any]] = {
    "password": {"uri": HOST, "user": "me", "password": SECRET},
    "token": {"uri": HOST, "token": SECRET},
    "address": {"uri": f"http://me:{SECRET}@somewhere:19530/db"},
    "key in address": {"uri": f"http://{SECRET}@somewhere:19530"},
}


@pytest.fixture(autouse=True)
def no_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FIFTYONE_BRAIN_CONFIG_PATH", str(tmp_path / "none.json"))


def travelled(value: Any, protocol: int = pickle.HIGHEST_PROTOCOL) -> Any:
    return pickle.loads(pickle.dumps(value, protocol))


def settings_of(store: Store) -> dict[str, Any]:
    backend: Any = store.backend
    return dict(backend.settings)


@pytest.mark.parametrize("backend", ["sklearn", "faiss", "torch"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_store_and_its_index_arrive(backend: str, protocol: int, tmp_path: Path) -> None:
    with get_backend(backend, path=tmp_path) as store:
        index = store.create_index("photos", dimension=2, metric="euclidean")
        index.upsert(["a", "b"], [[1, 0], [0, 1]])
        there, open_there = travelled((store, index), protocol)
        assert type(there) is Store
        assert isinstance(open_there, Index)
        assert there.name == backend
        assert there.index_names() == ["photos"]
        assert open_there.info == index.info
        assert open_there.search([1, 0]) == index.search([1, 0])
        open_there.upsert(["c"], [[2, 2]])
        assert index.count() == 3
        assert repr(open_there) == repr(index)
        there.close()
        with pytest.raises(ClosedError):
            open_there.count()
        assert index.count() == 3


@pytest.mark.parametrize("backend", ["sklearn", "faiss", "torch"])
@pytest.mark.parametrize("path", [None, ":memory:"])
@pytest.mark.parametrize("way", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_store_in_memory_is_refused(backend: str, path: Any, way: Callable[[Any], Any]) -> None:
    with get_backend(backend, path=path) as store:
        index = store.create_index("photos", dimension=2)
        values: list[Any] = [store, index]
        if way is not copy.copy:
            # A shallow copy of an awaited store is one over the same store.
            values += [AsyncStore(store), AsyncIndex(index, AsyncStore(store))]
        for value in values:
            with pytest.raises(UnsupportedError, match="in this process alone") as caught:
                way(value)
            assert caught.value.capability == "shared"
        assert index.count() == 0


def test_a_store_and_an_index_made_by_hand_are_refused(tmp_path: Path) -> None:
    with Store(SklearnBackend(SklearnSettings(path=tmp_path))) as store:
        with pytest.raises(UnsupportedError, match="get_backend"):
            pickle.dumps(store)
        with pytest.raises(UnsupportedError, match="get_backend"):
            pickle.dumps(store.create_index("photos", dimension=2))
    with pytest.raises(UnsupportedError, match="open_index"):
        pickle.dumps(Index(make_engine(2)))


def test_a_copy_is_a_store_of_its_own(tmp_path: Path) -> None:
    with get_backend("sklearn", path=tmp_path) as store:
        index = store.create_index("photos", dimension=2)
        for way in (copy.copy, copy.deepcopy):
            other, other_index = way(store), way(index)
            assert other.index_names() == ["photos"]
            assert other.backend is not store.backend
            assert other_index.count() == 0
            other.close()
            other_index.close()
        assert index.count() == 0


def test_a_relative_path_is_one_of_the_process_that_was_given_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with get_backend("sklearn", path="records") as store:
        index = store.create_index("photos", dimension=2)
        data = pickle.dumps((store, index))
        monkeypatch.chdir(tmp_path / "there")
        arrived, opened = pickle.loads(data)
        with arrived:
            assert opened.count() == 0
            assert arrived.backend.store.folder == tmp_path / "here" / "records"
    assert not (tmp_path / "there" / "records").exists()


def test_levels_and_metrics_travel(tmp_path: Path) -> None:
    given = {"path": tmp_path, "metric": "euclidean", "consistency_level": "session"}
    with get_backend("sklearn", **given) as store:
        with travelled(store) as there:
            info = there.create_index("photos", dimension=2).info
            assert (info.metric, info.consistency) == ("euclidean", "session")
        index = store.open_index("photos", consistency="eventual")
        assert travelled(travelled(index)).info.consistency == "eventual"


def test_an_index_that_is_gone_or_another_is_told_at_its_first_use(tmp_path: Path) -> None:
    with get_backend("sklearn", path=tmp_path) as store:
        index = store.create_index("photos", dimension=2)
        data = pickle.dumps(index)
        store.drop_index("photos")
        arrived = pickle.loads(data)
        with pytest.raises(IndexNotFoundError):
            arrived.count()
        store.create_index("photos", dimension=3)
        with pytest.raises(SchemaMismatchError, match="dimension 2"):
            arrived.count()
        arrived.close()


def test_closing_what_was_never_used_opens_nothing(tmp_path: Path) -> None:
    with get_backend("sklearn", path=tmp_path / "records") as store:
        index = store.create_index("photos", dimension=2)
        there, opened = travelled((store, index))
    opened.close()
    there.close()
    there.close()
    with pytest.raises(ClosedError, match="was closed"):
        there.index_names()
    with pytest.raises(ClosedError):
        opened.count()
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = opened.nothing


def first_use(store: Store, index: Index, start: threading.Barrier) -> tuple[Any, Any]:
    start.wait()
    return store.backend, index.engine


def test_many_threads_make_one_connection(tmp_path: Path) -> None:
    with get_backend("sklearn", path=tmp_path) as store:
        index = store.create_index("photos", dimension=2)
        for _ in range(20):
            there, opened = travelled((store, index))
            start = threading.Barrier(4)
            with ThreadPoolExecutor(4) as pool:
                used = [pool.submit(first_use, there, opened, start) for _ in range(4)]
            found = [each.result() for each in used]
            assert len({id(backend) for backend, _ in found}) == 1
            assert len({id(engine) for _, engine in found}) == 1
            there.close()


@pytest.mark.parametrize("kind", MILVUS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_secret_is_in_a_pickle(kind: str, protocol: int) -> None:
    with get_backend("milvus", **MILVUS[kind]) as store:
        data = pickle.dumps(store, protocol)
        assert SECRET.encode() not in data
        assert SECRET.encode("utf-16-le") not in data
        assert b"hunter2" not in data


@pytest.mark.parametrize("kind", MILVUS)
def test_what_is_needed_for_a_secret_is_said_at_the_first_use(kind: str) -> None:
    with get_backend("milvus", **MILVUS[kind]) as store:
        there = travelled(store)
    wanted = "PASSWORD" if kind in {"password", "address"} else "TOKEN"
    with pytest.raises(ConfigurationError) as caught:
        there.index_names()
    said = str(caught.value)
    assert f"set {VARIABLE}{wanted}, " in said
    assert "similarity_backends.milvus of brain_config.json" in said
    assert SECRET not in said
    there.close()


@pytest.mark.parametrize("place", ["environment", "file"])
@pytest.mark.parametrize("kind", MILVUS)
def test_the_secret_of_the_other_process_is_used(
    kind: str, place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key = "password" if kind in {"password", "address"} else "token"
    with get_backend("milvus", **MILVUS[kind]) as store:
        expected = settings_of(store)
        there = travelled(store)
    if place == "environment":
        monkeypatch.setenv(f"{VARIABLE}{key.upper()}", SECRET)
    else:
        file = tmp_path / "brain_config.json"
        file.write_text(json.dumps({"similarity_backends": {"milvus": {key: SECRET}}}))
        monkeypatch.setenv("FIFTYONE_BRAIN_CONFIG_PATH", str(file))
    assert settings_of(there) == expected
    assert settings_of(there)[key].get_secret_value() == SECRET


@pytest.mark.parametrize("name", ["uri", "timeout"])
def test_what_the_environment_says_here_and_there_is_taken_whole(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address with a password in it, in the same variable of both processes."""
    monkeypatch.setenv(f"{VARIABLE}URI", f"http://me:{SECRET}@somewhere:19530/db")
    given = {} if name == "uri" else {"timeout": 5.0}
    with get_backend("milvus", **given) as store:
        there = travelled(store)
        assert settings_of(there) == settings_of(store)
        monkeypatch.setenv(f"{VARIABLE}URI", f"http://me:{SECRET}@elsewhere:19530/db")
        other = travelled(store)
        with pytest.raises(ConfigurationError, match="PASSWORD") as caught:
            settings_of(other)
        assert SECRET not in str(caught.value)


def test_another_environment_does_not_make_it_another_store(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with get_backend("milvus", uri=HOST) as store:
        there = travelled(store)
        monkeypatch.setenv(f"{VARIABLE}TOKEN", SECRET)
        monkeypatch.setenv(f"{VARIABLE}TIMEOUT", "1")
        assert settings_of(there) == settings_of(store)
    monkeypatch.setenv("FIFTYONE_BRAIN_SIMILARITY_SKLEARN_PATH", str(tmp_path / "one"))
    with get_backend("sklearn") as local:
        data = pickle.dumps(local)
        monkeypatch.setenv("FIFTYONE_BRAIN_SIMILARITY_SKLEARN_PATH", str(tmp_path / "two"))
        assert pickle.loads(data).backend.store.folder == tmp_path / "one"
        monkeypatch.delenv("FIFTYONE_BRAIN_SIMILARITY_SKLEARN_PATH")
        assert pickle.loads(data).backend.store.folder == tmp_path / "one"


def test_awaited_ones_travel(tmp_path: Path) -> None:
    async def make() -> bytes:
        async with AsyncStore(get_backend("sklearn", path=tmp_path), readers=2) as store:
            index = await store.create_index("photos", dimension=2, metric="euclidean")
            await index.upsert(["a"], [[1, 0]])
            return pickle.dumps((store, index))

    async def use(data: bytes) -> list[Hits]:
        store, index = pickle.loads(data)
        async with store:
            assert type(store) is AsyncStore
            assert type(index) is AsyncIndex
            return await index.search([1, 0])

    assert asyncio.run(use(asyncio.run(make())))[0].ids == ("a",)


class Work:
    """What a pool is given to do."""

    sent: ClassVar[np.ndarray] = np.eye(2, dtype=np.float32)

    @staticmethod
    def write(index: Index, number: int) -> int:
        index.upsert([f"{number}"], Work.sent[:1] * number)
        return index.count()

    @staticmethod
    def names(store: Store) -> list[str]:
        return store.index_names()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn"])
def test_a_pool_of_processes_uses_what_it_is_given(method: str, tmp_path: Path) -> None:
    context = multiprocessing.get_context(method)
    with (
        get_backend("sklearn", path=tmp_path) as store,
        get_backend("milvus", uri=HOST, token=SECRET) as secret,
        ProcessPoolExecutor(2, mp_context=context) as pool,
    ):
        index = store.create_index("photos", dimension=2, metric="euclidean")
        list(pool.map(Work.write, [index] * 4, range(4)))
        assert index.fetch(["0", "1", "2", "3"]).missing == ()
        assert pool.submit(Work.names, store).result(timeout=60) == ["photos"]
        with pytest.raises(ConfigurationError, match="MILVUS_TOKEN"):
            pool.submit(Work.names, secret).result(timeout=60)
        assert pool.submit(Work.names, store).result(timeout=60) == ["photos"]
