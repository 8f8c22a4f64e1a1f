"""Settings that would be ignored, or that FAISS does not take, are refused."""

from __future__ import annotations

from typing import Any

import pytest

from vecbridge import ConfigurationError, InvalidArgumentError, get_backend


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ef": 10}, "ef is for hnsw"),
        ({"index": "ivf", "ef": 10}, "ef is for hnsw"),
        ({"index": "hnsw", "nprobe": 10}, "nprobe is for ivf"),
        ({"recall": 0.9}, "flat finds everything"),
        ({"index": "hnsw", "recall": 0.9, "ef": 10}, "exclude each other"),
        ({"index": "hnsw", "recall": 1.5}, "recall"),
        ({"index": ""}, "index"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        get_backend("faiss", **options)


def test_a_recipe_that_faiss_does_not_take_is_refused_before_anything_is_made() -> None:
    store = get_backend("faiss", index="NoSuchIndex")
    with pytest.raises(InvalidArgumentError, match="NoSuchIndex"):
        store.create_index("t", dimension=4)
    assert store.index_names() == []


@pytest.mark.parametrize(
    ("index", "largest"),
    [("flat", 32768), ("hnsw", 32768), ("ivf", 32768), ("PQ16", 32768), ("IVF4,PQ48", 32736)],
)
def test_the_largest_dimension_is_one_that_faiss_can_build(index: str, largest: int) -> None:
    with get_backend("faiss", index=index, metric="euclidean") as store:
        made = store.create_index("largest", dimension=largest)
        assert made.capabilities.max_dimension == largest
        if largest < 32768:
            with pytest.raises(InvalidArgumentError, match=f"{largest + 1} dimensions"):
                store.create_index("larger", dimension=largest + 1)
