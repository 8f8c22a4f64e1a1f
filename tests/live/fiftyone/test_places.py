"""Where an index is, is kept with its run, however it was spelled: another process finds it."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from tests.live.fiftyone.cases import Case, Digits, Elsewhere, new_run
from vecbridge import ConfigurationError

SPELLINGS = [
    "bare",
    "some/where",
    "./dotted",
    "../up",
    "trailing/",
    "~/home",
    "me@corp.example/v",
    "/{tmp}/me@corp.example/v",
    "with space",
    "/{tmp}/link/v",
    "pathlike",
]
SIZE = """
import os
import fiftyone as fo
os.chdir("/")
dataset = fo.load_dataset(arguments[0])
dataset.reload()
index = dataset.load_brain_results(arguments[1], cache=False)
answer = [index.total_index_size, index.config.path if arguments[2] == "path" else index.config.uri]
"""
CONFIGURED = """
import logging, os
import fiftyone as fo
folder, environment, name, key = arguments
before, here = dict(os.environ), os.getcwd()
said = []
note = logging.Handler()
note.emit = lambda record: said.append(record.getMessage())
logger = logging.getLogger("vecbridge.fiftyone")
logger.addHandler(note)
try:
    os.chdir(folder)
    os.environ.update(environment)
    dataset = fo.load_dataset(name)
    dataset.reload()
    answer = [dataset.load_brain_results(key, cache=False).total_index_size, said]
finally:
    logger.removeHandler(note)
    os.chdir(here)
    os.environ.clear()
    os.environ.update(before)
"""
PREFIX = "FIFTYONE_BRAIN_SIMILARITY_"
BACKENDS = ["vecbridge_sklearn", "vecbridge_faiss", "vecbridge_torch"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_path_of_any_spelling_is_found_by_another_process(
    backend: str,
    digits: Digits,
    elsewhere: Elsewhere,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = tmp_path / "here"
    for folder in (here, tmp_path / "target"):
        folder.mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(tmp_path))
    for spelling in SPELLINGS:
        text = spelling.replace("/{tmp}", str(tmp_path))
        path = Path(text) if spelling == "pathlike" else text
        index = new_run(
            digits, Case(backend, {"path": path}), embeddings=digits.vectors, metric="cosine"
        )
        found = elsewhere.run(SIZE, digits.dataset.name, index.key, "path")
        assert found == [150, str(Path(text).expanduser().absolute())], spelling
        index.delete()


def test_a_path_that_may_be_an_account_and_a_host_is_refused_and_not_kept(
    digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    case = Case("vecbridge_sklearn", {"path": "root:SECRET@host"})
    with pytest.raises(ConfigurationError) as refused:
        new_run(digits, case, embeddings=digits.vectors, metric="cosine", brain_key="refused")
    assert "SECRET" not in str(refused.value)
    assert not digits.dataset.has_brain_run("refused")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("spelling", ["v.db", "a/v.db", "./v.db", "me@corp/v.db"])
def test_a_lite_file_of_any_spelling_is_kept_as_a_whole_path(
    fob: object, spelling: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vecbridge.fiftyone.similarity import MilvusSimilarityConfig

    monkeypatch.chdir(tmp_path)
    stored = MilvusSimilarityConfig(uri=spelling).serialize()
    assert stored["uri"] == str(Path(spelling).absolute())


@pytest.mark.parametrize(
    "address", ["http://a:SECRET@h:1", "root:SECRET@h:19530", "root:SECRET@h/v.db", "unix:/a/b"]
)
def test_an_address_is_not_kept(fob: object, address: str) -> None:
    from vecbridge.fiftyone.similarity import MilvusSimilarityConfig

    assert "uri" not in MilvusSimilarityConfig(uri=address).serialize()


def _configured(source: str, folder: Path, backend: str, place: str) -> dict[str, str]:
    """Configure a place in one of the sources; returns the environment that does."""
    setting = "uri" if backend == "milvus" else "path"
    if source == "environment":
        return {f"{PREFIX}{backend.upper()}_{setting.upper()}": place}
    file = folder / f"{place.strip('/').replace('/', '-') or 'none'}.json"
    file.write_text(json.dumps({"similarity_backends": {backend: {setting: place}}}))
    return {"FIFTYONE_BRAIN_CONFIG_PATH": str(file)}


@pytest.mark.parametrize(
    ("backend", "source", "place", "other"),
    [
        ("vecbridge_sklearn", "environment", "vectors", "elsewhere"),
        ("vecbridge_faiss", "file", "vectors", "/{tmp}/elsewhere"),
        ("milvus", "environment", "v.db", "/{tmp}/elsewhere.db"),
        ("milvus", "file", "v.db", "http://root:SECRET@127.0.0.1:1"),
    ],
)
def test_a_place_that_is_configured_is_kept_with_the_run(
    backend: str,
    source: str,
    place: str,
    other: str,
    digits: Digits,
    elsewhere: Elsewhere,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from vecbridge.fiftyone import close_stores

    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    same = _configured(source, tmp_path, backend, place)
    others = _configured(source, tmp_path, backend, other.replace("/{tmp}", str(tmp_path)))
    with monkeypatch.context() as patch:
        patch.chdir(here)
        for name, value in same.items():
            patch.setenv(name, value)
        index = new_run(digits, Case(backend), embeddings=digits.vectors, metric="cosine")
    close_stores()
    for environment in (same, {}, others):
        found = elsewhere.run(CONFIGURED, str(there), environment, digits.dataset.name, index.key)
        assert found == [150, []], environment
    assert list(there.iterdir()) == []
    index.delete()


def test_credentials_of_a_server_are_not_for_a_run_that_is_kept_in_a_file(
    digits: Digits, elsewhere: Elsewhere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fiftyone.brain as fob

    from vecbridge.fiftyone import close_stores

    variable = f"{PREFIX}MILVUS_"
    case, vectors = Case("milvus", {"uri": str(tmp_path / "v.db")}), digits.vectors
    index = new_run(digits, case, embeddings=vectors, metric="cosine")
    close_stores()
    server = {f"{variable}URI": "http://127.0.0.1:1"}
    account = {f"{variable}USER": "root", f"{variable}PASSWORD": "SECRET"}
    token, tls = {f"{variable}TOKEN": "SECRET"}, {f"{variable}SECURE": "true"}
    for environment in (token, {**server, **token}, {**server, **account, **tls}):
        found = elsewhere.run(
            CONFIGURED, str(tmp_path), environment, digits.dataset.name, index.key
        )
        assert found == [150, []], environment
    section = fob.brain_config.similarity_backends.setdefault("milvus", {})
    with monkeypatch.context() as patch:
        patch.setitem(section, "token", "SECRET")
        loaded = digits.dataset.load_brain_results(index.key, cache=False)
        assert (loaded.total_index_size, loaded.config.resolved().token) == (150, None)
        refused = digits.dataset.load_brain_results(index.key, cache=False, token="SECRET")
        with pytest.raises(ConfigurationError, match="Milvus Lite has no accounts"):
            _ = refused.total_index_size
    index.delete()


def test_the_directory_that_is_used_by_default_is_kept_with_the_run(
    digits: Digits, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    index = new_run(digits, Case("vecbridge_sklearn"), embeddings=digits.vectors, metric="cosine")
    settings = {"FIFTYONE_CONFIG_PATH": str(tmp_path / "config.json")}
    found = elsewhere.run(CONFIGURED, str(tmp_path), settings, digits.dataset.name, index.key)
    assert found == [150, []]
    index.delete()


def test_a_store_that_was_moved_is_named_and_found_where_the_caller_says(
    digits: Digits,
    elsewhere: Elsewhere,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from vecbridge.fiftyone import close_stores

    old, new = tmp_path / "old", tmp_path / "new"
    dataset, case = digits.dataset, Case("vecbridge_sklearn")
    monkeypatch.setenv(f"{PREFIX}VECBRIDGE_SKLEARN_PATH", str(old))
    key = new_run(digits, case, embeddings=digits.vectors, metric="cosine").key
    close_stores()
    old.rename(new)
    monkeypatch.setenv(f"{PREFIX}VECBRIDGE_SKLEARN_PATH", str(new))
    with caplog.at_level(logging.WARNING, "vecbridge.fiftyone"):
        moved = dataset.load_brain_results(key, cache=False)
        assert (moved.total_index_size, moved.total_index_size) == (0, 0)
    (said,) = [record.getMessage() for record in caplog.records]
    for part in (repr(str(old)), repr(str(new)), f"{PREFIX}VECBRIDGE_SKLEARN_PATH", "save_config"):
        assert part in said
    index: Any = dataset.load_brain_results(key, cache=False, path=str(new))
    assert index.total_index_size == 150
    index.save_config()
    found = elsewhere.run(CONFIGURED, str(tmp_path), {}, dataset.name, key)
    assert found == [150, []]
    index.delete()


def test_a_run_of_a_server_is_not_looked_for_in_a_file_in_silence(
    digits: Digits,
    milvus_server_uri: str,
    elsewhere: Elsewhere,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv(f"{PREFIX}MILVUS_URI", milvus_server_uri)
        index = new_run(digits, Case("milvus"), embeddings=digits.vectors, metric="cosine")
        assert "uri" not in index.config.serialize()
        lite = {f"{PREFIX}MILVUS_URI": "other.db"}
        size, said = elsewhere.run(CONFIGURED, str(tmp_path), lite, digits.dataset.name, index.key)
        assert size == 0
        assert f"environment variable {PREFIX}MILVUS_URI leads to '{tmp_path}/other.db'" in said[0]
        index.delete()


@pytest.mark.parametrize("address", ["host:6379/0", "localhost:19530/db"])
def test_a_host_with_a_port_is_no_file(fob: object, address: str) -> None:
    from vecbridge.fiftyone.similarity import MilvusSimilarityConfig

    assert "uri" not in MilvusSimilarityConfig(uri=address).serialize()


def test_the_place_of_an_empty_index_that_is_adopted_is_kept(
    digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vecbridge.fiftyone import adopt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(f"{PREFIX}VECBRIDGE_SKLEARN_PATH", "vectors")
    dataset = digits.dataset
    new_run(digits, Case("sklearn"), embeddings=False, brain_key="empty")
    try:
        adopt(dataset, "empty")
        stored = dataset.get_brain_info("empty").config.serialize()
        assert stored["path"] == str(tmp_path / "vectors")
    finally:
        dataset.delete_brain_run("empty")
