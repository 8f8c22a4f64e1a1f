"""Settings of Qdrant: what is given, what follows from it, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

import vecbridge
from vecbridge import ConfigurationError
from vecbridge_qdrant import QdrantSettings

SECRET = "hunter2-hunter2"

FIFTYONE: dict[str, Any] = {
    "url": "https://qdrant.example:6333",
    "api_key": SECRET,
    "grpc_port": 6334,
    "prefer_grpc": True,
    "replication_factor": 2,
    "shard_number": 3,
    "write_consistency_factor": 1,
    "hnsw_config": {"m": 32, "ef_construct": 200},
    "optimizers_config": {"default_segment_number": 2},
    "wal_config": {"wal_capacity_mb": 64},
}


def test_the_parameters_of_fiftyone_are_settings() -> None:
    settings = QdrantSettings(**FIFTYONE)

    assert settings.hnsw_config is not None
    assert settings.hnsw_config.m == 32
    assert settings.index_type == "hnsw"
    assert SECRET not in f"{settings!r} {settings.place}"


def test_what_fiftyone_leaves_out_is_left_out() -> None:
    nothing: dict[str, Any] = dict.fromkeys(FIFTYONE)
    settings = QdrantSettings(**nothing)

    assert settings == QdrantSettings()
    assert settings.place == "http://localhost:6333"
    assert settings.index_type == "none"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"url": f"http://me:{SECRET}@host:6333"}, "give a key apart"),
        ({"url": f"http://host:6333?api_key={SECRET}"}, "give a key apart"),
        ({"url": "ftp://host"}, "http://host:port"),
        ({"url": "http://host", "path": "folder"}, "not both"),
        ({"path": "folder", "api_key": SECRET}, "no api_key"),
        ({"path": "folder", "hnsw_config": {"m": 4}}, "hnsw_config"),
        ({"path": "http://host:6333"}, "path"),
        ({"index_type": "none", "hnsw_config": {"m": 4}}, "index_type='hnsw'"),
        ({"hnsw_ef": 64}, "index_type='hnsw'"),
        ({"hnsw_config": {"links": 4}}, "hnsw_config"),
        ({"replication_factor": 0}, "replication_factor"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        vecbridge.get_backend("qdrant", **given)

    assert SECRET not in f"{caught.value} {caught.value.__cause__!r}"


@pytest.mark.parametrize(
    "names", [{"a": "x", "b": "x"}, {"a": "../../esc"}, {"a": ".."}, {"a": ""}, {"no name": "x"}]
)
def test_no_two_indexes_have_one_collection(names: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        vecbridge.get_backend("qdrant", collection_names=names)
