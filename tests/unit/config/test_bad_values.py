"""Values of the wrong type, and secrets in what is said of them."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

import vecbridge
from tests.unit.config.conftest import PROBE, Install
from vecbridge.settings import Settings

BrainConfig = Callable[[Any], Path]

pytestmark = pytest.mark.usefixtures("probe")


def refusal(**options: Any) -> str:
    with pytest.raises(vecbridge.ConfigurationError) as caught:
        vecbridge.get_backend("probe", **options)
    assert type(caught.value) is vecbridge.ConfigurationError
    assert caught.value.__context__ is None, "a validation error in the context shows its input"
    return str(caught.value)


def test_it_names_backend_setting_source_what_was_found_and_what_is_accepted() -> None:
    message = refusal(timeout="soon")
    assert message.startswith(
        "backend 'probe': setting 'timeout' from a keyword argument: found 'soon'; "
        "Input should be a valid number"
    )


def test_it_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIFTYONE_BRAIN_SIMILARITY_PROBE_SECURE", "perhaps")
    message = refusal()
    assert "from environment variable FIFTYONE_BRAIN_SIMILARITY_PROBE_SECURE" in message
    assert "found 'perhaps'" in message


def test_it_names_the_file(brain_config: BrainConfig) -> None:
    path = brain_config({"similarity_backends": {"probe": {"timeout": {}}}})
    assert f"from file {path} (similarity_backends.probe): found {{}}" in refusal()


def test_all_wrong_values_are_told_at_once() -> None:
    message = refusal(timeout="soon", metric="l2")
    assert "'timeout'" in message
    assert "'metric'" in message
    assert "'cosine', 'dotproduct' or 'euclidean'" in message


def test_an_unknown_level_is_told_the_known_ones() -> None:
    assert "one of strong, session, bounded, eventual" in refusal(consistency_level="Customized")


def test_a_secret_of_the_wrong_type_is_masked(brain_config: BrainConfig) -> None:
    brain_config({"similarity_backends": {"probe": {"password": 8675309}}})
    message = refusal()
    assert "setting 'password'" in message
    assert "found **********" in message
    assert "8675309" not in message


@pytest.mark.parametrize("wrap", [str, SecretStr])
def test_a_secret_that_a_validator_quotes_is_masked(wrap: Callable[[str], object]) -> None:
    message = refusal(token=wrap("bad-hunter2"))
    assert "not a token: **********" in message
    assert "hunter2" not in message


@pytest.mark.parametrize("wrap", [str, SecretStr])
@pytest.mark.parametrize("key", ["password", "uri", "db_name"])
def test_text_that_cannot_be_encoded_is_refused(key: str, wrap: Callable[[str], object]) -> None:
    # As the environment gives a byte that is not UTF-8.
    message = refusal(**{key: wrap("hunter2\udcff")})
    assert f"setting {key!r}" in message
    assert "not UTF-8" in message
    assert "hunter2" not in message or key == "db_name"
    assert message.encode()


def test_a_secret_that_a_validator_of_the_whole_quotes_is_masked() -> None:
    message = refusal(user="me", token="hunter2")
    assert "user and token exclude each other: **********" in message


def test_a_secret_does_not_show_where_another_setting_is_wrong() -> None:
    assert "hunter2" not in refusal(password="hunter2", timeout="soon")


def test_credentials_in_an_address_are_masked() -> None:
    message = refusal(timeout="http://me:hunter2@host")
    assert "found 'http://**********@host'" in message


def test_a_long_value_is_cut() -> None:
    assert "x" * 100 not in refusal(timeout="x" * 1000)


def test_settings_show_neither_secrets_nor_credentials() -> None:
    store: Any = vecbridge.get_backend(
        "probe", uri="http://me:hunter2@host", password="hunter2"
    ).backend
    assert store.settings.password.get_secret_value() == "hunter2"
    assert "hunter2" not in f"{store.settings!r} {store.settings}"


def test_settings_made_by_hand_hide_the_input_that_they_refuse() -> None:
    class Strict(Settings):
        password: SecretStr

    refused = 8675309
    with pytest.raises(ValidationError) as caught:
        Strict.model_validate({"password": refused})
    assert str(refused) not in "".join(traceback.format_exception(caught.value))


def test_settings_do_not_change_and_take_no_unknown_key() -> None:
    settings = Settings(metric="cosine")
    with pytest.raises(ValidationError, match="frozen"):
        settings.metric = "euclidean"
    with pytest.raises(ValidationError, match="colour"):
        Settings.model_validate({"colour": "red"})


def test_a_setting_without_a_default_that_is_not_given_is_named(install: Install) -> None:
    source = PROBE.replace("uri: str | None = None", "uri: str")
    install("strict", source, distribution="strict", module="acme_strict")
    with pytest.raises(vecbridge.ConfigurationError, match="backend 'strict': setting 'uri'") as no:
        vecbridge.get_backend("strict")
    assert "keyword argument, FIFTYONE_BRAIN_SIMILARITY_STRICT_URI" in str(no.value)
    with pytest.raises(vecbridge.ConfigurationError, match="setting 'uri'"):
        vecbridge.get_backend("strict", uri=None)
    vecbridge.get_backend("strict", uri="u")
