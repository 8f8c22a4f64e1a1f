from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import vecbridge
from vecbridge import ConfigurationError, InvalidArgumentError
from vecbridge_milvus import MilvusSettings
from vecbridge_milvus._index_types import IndexType, build_parameters, check_for_lite

PREFIX = "FIFTYONE_BRAIN_SIMILARITY_MILVUS_"


@pytest.fixture(autouse=True)
def _without_the_users_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FIFTYONE_BRAIN_CONFIG_PATH", str(tmp_path / "none.json"))


def test_every_setting_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "INDEX_TYPE": "hnsw",
        "INDEX_PARAMS": '{"M": 32}',
        "RECALL": "0.9",
        "SHARDS": "2",
        "REPLICAS": "2",
        "RESOURCE_GROUPS": "one, two",
        "MMAP": "true",
        "PARTITION_KEY": "team",
    }.items():
        monkeypatch.setenv(PREFIX + name, value)
    backend: Any = vecbridge.get_backend("milvus").backend
    settings = backend._settings
    assert (settings.index_type, settings.index_params, settings.recall) == ("HNSW", {"M": 32}, 0.9)
    assert settings.loading == {"replica_number": 2, "resource_groups": ["one", "two"]}
    assert (settings.shards, settings.mmap, settings.partition_key) == (2, True, "team")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"index_type": "FLAT", "recall": 0.9}, "recall is for approximate indexes"),
        ({"index_type": "FLAT", "search_params": {"ef": 9}}, "looks at every record"),
        ({"index_params": {"M": 8}}, "index_params needs an index_type"),
        ({"index_type": "HNSW", "search_params": {"nprobe": 9}}, "does not belong to"),
        ({"index_type": "IVF_PQ", "search_params": {"ef": 9}}, "does not belong to"),
        ({"recall": 0.9, "search_params": {"ef": 9}}, "exclude each other"),
        ({"search_params": {"metric_type": "L2", "params": 1}}, "the parameters themselves"),
        ({"search_params": {"ef": "lots"}}, "whole number of at least 1; got 'lots'"),
        ({"index_type": "HNSW", "search_params": {"ef": 0}}, "whole number of at least 1"),
        ({"search_params": {"reorder_k": 1.5}}, "whole number of at least 1"),
        ({"index_params": "{", "index_type": "HNSW"}, "JSON object"),
        ({"index_type": "HNSW", "index_params": {"efConstrution": 9}}, "mean 'efConstruction'"),
        ({"index_type": "HNSW", "index_params": {"m": 16}}, "did you mean 'M'"),
        ({"index_type": "HNSW", "index_params": {"nlist": 16}}, "it has M, efConstruction"),
        ({"index_type": "IVF_FLAT", "index_params": {"N_List": 16}}, "did you mean 'nlist'"),
        ({"index_type": "HNSW", "index_params": {"ef": 16}}, "belongs into search_params"),
        ({"index_type": "HNSW", "search_params": {"EF": 16}}, "did you mean 'ef'"),
        ({"index_type": "IVF_FLAT", "search_params": {"n_probe": 16}}, "did you mean 'nprobe'"),
        ({"resource_groups": ["a", "b"], "replicas": 3}, "replicas=2"),
        ({"recall": 1.1}, "recall"),
        ({"index_type": "no such"}, "index_type"),
        ({"uri": "v.db", "shards": 2}, "Milvus Lite would ignore shards"),
        ({"uri": "v.db", "replicas": 2}, "Milvus Lite would ignore replicas"),
        ({"uri": "v.db", "mmap": True}, "Milvus Lite would ignore mmap"),
    ],
)
def test_nonsense_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        vecbridge.get_backend("milvus", **options)


@pytest.mark.parametrize(
    "options",
    [
        {"index_type": "HNSW_PQ", "index_params": {"M": 16, "m": 8, "nbits": 8, "refine": True}},
        {"index_type": "SCANN", "index_params": {"nlist": 64, "with_raw_data": True}},
        {"index_type": "HNSW", "index_params": {"M": 16, "mmap.enabled": True}},
        {"index_type": "DISKANN", "index_params": {"search_list_size": 100}},
        {"index_type": "GPU_CAGRA", "search_params": {"itopk_size": 64, "search_width": 4}},
        {"index_type": "IVF_RABITQ", "search_params": {"rbq_query_bits": 6, "refine_k": 2}},
        {"index_type": "TOMORROWS", "index_params": {"efConstrution": 9}},
    ],
)
def test_what_a_server_may_know_is_passed_on(options: dict[str, Any]) -> None:
    backend: Any = vecbridge.get_backend("milvus", **options).backend
    for name, value in options.items():
        assert getattr(backend._settings, name) == value


def test_a_recall_alone_is_meant_for_indexes_that_are_there() -> None:
    assert MilvusSettings(recall=0.9).index_type == "FLAT"


@pytest.mark.parametrize(
    ("name", "effort", "limit", "sent"),
    [
        ("HNSW", 10, 100, {"ef": 100}),
        ("HNSW", 10**6, 100, {"ef": 32768}),
        ("DISKANN", 10, 100, {"search_list": 100}),
        ("IVF_FLAT", 9, 100, {"nprobe": 9}),
        ("IVF_FLAT", 99, 100, {"nprobe": 64}),
        ("SCANN", 9, 100, {"nprobe": 9, "reorder_k": 512}),
        ("SCANN", 9, 400, {"nprobe": 9, "reorder_k": 800}),
        ("FLAT", 9, 100, {}),
        ("NEW_ONE", 9, 100, {}),
    ],
)
def test_never_less_effort_is_sent_than_the_hits_need(
    name: str, effort: int, limit: int, sent: dict[str, int]
) -> None:
    assert IndexType(name, {"nlist": "64"}).parameters(limit, effort) == sent


def test_what_else_the_user_says_is_sent_along() -> None:
    kind = IndexType("HNSW_SQ", {})
    sent = kind.parameters(10, 50, {"refine_k": 3, "ef": 50})
    assert sent == {"ef": 50, "refine_k": 3}
    assert kind.lossy


@pytest.mark.parametrize(("dimension", "parts"), [(512, 128), (6, 1), (7, 1), (12, 3)])
def test_codes_divide_a_vector_evenly(dimension: int, parts: int) -> None:
    built = build_parameters("IVF_PQ", dimension, {"nlist": 5})
    assert built == {"nlist": 5, "m": parts, "nbits": 8}


def test_lite_is_not_taken_at_its_word() -> None:
    check_for_lite("IVF_SQ8")
    with pytest.raises(InvalidArgumentError, match="searches by another one"):
        check_for_lite("DISKANN")
