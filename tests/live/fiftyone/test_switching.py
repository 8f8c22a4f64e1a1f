"""FiftyOne's default backend is switched, and nothing but the store changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.live.fiftyone.cases import Digits, ranked

DEFAULTS = ["vecbridge_sklearn", "milvus", "vecbridge_faiss", "pgvector", "vecbridge_torch"]


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_default_switched_through_all_stores_ranks_the_same(
    fob: Any,
    digits: Digits,
    milvus_server_uri: str,
    pgvector_uri: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    metric: str,
) -> None:
    monkeypatch.setenv("FIFTYONE_BRAIN_SIMILARITY_MILVUS_URI", milvus_server_uri)
    monkeypatch.setenv("FIFTYONE_BRAIN_SIMILARITY_PGVECTOR_CONNECTION_STRING", pgvector_uri)
    for backend in ("SKLEARN", "FAISS", "TORCH"):
        variable = f"FIFTYONE_BRAIN_SIMILARITY_VECBRIDGE_{backend}_PATH"
        monkeypatch.setenv(variable, str(tmp_path / backend))
    answers = {}
    query = digits.ids[5]
    for default in DEFAULTS:
        monkeypatch.setattr(fob.brain_config, "default_similarity_backend", default)
        index = fob.compute_similarity(
            digits.dataset, embeddings=digits.vectors, metric=metric, brain_key="switched"
        )
        assert index.config.method == default
        view = digits.dataset.sort_by_similarity(query, brain_key="switched", dist_field="apart")
        answers[default] = list(zip(*view.values(["id", "apart"]), strict=True))
        print(f"{metric:9} {default:17} {len(view)} ranked")
        for name, distance in answers[default][:3]:
            print(f"    {name}  {distance.hex()}")
        index.delete()
    expected = ranked(metric, digits.ids, digits.vectors, digits.vectors[5])
    assert all(answer == expected for answer in answers.values())
