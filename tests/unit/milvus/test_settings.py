from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import vecbridge
from vecbridge import ConfigurationError
from vecbridge_milvus import MilvusSettings

SECRET = "Sup3r-s3cret-w0rd"
MUTUAL = {"client_key_path": "k", "client_pem_path": "c", "ca_pem_path": "a"}


@pytest.fixture(autouse=True)
def _without_the_users_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FIFTYONE_BRAIN_CONFIG_PATH", str(tmp_path / "none.json"))


def test_no_uri_means_a_server_on_this_machine() -> None:
    assert MilvusSettings().uri == "http://localhost:19530"
    assert MilvusSettings().lite_path is None
    assert MilvusSettings().plain_token == ""


def test_a_path_that_ends_in_db_is_lite(tmp_path: Path) -> None:
    path = tmp_path / "v.db"
    assert MilvusSettings(uri=str(path)).lite_path == path
    assert MilvusSettings.model_validate({"uri": path}).lite_path == path
    relative = MilvusSettings(uri="v.db").lite_path
    assert relative is not None
    assert relative.is_absolute()
    assert MilvusSettings(uri="http://host.db").lite_path is None


def test_a_token_is_made_of_user_and_password() -> None:
    settings = MilvusSettings.model_validate({"user": "root", "password": SECRET})
    assert settings.plain_token == f"root:{SECRET}"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"uri": "localhost:19530"}, "must be http"),
        ({"uri": "grpc://localhost:1"}, "must be http"),
        ({"uri": "http://"}, "must be http"),
        ({"token": SECRET, "user": "u", "password": "p"}, "one or the other"),
        ({"user": "root"}, "go together"),
        ({"password": SECRET}, "go together"),
        ({"uri": "v.db", "token": SECRET}, "no accounts"),
        ({"uri": "v.db", "secure": True}, "ignore TLS"),
        ({"uri": "https://h", "ca_pem_path": "a"}, "go together"),
        ({"uri": "https://h", "client_pem_path": "a", "client_key_path": "b"}, "go together"),
        ({"uri": "https://h", "server_pem_path": "s", **MUTUAL}, "one-way"),
        ({"uri": "http://h", "server_pem_path": "s"}, "encrypted connection"),
        ({"uri": "http://h", "server_name": "s"}, "encrypted connection"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": "inf"}, "timeout"),
    ],
)
def test_what_would_be_ignored_or_contradicts_is_refused(
    options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        vecbridge.get_backend("milvus", **options)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"uri": "https://h", **MUTUAL},
        {"uri": "http://h", "secure": True, "server_pem_path": "s", "server_name": "n"},
        {"uri": "https://h", "server_pem_path": "s"},
        {"uri": "unix:/tmp/x.sock", "token": "t"},
    ],
)
def test_combinations_that_mean_something_are_taken(options: dict[str, Any]) -> None:
    assert MilvusSettings.model_validate(options).uri == options["uri"]


def test_a_missing_certificate_is_named_before_connecting(tmp_path: Path) -> None:
    missing = tmp_path / "no.pem"
    store = vecbridge.get_backend("milvus", uri="https://127.0.0.1:1", server_pem_path=missing)
    with pytest.raises(ConfigurationError, match="server_pem_path"):
        store.index_names()


def test_no_secret_is_shown() -> None:
    settings = MilvusSettings.model_validate({"token": SECRET, "uri": f"http://u:{SECRET}@h:1"})
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings)
    store = vecbridge.get_backend("milvus", token=SECRET, uri="http://127.0.0.1:1")
    assert SECRET not in repr(store)
    assert SECRET not in repr(store.backend)
