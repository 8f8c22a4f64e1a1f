from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import vecbridge
from vecbridge import ConfigurationError
from vecbridge_milvus import MilvusSettings

SECRET = "Sup3r-s3cret-w0rd"
WRONG = r"percent-encode|must be http"
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


@pytest.mark.parametrize(
    ("uri", "bare", "token", "database"),
    [
        ("http://u:p@h:1", "http://h:1", "u:p", None),
        ("https://u:p%2Fq%40r@h", "https://h", "u:p/q@r", None),
        ("http://key@h:1/", "http://h:1", "key", None),
        ("tcp://u:p@h:1/films", "tcp://h:1", "u:p", "films"),
        ("http://h:1/my.db", "http://h:1", "", "my.db"),
        ("http://[::1]:1", "http://[::1]:1", "", None),
    ],
)
def test_credentials_and_database_are_taken_out_of_the_address(
    uri: str, bare: str, token: str, database: str | None
) -> None:
    settings = MilvusSettings.model_validate({"uri": uri})
    assert settings.uri == bare
    assert settings.plain_token == token
    assert settings.db_name == database
    assert settings.lite_path is None


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        (f"http://u:{SECRET}/x@h:1", WRONG),
        (f"http://u:{SECRET}?x@h:1", WRONG),
        (f"http://u:1{SECRET}@h:{SECRET}", WRONG),
        (f"http://u:{SECRET}@[h", WRONG),
        (f"grpc://u:{SECRET}@h:1", WRONG),
        (f"http://u:{SECRET}@", WRONG),
        (f"http://:{SECRET}@h:1", "must hold both"),
        (f"http://{SECRET}:@h:1", "must hold both"),
        (f"http://h:1/db?token={SECRET}", "means nothing"),
        (f"http://h:1/#{SECRET}", "means nothing"),
    ],
)
def test_a_wrong_address_is_refused_without_its_password(uri: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        vecbridge.get_backend("milvus", uri=uri)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [{"token": "t"}, {"user": "v", "password": "w"}, {"user": "v"}, {"db_name": "other"}],
)
def test_what_the_address_says_is_not_said_twice(options: dict[str, Any]) -> None:
    uri = f"http://u:{SECRET}@h:1/films"
    with pytest.raises(ConfigurationError, match="in one place") as caught:
        vecbridge.get_backend("milvus", uri=uri, **options)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("http://h", ("h", 19530)),
        ("https://h", ("h", 443)),
        ("https://h:1", ("h", 1)),
        ("unix:/s.sock", None),
        ("unix:///s.sock", None),
        ("unix:/s.db", None),
        ("/v.db", None),
    ],
)
def test_the_address_that_is_meant(uri: str, address: tuple[str, int] | None) -> None:
    settings = MilvusSettings(uri=uri)
    assert (settings.uri, settings.address, settings.db_name) == (uri, address, None)
    assert (settings.lite_path is None) == (uri != "/v.db")


def test_a_relative_path_stays_where_it_was_when_the_program_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = MilvusSettings(uri="v.db")
    monkeypatch.chdir(tmp_path.parent)
    assert settings.lite_path == tmp_path / "v.db"


@pytest.mark.parametrize("options", [{"token": SECRET}, {"uri": f"http://u:{SECRET}@h:1"}])
def test_no_secret_is_shown(options: dict[str, Any]) -> None:
    settings = MilvusSettings.model_validate(options)
    assert SECRET in settings.plain_token
    for shown in (repr(settings), str(settings), str(settings.model_dump())):
        assert SECRET not in shown
    assert SECRET not in settings.model_dump_json()
    store = vecbridge.get_backend("milvus", token=SECRET, uri="http://127.0.0.1:1")
    assert SECRET not in repr(store)
    assert SECRET not in repr(store.backend)
