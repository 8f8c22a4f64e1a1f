"""A report on a store behind a connection, whose index is approximate."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import vecbridge
from vecbridge.report import html_page, survey


def test_an_approximate_index_of_milvus_lite_is_measured(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    vectors = random.normal(size=(2000, 16)).astype(np.float32)
    vectors[5] = vectors[4]
    uri = str(tmp_path / "vectors.db")
    options = {
        "index_type": "IVF_FLAT",
        "index_params": {"nlist": 64},
        "search_params": {"nprobe": 2},
    }
    with vecbridge.get_backend("milvus", uri=uri, **options) as store:
        index = store.create_index("photos", dimension=16, metric="cosine")
        index.upsert([f"photo {number}" for number in range(2000)], vectors)
        # Every record that is not in the index yet is looked at.
        index.engine.settle()  # type: ignore[attr-defined]

        seen = survey(store, "photos", sample=500, queries=40)

        assert (seen.records, seen.sampled, seen.scanned) == (2000, 500, 2000)
        assert seen.recall is not None
        assert seen.recall.certified == 0
        assert 0.1 < seen.recall.share.mean < 1
        assert set(seen.lags) == {"strong", "session", "bounded", "eventual"}
        assert None not in seen.lags.values()
        assert "the index is approximate" in html_page(seen)
        assert store.index_names() == ["photos"]
