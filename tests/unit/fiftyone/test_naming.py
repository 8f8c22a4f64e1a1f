from __future__ import annotations

import re

import pytest

from vecbridge.fiftyone._handle import unique_name
from vecbridge.fiftyone._naming import backend_of, config_class, method_of


def test_shipped_backends_have_the_paths_that_are_stored() -> None:
    assert config_class("milvus") == "vecbridge.fiftyone.similarity.MilvusSimilarityConfig"
    assert config_class("sklearn") == "vecbridge.fiftyone.similarity.SklearnSimilarityConfig"


@pytest.mark.parametrize("name", ["MilvusSimilarity", "MilvusSimilarityConfig"])
def test_every_class_of_a_backend_leads_to_it(name: str) -> None:
    assert backend_of(name) == "milvus"


@pytest.mark.parametrize("backend", ["acme", "my_store", "big_fast_store"])
def test_names_of_third_parties_survive_the_round_trip(backend: str) -> None:
    assert backend_of(config_class(backend).rpartition(".")[2]) == backend


@pytest.mark.parametrize("name", ["__path__", "Similarity", "milvusSimilarity", "MilvusConfig"])
def test_other_names_belong_to_no_backend(name: str) -> None:
    assert backend_of(name) is None


def test_milvus_is_fiftyones_own_name_and_the_others_stand_beside() -> None:
    assert method_of("milvus") == "milvus"
    assert method_of("sklearn") == "vecbridge_sklearn"


@pytest.mark.parametrize("dataset", ["digits", "2026-01 猫 & dogs", "", "x" * 900])
def test_index_names_are_valid_and_never_the_same(dataset: str) -> None:
    names = {unique_name(dataset, key) for key in ("k", "k", None)}
    assert len(names) == 3
    assert all(re.fullmatch(r"fiftyone[a-z0-9_]{0,246}", name) for name in names)
