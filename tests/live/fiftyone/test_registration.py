"""Reaching vecbridge from FiftyOne, and what never reaches MongoDB."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.fiftyone.cases import Case, Digits, new_run

MILVUS = "vecbridge.fiftyone.similarity.MilvusSimilarityConfig"
UNCHANGED = """
import json, sys
import fiftyone as fo
import fiftyone.brain as fob
import numpy as np
from fiftyone.brain.similarity import _parse_config

name, vectors = json.loads(sys.stdin.read())
dataset = fo.load_dataset(name)
index = fob.compute_similarity(dataset, embeddings=np.array(vectors), brain_key="by_environment")
view = dataset.sort_by_similarity(dataset.first().id, k=5, brain_key="by_environment")
milvus = _parse_config("milvus")
facts = [milvus.method, milvus.metric, milvus.consistency_level, milvus.max_k]
print(json.dumps([index.cls, len(view), index.config.metric, milvus.cls, facts]))
"""


@pytest.fixture
def disabled(fob: Any) -> Iterator[Any]:
    """FiftyOne as it is without vecbridge."""
    import vecbridge.fiftyone

    vecbridge.fiftyone.disable()
    yield fob
    vecbridge.fiftyone.enable()


def classes(fob: Any) -> dict[str, str]:
    return {
        name: section["config_cls"]
        for name, section in fob.brain_config.similarity_backends.items()
        if "config_cls" in section
    }


def test_enabling_takes_milvus_over_and_leaves_sklearn(disabled: Any) -> None:
    import vecbridge.fiftyone

    before = classes(disabled)
    names = vecbridge.fiftyone.enable()
    after = classes(disabled)
    assert {"milvus", "vecbridge_milvus", "vecbridge_sklearn"} <= set(names)
    assert after["milvus"] == after["vecbridge_milvus"] == MILVUS
    assert after["sklearn"] == before["sklearn"]
    vecbridge.fiftyone.disable()
    assert classes(disabled) == before
    assert disabled.brain_config.default_similarity_backend == "sklearn"


def test_one_backend_can_be_enabled_as_the_default(
    disabled: Any, digits: Digits, tmp_path: Path
) -> None:
    import vecbridge.fiftyone

    before = classes(disabled)
    assert vecbridge.fiftyone.enable("sklearn", default=True) == ["vecbridge_sklearn"]
    assert classes(disabled)["milvus"] == before["milvus"]
    assert disabled.brain_config.default_similarity_backend == "vecbridge_sklearn"
    index = disabled.compute_similarity(
        digits.dataset, embeddings=digits.vectors, path=str(tmp_path)
    )
    assert index.config.method == "vecbridge_sklearn"


def test_unknown_backends_are_refused(disabled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import vecbridge.fiftyone

    before = classes(disabled)
    with pytest.raises(LookupError, match=r"'milvs' \(did you mean 'milvus'\?\)"):
        vecbridge.fiftyone.enable("milvs")
    with pytest.raises(ValueError, match="name it, as in"):
        vecbridge.fiftyone.enable(default=True)
    monkeypatch.setenv("FIFTYONE_BRAIN_DEFAULT_SIMILARITY_BACKEND", "vecbrige_sklearn")
    with pytest.raises(LookupError, match="did you mean 'vecbridge_sklearn'"):
        vecbridge.fiftyone.enable()
    assert classes(disabled) == before


def test_default_of_the_environment_is_honoured(
    disabled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import vecbridge.fiftyone

    monkeypatch.setenv("FIFTYONE_BRAIN_DEFAULT_SIMILARITY_BACKEND", "vecbridge_sklearn")
    vecbridge.fiftyone.enable()
    assert disabled.brain_config.default_similarity_backend == "vecbridge_sklearn"


@pytest.mark.parametrize(
    ("name", "said", "other"),
    [
        ("uri", "http://127.0.0.1:1", "http://127.0.0.1:2"),
        ("user", "one", "two"),
        ("password", "12345", "54321"),
        ("db_name", "one", "two"),
        ("metric", "cosine", "euclidean"),
        ("consistency_level", "Strong", "Bounded"),
    ],
)
def test_a_setting_holds_as_this_process_has_it_and_a_keyword_against_all(
    fob: Any, monkeypatch: pytest.MonkeyPatch, name: str, said: str, other: str
) -> None:
    from vecbridge.fiftyone import similarity

    prefix = "FIFTYONE_BRAIN_SIMILARITY_MILVUS_"
    monkeypatch.setenv(f"{prefix}USER", "root")
    monkeypatch.setenv(f"{prefix}PASSWORD", "something")
    section = fob.brain_config.similarity_backends["milvus"]

    def found(**keywords: str) -> str:
        given = {**section, **keywords}
        config = similarity.MilvusSimilarityConfig(**given)
        config.complete()
        value = getattr(config if name in config.attributes() else config.resolved(), name)
        # Levels are spelled as Milvus spells them, or as vecbridge does.
        return str(getattr(value, "get_secret_value", lambda: value)()).lower()

    monkeypatch.setenv(f"{prefix}{name.upper()}", other)
    assert found() == other.lower()
    monkeypatch.setitem(section, name, said)
    assert found() == said.lower()
    assert found(**{name: other}) == other.lower()


def test_environment_variables_alone_bring_an_unchanged_script_to_vecbridge(
    digits: Digits, tmp_path: Path
) -> None:
    prefix = "FIFTYONE_BRAIN_SIMILARITY_"
    settings = {
        "FIFTYONE_BRAIN_DEFAULT_SIMILARITY_BACKEND": "ours",
        f"{prefix}BACKENDS": "*,ours",
        f"{prefix}OURS_CONFIG_CLS": "vecbridge.fiftyone.similarity.SklearnSimilarityConfig",
        f"{prefix}VECBRIDGE_SKLEARN_PATH": str(tmp_path / "store"),
        f"{prefix}VECBRIDGE_SKLEARN_METRIC": "euclidean",
        f"{prefix}MILVUS_CONFIG_CLS": MILVUS,
        f"{prefix}MILVUS_USER": "root",
        f"{prefix}MILVUS_PASSWORD": "12345",
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", UNCHANGED],
        input=json.dumps([digits.dataset.name, digits.vectors.tolist()]),
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    cls, count, metric, milvus, facts = json.loads(done.stdout.splitlines()[-1])
    assert cls == "vecbridge.fiftyone.similarity.SklearnSimilarityIndex"
    assert (count, metric) == (5, "euclidean")
    assert any((tmp_path / "store").iterdir())
    assert milvus == MILVUS
    assert facts == ["milvus", "dotproduct", "Session", None]


def test_enabled_configuration_brings_an_unchanged_script_to_vecbridge(
    digits: Digits, tmp_path: Path
) -> None:
    digits.dataset.reload()
    if digits.dataset.has_brain_run("by_environment"):
        digits.dataset.delete_brain_run("by_environment")
    for_test = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FIFTYONE_BRAIN_", "FIFTYONE_CONFIG_PATH"))
    }
    environment = {**for_test, "HOME": str(tmp_path)}

    def command(*words: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "vecbridge.fiftyone", *words],
            env=environment,
            timeout=60,
            check=True,
        )

    command("enable")
    command("enable", "--backend", "sklearn", "--default")
    assert (tmp_path / ".fiftyone" / "brain_config.json").is_file()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", UNCHANGED],
        input=json.dumps([digits.dataset.name, digits.vectors.tolist()]),
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    digits.dataset.reload()
    digits.dataset.delete_brain_run("by_environment")
    assert done.returncode == 0, done.stderr[-3000:]
    cls, count, metric, milvus, _ = json.loads(done.stdout.splitlines()[-1])
    assert cls == "vecbridge.fiftyone.similarity.SklearnSimilarityIndex"
    assert (count, metric, milvus) == (5, "cosine", MILVUS)
    command("disable")
    assert not (tmp_path / ".fiftyone" / "brain_config.json").exists()


def test_third_party_backends_get_stable_class_paths(fob: Any) -> None:
    import eta.core.utils as etau

    path = "vecbridge.fiftyone.similarity.MyStoreSimilarityConfig"
    config_cls = etau.get_class(path)
    config = config_cls(embeddings_field="e", patches_field="p")
    assert (config.cls, config.method) == (path, "vecbridge_my_store")
    assert config.run_cls.__name__ == "MyStoreSimilarity"
    assert issubclass(config.run_cls, fob.Similarity)
    with pytest.raises(LookupError, match="no installed package provides a backend 'my_store'"):
        config.connect()
    with pytest.raises(AttributeError, match="has no attribute 'Nonsense'"):
        etau.get_class("vecbridge.fiftyone.similarity.Nonsense")


def test_run_of_an_uninstalled_backend_is_listed_and_deleted(
    fob: Any, digits: Digits, path_case: Case
) -> None:
    index = new_run(digits, path_case, embeddings=digits.vectors)
    document = digits.dataset._doc.brain_methods[index.key]
    document.config["cls"] = "vecbridge.fiftyone.similarity.GoneSimilarityConfig"
    document.save()
    dataset = digits.dataset
    assert index.key in dataset.list_brain_runs(method="vecbridge_gone")
    with pytest.raises(LookupError, match="no installed package provides a backend 'gone'"):
        dataset.load_brain_results(index.key, cache=False)
    dataset.delete_brain_run(index.key)
    assert not dataset.has_brain_run(index.key)


def test_unknown_parameters_are_refused_by_name_only(digits: Digits, path_case: Case) -> None:
    with pytest.raises(ValueError, match=r"'pth' \(did you mean 'path'\?\)") as caught:
        new_run(digits, path_case, embeddings=digits.vectors, pth="hunter2", brain_key="typo")
    assert "hunter2" not in str(caught.value)
    assert not digits.dataset.has_brain_run("typo")


def test_patches_of_what_is_no_label_are_refused(digits: Digits, path_case: Case) -> None:
    wanted = {"embeddings": False, "brain_key": "typo"}
    with pytest.raises(ValueError, match="no field 'halvs'"):
        new_run(digits, path_case, patches_field="halvs", **wanted)
    with pytest.raises(ValueError, match="'filepath' is not a Label"):
        new_run(digits, path_case, patches_field="filepath", **wanted)
    assert not digits.dataset.has_brain_run("typo")


def test_settings_read_like_attributes_and_unknown_ones_cannot_be_set(fob: Any) -> None:
    from vecbridge.fiftyone.similarity import SklearnSimilarityConfig

    config = SklearnSimilarityConfig(path="somewhere/store")
    assert config.path == str(Path("somewhere/store").absolute())
    config.path = ":memory:"
    assert config.serialize()["path"] == ":memory:"
    with pytest.raises(ValueError, match="did you mean 'path'"):
        config.paht = "x"
    with pytest.raises(ValueError, match="did you mean 'path'"):
        config.load_credentials(paht="x")
    with pytest.raises(AttributeError):
        _ = config.paht
    with pytest.raises(ValueError, match="metric must be one of"):
        SklearnSimilarityConfig(metric="manhattan")


def test_secrets_never_reach_the_database(fob: Any, digits: Digits) -> None:
    import fiftyone.core.odm as foo
    from fiftyone.core.brain import BrainMethod

    from vecbridge.fiftyone.similarity import MilvusSimilarityConfig, MilvusSimilarityIndex

    config = MilvusSimilarityConfig(
        collection_name="planted_here",
        uri="https://root:SECRET@127.0.0.1:9",
        user="SECRET",
        token="SECRET",
    )
    config.password = "SECRET"
    factory = config.build()
    BrainMethod.register_run(factory, digits.dataset, "planted")
    index = MilvusSimilarityIndex(digits.dataset, config, "planted", backend=factory)
    index.save_config()
    index.save()
    database = foo.get_db_conn()
    dump = "".join(
        json.dumps(document, default=str)
        for name in database.list_collection_names()
        for document in database[name].find()
    )
    assert "planted_here" in dump
    assert "SECRET" not in dump
    assert "SECRET" not in f"{config!r}{config}{index!r}"
    assert (config.password, config.token) == ("SECRET", "SECRET")
    digits.dataset.delete_brain_run("planted")


def test_run_on_a_server_is_loaded_with_credentials_or_with_configuration(
    fob: Any, digits: Digits, milvus_server_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = new_run(digits, Case("milvus", {"uri": milvus_server_uri}), embeddings=digits.vectors)
    key, here = index.key, index._kneighbors(digits.ids[0], k=5, return_dists=True)
    assert key in digits.dataset.list_brain_runs(type=fob.Similarity, method="milvus")
    assert milvus_server_uri not in str(digits.dataset.get_brain_info(key).config.serialize())
    loaded = digits.dataset.load_brain_results(key, cache=False, uri=milvus_server_uri)
    assert loaded._kneighbors(digits.ids[0], k=5, return_dists=True) == here
    monkeypatch.setenv("FIFTYONE_BRAIN_SIMILARITY_MILVUS_URI", milvus_server_uri)
    configured = digits.dataset.load_brain_results(key, cache=False)
    assert configured.total_index_size == len(digits.ids)
    assert configured.collection is not None
    assert configured.client.list_collections()
    index.delete()


def test_dead_server_fails_before_anything_is_registered(digits: Digits) -> None:
    from tests.servers.mongo import free_port

    case = Case("milvus", {"uri": f"http://127.0.0.1:{free_port()}", "timeout": 2})
    with pytest.raises(OSError, match=r"127\.0\.0\.1"):
        new_run(digits, case, embeddings=digits.vectors, brain_key="unreachable")
    assert not digits.dataset.has_brain_run("unreachable")
