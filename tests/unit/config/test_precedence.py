"""Which source of a setting counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vecbridge
from vecbridge.settings import describe_settings

VARIABLE = "FIFTYONE_BRAIN_SIMILARITY_PROBE_URI"
BrainConfig = Callable[[Any], Path]

pytestmark = pytest.mark.usefixtures("probe")


def uri(name: str = "probe", **options: Any) -> Any:
    store = vecbridge.get_backend(name, **options)
    return store.backend.settings.uri  # type: ignore[attr-defined]


def section(name: str, **settings: Any) -> dict[str, Any]:
    return {"similarity_backends": {name: settings}}


def test_a_keyword_is_stronger_than_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "from-environment")
    assert uri(uri="from-keyword") == "from-keyword"


def test_the_environment_is_stronger_than_the_file(
    monkeypatch: pytest.MonkeyPatch, brain_config: BrainConfig
) -> None:
    brain_config(section("probe", uri="from-file"))
    monkeypatch.setenv(VARIABLE, "from-environment")
    assert uri() == "from-environment"


def test_the_file_is_stronger_than_the_default(brain_config: BrainConfig) -> None:
    brain_config(section("probe", uri="from-file"))
    assert uri() == "from-file"


def test_without_any_source_the_default_counts() -> None:
    assert uri() is None


def test_the_file_is_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, brain_config: BrainConfig, tmp_path: Path
) -> None:
    brain_config(section("probe", uri="at-home"))
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_text('{"similarity_backends": {"probe": {"uri": "elsewhere"}}}')
    monkeypatch.setenv("FIFTYONE_BRAIN_CONFIG_PATH", str(elsewhere))
    assert uri() == "elsewhere"


def test_a_file_that_is_not_there_is_an_empty_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FIFTYONE_BRAIN_CONFIG_PATH", str(tmp_path / "none.json"))
    assert uri() is None


@pytest.mark.parametrize("asked", ["probe", "vecbridge_probe"])
@pytest.mark.parametrize("configured", ["probe", "vecbridge_probe"])
def test_both_names_mean_one_backend(
    asked: str, configured: str, brain_config: BrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    brain_config(section(configured, uri="from-file"))
    assert uri(asked) == "from-file"
    monkeypatch.setenv(f"FIFTYONE_BRAIN_SIMILARITY_{configured.upper()}_URI", "from-environment")
    assert uri(asked) == "from-environment"


def test_sections_under_both_names_add_up(brain_config: BrainConfig) -> None:
    brain_config(
        {
            "similarity_backends": {
                "probe": {"uri": "a"},
                "vecbridge_probe": {"uri": "a", "user": "me"},
            }
        }
    )
    settings: Any = vecbridge.get_backend("probe").backend
    assert (settings.settings.uri, settings.settings.user) == ("a", "me")


def test_sections_that_disagree_are_refused_without_their_values(brain_config: BrainConfig) -> None:
    brain_config(
        {"similarity_backends": {"probe": {"uri": "a-1"}, "vecbridge_probe": {"uri": "b-2"}}}
    )
    with pytest.raises(vecbridge.ConfigurationError) as caught:
        uri()
    message = str(caught.value)
    assert "similarity_backends.probe)" in message
    assert "similarity_backends.vecbridge_probe)" in message
    assert "'uri'" in message
    assert "a-1" not in message
    assert "b-2" not in message


def test_fiftyones_own_keys_may_differ_between_the_two_names(
    brain_config: BrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    brain_config(
        {
            "similarity_backends": {
                "probe": {"config_cls": "theirs", "uri": "u"},
                "vecbridge_probe": {"config_cls": "ours"},
            }
        }
    )
    monkeypatch.setenv("FIFTYONE_BRAIN_SIMILARITY_PROBE_CONFIG_CLS", "theirs")
    monkeypatch.setenv("FIFTYONE_BRAIN_SIMILARITY_VECBRIDGE_PROBE_CONFIG_CLS", "ours")
    assert uri() == "u"


def test_variables_that_disagree_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "a")
    monkeypatch.setenv("FIFTYONE_BRAIN_SIMILARITY_VECBRIDGE_PROBE_URI", "b")
    with pytest.raises(vecbridge.ConfigurationError, match=f"{VARIABLE}.*VECBRIDGE_PROBE_URI"):
        uri()


@pytest.mark.parametrize("word", ["", "None"])
def test_an_empty_variable_restores_the_default(
    word: str, monkeypatch: pytest.MonkeyPatch, brain_config: BrainConfig
) -> None:
    brain_config(section("probe", timeout=3))
    monkeypatch.setenv("FIFTYONE_BRAIN_SIMILARITY_PROBE_TIMEOUT", word)
    (timeout,) = [item for item in describe_settings("probe") if item.name == "timeout"]
    assert timeout.value == 10.0


def test_null_in_the_file_and_none_as_keyword_restore_the_default(
    brain_config: BrainConfig,
) -> None:
    brain_config(section("probe", timeout=None, uri="from-file"))
    settings: Any = vecbridge.get_backend("probe", uri=None).backend
    assert (settings.settings.timeout, settings.settings.uri) == (10.0, None)


@pytest.mark.parametrize(
    ("key", "word", "value"),
    [
        ("PASSWORD", "12345", "12345"),
        ("PASSWORD", "true", "true"),
        ("PASSWORD", "a,b", "a,b"),
        ("DB_NAME", "1e3", "1e3"),
        ("SECURE", "true", True),
        ("SECURE", "False", False),
        ("TIMEOUT", "5", 5.0),
    ],
)
def test_a_variable_is_cast_to_the_declared_type(
    key: str, word: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"FIFTYONE_BRAIN_SIMILARITY_PROBE_{key}", word)
    store: Any = vecbridge.get_backend("probe").backend
    found = getattr(store.settings, key.lower())
    plain = found.get_secret_value() if key == "PASSWORD" else found
    assert (type(plain), plain) == (type(value), value)


def test_the_store_takes_metric_and_level_from_the_settings() -> None:
    store = vecbridge.get_backend("probe", metric="euclidean", consistency_level="Session")
    assert (store._metric, store._consistency) == ("euclidean", "session")


def test_the_metric_is_cosine_where_none_is_configured() -> None:
    assert vecbridge.get_backend("probe")._metric == "cosine"


@pytest.mark.parametrize(
    ("word", "level"),
    [
        ("Strong", "strong"),
        ("SESSION", "session"),
        ("bounded", "bounded"),
        ("Eventually", "eventual"),
        ("eventual", "eventual"),
    ],
)
def test_milvus_words_for_levels_are_understood(
    word: str, level: str, brain_config: BrainConfig
) -> None:
    brain_config(section("probe", consistency_level=word))
    assert vecbridge.get_backend("probe")._consistency == level


def test_each_setting_is_described_with_its_source_and_no_secret(
    monkeypatch: pytest.MonkeyPatch, brain_config: BrainConfig
) -> None:
    path = brain_config(section("probe", uri="http://me:hunter2@host:1", config_cls="x.Y"))
    monkeypatch.setenv("FIFTYONE_BRAIN_SIMILARITY_PROBE_PASSWORD", "hunter2")
    listing = describe_settings("probe", timeout="5")
    found = {item.name: (item.value, str(item.source), item.secret) for item in listing}
    assert found == {
        "metric": (None, "default", False),
        "consistency_level": (None, "default", False),
        "uri": (
            "http://**********@host:1",
            f"file {path} (similarity_backends.probe)",
            False,
        ),
        "user": (None, "default", False),
        "password": (
            "**********",
            "environment variable FIFTYONE_BRAIN_SIMILARITY_PROBE_PASSWORD",
            True,
        ),
        "token": (None, "default", True),
        "db_name": ("default", "default", False),
        "secure": (False, "default", False),
        "timeout": (5.0, "a keyword argument", False),
    }
    assert "hunter2" not in repr(listing)
