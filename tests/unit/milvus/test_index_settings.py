from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecbridge
from tests.servers.milvus_wire import Wire, search_parameters
from vecbridge import ConfigurationError, InvalidArgumentError, Store
from vecbridge_milvus import MilvusBackend, MilvusSettings

PREFIX = "FIFTYONE_BRAIN_SIMILARITY_MILVUS_"


@pytest.fixture(autouse=True)
def _without_the_users_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FIFTYONE_BRAIN_CONFIG_PATH", str(tmp_path / "none.json"))


def settings_of(store: Store) -> MilvusSettings:
    assert isinstance(store.backend, MilvusBackend)
    return store.backend.settings


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
    settings = settings_of(vecbridge.get_backend("milvus"))
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
        ({"index_type": "HNSW", "index_params": {"ef": 16}}, "belongs in search_params"),
        ({"index_type": "HNSW", "search_params": {"EF": 16}}, "did you mean 'ef'"),
        ({"index_type": "IVF_FLAT", "search_params": {"n_probe": 16}}, "did you mean 'nprobe'"),
        ({"index_type": "HNSW_SQ", "index_params": {"SQType": "SQ8"}}, "did you mean 'sq_type'"),
        (
            {"index_type": "HNSW_PRQ", "index_params": {"nlist": 9}},
            "it has M, efConstruction",
        ),
        ({"index_type": "IVF_RABITQ", "index_params": {"refine_k": 2}}, "belongs in search_params"),
        ({"index_type": "IVF_RABITQ", "index_params": {"sq_type": "SQ8"}}, "it has nlist, refine"),
        ({"index_type": "IVF_RABITQ", "search_params": {"refinek": 2}}, "did you mean 'refine_k'"),
        ({"index_type": "GPU_CAGRA", "index_params": {"graphdegree": 9}}, "mean 'graph_degree'"),
        ({"index_type": "GPU_BRUTE_FORCE", "index_params": {"nlist": 9}}, "it has nothing"),
        ({"index_type": "GPU_CAGRA", "search_params": {"nprobe": 9}}, "does not belong to"),
        ({"index_type": "HNSW", "search_params": {"itopk_size": 9}}, "does not belong to"),
        ({"search_params": {"refine_k": 0.5}}, "a number of at least 1; got 0.5"),
        ({"search_params": {"refine_k": True}}, "a number of at least 1; got True"),
        ({"search_params": {"rbq_query_bits": -1}}, "whole number of at least 0; got -1"),
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
        {"index_type": "IVF_RABITQ", "search_params": {"rbq_query_bits": 0, "refine_k": 1.5}},
        {"index_type": "IVF_RABITQ", "index_params": {"refine": True, "refine_type": "SQ8"}},
        {"index_type": "GPU_IVF_PQ", "index_params": {"m": 4, "cache_dataset_on_device": "true"}},
        {"index_type": "TOMORROWS", "index_params": {"efConstrution": 9}},
    ],
)
def test_what_a_server_may_know_is_passed_on(options: dict[str, Any]) -> None:
    settings = settings_of(vecbridge.get_backend("milvus", **options))
    for name, value in options.items():
        assert getattr(settings, name) == value


def test_a_recall_alone_is_meant_for_indexes_that_are_there() -> None:
    assert MilvusSettings(recall=0.9).index_type == "FLAT"


def sent(
    opened: Callable[..., Store], wire: Wire, k: int, dimension: int = 2, **options: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the build parameters of an index, and the search parameters of a search for ``k``."""
    store = opened(**options)
    index = store.create_index(f"t_{uuid.uuid4().hex}", dimension=dimension)
    wire.calls.clear()
    index.search(np.ones((1, dimension)), k, ranking="native", consistency="eventual")
    return wire.built(index.info.name), search_parameters(wire.requests("Search")[0])


# Of the hits that are asked for, 16 are spare.
@pytest.mark.parametrize(
    ("name", "effort", "limit", "expected"),
    [
        ("HNSW", {"ef": 10}, 100, {"ef": 100}),
        ("HNSW", {"ef": 10**6}, 100, {"ef": 32768}),
        ("DISKANN", {"search_list": 10}, 100, {"search_list": 100}),
        ("IVF_FLAT", {"nprobe": 9}, 100, {"nprobe": 9}),
        ("IVF_FLAT", {"nprobe": 99}, 100, {"nprobe": 64}),
        ("SCANN", {"nprobe": 9}, 100, {"nprobe": 9, "reorder_k": 512}),
        ("SCANN", {"nprobe": 9}, 400, {"nprobe": 9, "reorder_k": 800}),
        ("NEW_ONE", {}, 100, {}),
        ("HNSW_SQ", {"refine_k": 3, "ef": 50}, 26, {"ef": 50, "refine_k": 3}),
        ("IVF_RABITQ", {"nprobe": 9, "refine_k": 1.5}, 26, {"nprobe": 9, "refine_k": 1.5}),
        # It is asked for twice the hits.
        ("GPU_CAGRA", {"itopk_size": 64}, 100, {"itopk_size": 200}),
        ("GPU_CAGRA", {"itopk_size": 256, "team_size": 0}, 26, {"itopk_size": 256, "team_size": 0}),
    ],
)
def test_never_less_effort_is_sent_than_the_hits_need(
    opened: Callable[..., Store],
    wire: Wire,
    name: str,
    effort: dict[str, int],
    limit: int,
    expected: dict[str, int],
) -> None:
    nlist = {"nlist": 64} if "nprobe" in effort else {}
    _, told = sent(
        opened, wire, limit - 16, index_type=name, index_params=nlist, search_params=effort
    )
    assert told == expected


def test_an_index_that_looks_at_every_record_is_told_nothing(
    opened: Callable[..., Store], wire: Wire
) -> None:
    assert sent(opened, wire, 100)[1] == {}


def test_what_a_gpu_builds_for_a_cpu_is_searched_like_a_graph(
    opened: Callable[..., Store], wire: Wire
) -> None:
    options: dict[str, Any] = {"index_type": "GPU_CAGRA", "search_params": {"ef": 10}}
    built, told = sent(opened, wire, 84, index_params={"adapt_for_cpu": "true"}, **options)
    assert (built["adapt_for_cpu"], told) == ("true", {"ef": 100})


@pytest.mark.parametrize(("dimension", "parts"), [(512, 128), (6, 1), (7, 1), (12, 3)])
def test_codes_divide_a_vector_evenly(
    opened: Callable[..., Store], wire: Wire, dimension: int, parts: int
) -> None:
    built, _ = sent(opened, wire, 1, dimension, index_type="IVF_PQ", index_params={"nlist": 5})
    assert {name: built[name] for name in ("nlist", "m", "nbits")} == {
        "nlist": "5",
        "m": str(parts),
        "nbits": "8",
    }


def test_lite_is_not_taken_at_its_word(tmp_path: Path) -> None:
    pytest.importorskip("milvus_lite")
    for name, there in (("IVF_SQ8", True), ("DISKANN", False)):
        with vecbridge.get_backend("milvus", uri=str(tmp_path / "v.db"), index_type=name) as store:
            if there:
                store.create_index("built", dimension=2)
                continue
            with pytest.raises(InvalidArgumentError, match="searches by another one"):
                store.create_index("never", dimension=2)
