"""FiftyOne's default backend is switched, and nothing but the store changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.live.fiftyone.cases import Digits, ranked

EXACT = [
    *("vecbridge_sklearn", "vecbridge_faiss", "vecbridge_torch"),
    *("milvus", "pgvector", "qdrant", "lancedb", "redis"),
]
BY_A_RECALL = "vecbridge_chroma"
SORTS = 20
"""By each metric, so that every store answers sixty."""

K = 12


@pytest.fixture
def configured(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every store, in the environment."""
    given = {
        "MILVUS_URI": request.getfixturevalue("milvus_server_uri"),
        "PGVECTOR_CONNECTION_STRING": request.getfixturevalue("pgvector_uri"),
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(request.getfixturevalue("redis_server").port),
        "LANCEDB_URI": str(tmp_path / "lancedb"),
        "QDRANT_PATH": str(tmp_path / "qdrant"),
    }
    for local in ("SKLEARN", "FAISS", "TORCH", "CHROMA"):
        given[f"VECBRIDGE_{local}_PATH"] = str(tmp_path / local)
    for name, value in given.items():
        monkeypatch.setenv(f"FIFTYONE_BRAIN_SIMILARITY_{name}", value)


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "dotproduct"])
@pytest.mark.usefixtures("configured")
def test_default_switched_through_all_stores_ranks_the_same(
    fob: Any, digits: Digits, monkeypatch: pytest.MonkeyPatch, metric: str
) -> None:
    import vecbridge.fiftyone

    queries = digits.ids[:SORTS]
    rankings = [ranked(metric, digits.ids, digits.vectors, digits.vectors[n]) for n in range(SORTS)]
    for default in [*EXACT, BY_A_RECALL]:
        monkeypatch.setattr(fob.brain_config, "default_similarity_backend", default)
        index = fob.compute_similarity(
            digits.dataset, embeddings=digits.vectors, metric=metric, brain_key="switched"
        )
        assert index.config.method == default
        answers = []
        for query in queries:
            view = digits.dataset.sort_by_similarity(
                query, k=K, brain_key="switched", dist_field="apart"
            )
            answers.append(list(zip(*view.values(["id", "apart"]), strict=True)))
        print(f"{metric:10} {default:17} {len(answers)} sorts")
        for name, distance in answers[0][:3]:
            print(f"    {name}  {distance.hex()}")
        index.delete()
        if default == BY_A_RECALL:
            # What it finds has the same order and the same distances.
            whole = zip(answers, rankings, strict=True)
            assert all(found == [each for each in right if each in found] for found, right in whole)
        else:
            assert answers == [right[:K] for right in rankings]
    vecbridge.fiftyone.close_stores()
