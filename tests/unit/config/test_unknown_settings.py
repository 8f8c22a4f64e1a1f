"""Keys that the backend does not know."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vecbridge

BrainConfig = Callable[[Any], Path]
FIFTYONE_KEYS = [
    "config_cls",
    "embeddings_field",
    "patches_field",
    "roi_field",
    "model",
    "model_kwargs",
    "supports_prompts",
    "collection_name",
    "index_name",
]

pytestmark = pytest.mark.usefixtures("probe")


def refusal(**options: Any) -> str:
    with pytest.raises(vecbridge.UnknownSettingError) as caught:
        vecbridge.get_backend("probe", **options)
    return str(caught.value)


def test_a_keyword_is_refused_with_the_nearest_and_all_known_keys() -> None:
    message = refusal(pasword="hunter2")
    assert "'pasword' (did you mean 'password'?), given in a keyword argument" in message
    assert (
        "Known settings: metric, consistency_level, uri, user, password, token, db_name, secure, "
        "timeout" in message
    )
    assert "hunter2" not in message


def test_a_variable_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIFTYONE_BRAIN_SIMILARITY_PROBE_TOKN", "hunter2")
    message = refusal()
    assert "environment variable FIFTYONE_BRAIN_SIMILARITY_PROBE_TOKN" in message
    assert "did you mean 'token'?" in message
    assert "hunter2" not in message


def test_a_key_of_the_file_is_refused_with_the_file(brain_config: BrainConfig) -> None:
    path = brain_config({"similarity_backends": {"probe": {"dbname": "hunter2"}}})
    message = refusal()
    assert f"given in file {path} (similarity_backends.probe)" in message
    assert "did you mean 'db_name'?" in message
    assert "hunter2" not in message


def test_all_unknown_keys_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIFTYONE_BRAIN_SIMILARITY_PROBE_TOKN", "x")
    message = refusal(timout=1)
    assert "'tokn'" in message
    assert "'timout'" in message


def test_nothing_is_suggested_where_nothing_is_near() -> None:
    assert "did you mean" not in refusal(zzzzzz=1)


@pytest.mark.parametrize("key", FIFTYONE_KEYS)
def test_a_key_of_fiftyone_is_skipped_where_fiftyone_reads_it(
    key: str, brain_config: BrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    brain_config({"similarity_backends": {"probe": {key: "x", "uri": "u"}}})
    monkeypatch.setenv(f"FIFTYONE_BRAIN_SIMILARITY_PROBE_{key.upper()}", "y")
    store: Any = vecbridge.get_backend("probe").backend
    assert store.settings.uri == "u"


def test_a_key_of_fiftyone_is_no_keyword_of_a_backend() -> None:
    assert "belongs to a FiftyOne brain run" in refusal(collection_name="photos")


def test_another_backends_section_is_its_own_affair(brain_config: BrainConfig) -> None:
    brain_config({"similarity_backends": {"qdrant": {"Hosts": 1}}, "visualization_methods": {}})
    assert vecbridge.get_backend("probe").name == "probe"


def test_a_name_declared_to_fiftyone_keeps_its_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIFTYONE_BRAIN_SIMILARITY_PROBE_LITE_TOKEN", "x")
    monkeypatch.setenv("FIFTYONE_BRAIN_SIMILARITY_BACKENDS", "*,probe_lite")
    store: Any = vecbridge.get_backend("probe").backend
    assert store.settings.token is None


def test_a_longer_known_name_keeps_its_variables(
    brain_config: BrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIFTYONE_BRAIN_SIMILARITY_PROBE_LITE_TOKEN", "x")
    assert "'lite_token'" in refusal()
    brain_config({"similarity_backends": {"probe_lite": {}}})
    store: Any = vecbridge.get_backend("probe").backend
    assert store.settings.token is None
