"""Settings of a run: which are taken, which are read where they are configured, which are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vecbridge import UnknownSettingError

PREFIX = "FIFTYONE_BRAIN_SIMILARITY_"


@pytest.fixture(autouse=True)
def similarity(fob: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The classes, with nothing configured elsewhere."""
    from vecbridge.fiftyone import similarity

    monkeypatch.setenv("FIFTYONE_BRAIN_CONFIG_PATH", str(tmp_path / "none.json"))
    monkeypatch.setenv("FIFTYONE_CONFIG_PATH", str(tmp_path / "config.json"))
    return similarity


def test_unknown_arguments_are_refused_with_the_nearest(similarity: Any) -> None:
    with pytest.raises(UnknownSettingError, match=r"'pth' \(did you mean 'path'\?\)"):
        similarity.SklearnSimilarityConfig(pth="x")
    assert similarity.SklearnSimilarityConfig(path="/x").given == {"path": "/x"}


def test_what_the_environment_says_is_left_to_it(
    similarity: Any, fob: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{PREFIX}BACKENDS", "*,vecbridge_sklearn")
    monkeypatch.setenv(f"{PREFIX}VECBRIDGE_SKLEARN_PATH", "12345")
    # FiftyOne takes the text for a number.
    monkeypatch.setitem(fob.brain_config.similarity_backends["vecbridge_sklearn"], "path", 12345)
    config = similarity.SklearnSimilarityConfig(path=12345)
    assert (config.given, str(config.resolved().path)) == ({}, "12345")
    assert similarity.SklearnSimilarityConfig(path="/mine").given == {"path": "/mine"}


def test_what_a_program_sets_holds_against_the_environment(
    similarity: Any, fob: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{PREFIX}BACKENDS", "*,vecbridge_sklearn")
    monkeypatch.setenv(f"{PREFIX}VECBRIDGE_SKLEARN_PATH", "/environment")
    section = fob.brain_config.similarity_backends["vecbridge_sklearn"]
    monkeypatch.setitem(section, "path", "/set_at_run_time")
    config = similarity.SklearnSimilarityConfig(**{**section, "config_cls": None})
    assert config.given == {"path": "/set_at_run_time"}


def test_variables_of_a_longer_named_backend_are_not_taken_for_this_ones(
    similarity: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{PREFIX}MILVUS_FAST_TOKEN", "secret")
    given = {"fast_token": "secret", "uri": "/x/v.db"}
    with pytest.raises(UnknownSettingError, match="'fast_token'") as caught:
        similarity.MilvusSimilarityConfig(**given)
    assert "secret" not in str(caught.value)
    monkeypatch.setenv(f"{PREFIX}BACKENDS", "*,milvus_fast")
    assert similarity.MilvusSimilarityConfig(**given).given == {"uri": "/x/v.db"}


@pytest.mark.parametrize(
    ("place", "kept"),
    [
        ("/data/store", True),
        ("vectors.db", True),
        ("http://localhost:19530", False),
        ("localhost:19530", False),
        ("milvus-host", False),
        ("https://root:secret@host/path", False),
        ("root:secret@host/path.db", False),
    ],
)
def test_only_files_of_this_machine_are_stored(similarity: Any, place: str, kept: bool) -> None:
    config = similarity.MilvusSimilarityConfig(uri=place, token="/not/a/place")
    stored = config.serialize()
    assert stored.get("uri") == (str(Path(place).absolute()) if kept else None)
    assert "/not/a/place" not in str(stored)


def test_relative_files_become_absolute_and_addresses_stay(similarity: Any) -> None:
    milvus, sklearn = similarity.MilvusSimilarityConfig, similarity.SklearnSimilarityConfig
    assert milvus(uri="some/v.db").uri == str(Path.cwd() / "some" / "v.db")
    assert sklearn(path="~/v").path == str(Path.home() / "v")
    assert milvus(uri="http://h:1/a").uri == "http://h:1/a"
    memory = sklearn(path=":memory:")
    assert memory.path == memory.serialize()["path"] == ":memory:"
    assert milvus(token="a/b").token == "a/b"


def test_local_backend_gets_a_durable_directory_only_where_none_is_configured(
    similarity: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def path(**given: str) -> Path:
        return Path(similarity.SklearnSimilarityConfig(**given).resolved().path)

    assert path() == tmp_path / "vecbridge" / "sklearn"
    assert path(path="/x") == Path("/x")
    monkeypatch.setenv(f"{PREFIX}SKLEARN_PATH", str(tmp_path))
    assert path() == tmp_path


def test_a_run_in_a_folder_stays_there_whatever_server_is_configured(
    similarity: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = similarity.ChromaSimilarityConfig(path=tmp_path).serialize()
    assert similarity.ChromaSimilarityConfig().resolved().path is None
    monkeypatch.setenv(f"{PREFIX}CHROMA_URI", "http://chroma.example:8000")
    monkeypatch.setenv(f"{PREFIX}CHROMA_TOKEN", "secret")
    run = similarity.ChromaSimilarityConfig(owner="a dataset", path=stored["path"])
    run.load_credentials()
    found = run.resolved()
    assert (found.place, found.uri, found.token) == (str(tmp_path), None, None)
    assert similarity.ChromaSimilarityConfig().resolved().place == "http://chroma.example:8000"


@pytest.mark.parametrize(
    ("place", "setting"), [("/data/chroma", "path"), ("http://chroma.example:8000", "uri")]
)
def test_a_place_is_a_folder_or_the_address_of_a_server(
    similarity: Any, place: str, setting: str
) -> None:
    from vecbridge.fiftyone.plugin._runs import Target, target

    assert target(Target("chroma", place))[1] == {setting: place}


def test_tables_of_lancedb_are_in_a_folder_that_stays_and_kept_with_their_run(
    similarity: Any, tmp_path: Path
) -> None:
    config = similarity.LancedbSimilarityConfig()
    config.connect()
    assert config.serialize()["uri"] == str(tmp_path / "vecbridge" / "lancedb")
    bucket = similarity.LancedbSimilarityConfig(uri="s3://photos/vectors")
    assert bucket.serialize()["uri"] == "s3://photos/vectors"


def test_one_store_serves_all_who_configure_the_same(similarity: Any, tmp_path: Path) -> None:
    from vecbridge.fiftyone import close_stores

    def store(path: object) -> Any:
        return similarity.SklearnSimilarityConfig(path=path).connect()

    first = store(tmp_path)
    assert store(str(tmp_path)) is first
    assert store(":memory:") is not first
    close_stores()
    assert store(tmp_path) is not first


@pytest.mark.parametrize("backend", ["acme", "my_store", "big_fast_store"])
def test_every_class_of_a_backend_leads_to_it(similarity: Any, backend: str) -> None:
    stem = "".join(part.capitalize() for part in backend.split("_"))
    config = getattr(similarity, f"{stem}SimilarityConfig")
    assert (config.backend_name, config.method_name) == (backend, f"vecbridge_{backend}")
    assert getattr(similarity, f"{stem}Similarity").index_type is getattr(
        similarity, f"{stem}SimilarityIndex"
    )


@pytest.mark.parametrize("name", ["__path__", "Similarity", "milvusSimilarity", "MilvusConfig"])
def test_other_names_belong_to_no_backend(similarity: Any, name: str) -> None:
    assert not hasattr(similarity, name)
