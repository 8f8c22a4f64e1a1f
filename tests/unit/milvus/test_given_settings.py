from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

import vecbridge
from vecbridge_milvus import MilvusBackend, MilvusSettings

PREFIX = "FIFTYONE_BRAIN_SIMILARITY_MILVUS_"

OF_EVERY_BACKEND = {"metric", "consistency_level"}

# What a setting is given as in Python and in JSON, as text in a variable, and what goes with it.
GIVEN: list[tuple[str, Any, str, dict[str, Any]]] = [
    ("uri", "https://milvus.example:443", "https://milvus.example:443", {}),
    ("user", "root", "root", {"password": "p"}),
    ("password", "12345", "12345", {"user": "root"}),
    ("token", "12345", "12345", {}),
    ("secure", True, "true", {}),
    ("db_name", "2024", "2024", {}),
    ("client_key_path", "k", "k", {"client_pem_path": "c", "ca_pem_path": "a", "secure": True}),
    ("client_pem_path", "c", "c", {"client_key_path": "k", "ca_pem_path": "a", "secure": True}),
    ("ca_pem_path", "a", "a", {"client_key_path": "k", "client_pem_path": "c", "secure": True}),
    ("server_pem_path", "s", "s", {"secure": True}),
    ("server_name", "milvus", "milvus", {"secure": True}),
    ("timeout", 2.5, "2.5", {}),
    ("retry_timeout", 0.0, "0", {}),
    ("index_type", "HNSW", "hnsw", {}),
    ("index_params", {"M": 32}, '{"M": 32}', {"index_type": "HNSW"}),
    ("search_params", {"ef": 500}, '{"ef": 500}', {"index_type": "HNSW"}),
    ("recall", 0.9, "0.9", {"index_type": "HNSW"}),
    ("shards", 2, "2", {}),
    ("replicas", 2, "2", {}),
    ("resource_groups", ["one", "two"], "one, two", {"replicas": 2}),
    ("mmap", False, "false", {}),
    ("partition_key", "team", "team", {}),
    ("key_field", "pk", "pk", {}),
    ("vector_field", "vector", "vector", {}),
]


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    path = tmp_path / "brain_config.json"
    monkeypatch.setenv("FIFTYONE_BRAIN_CONFIG_PATH", str(path))
    return path


def test_no_setting_is_left_out() -> None:
    assert {name for name, *_ in GIVEN} >= {*MilvusSettings.model_fields} - OF_EVERY_BACKEND


@pytest.mark.parametrize("way", ["keyword", "variable", "config"])
@pytest.mark.parametrize(("name", "value", "text", "beside"), GIVEN)
def test_a_setting_arrives_with_its_type(
    monkeypatch: pytest.MonkeyPatch,
    config: Path,
    way: str,
    name: str,
    value: Any,
    text: str,
    beside: dict[str, Any],
) -> None:
    options = dict(beside)
    if way == "keyword":
        options[name] = value
    elif way == "variable":
        monkeypatch.setenv(PREFIX + name.upper(), text)
    else:
        config.write_text(json.dumps({"similarity_backends": {"milvus": {name: value}}}))
    backend = vecbridge.get_backend("milvus", **options).backend
    assert isinstance(backend, MilvusBackend)
    found = getattr(backend.settings, name)
    if isinstance(found, SecretStr):
        found = found.get_secret_value()
    assert found == value
    assert type(found) is type(value)
