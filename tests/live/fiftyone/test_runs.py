"""The life of a run: made, listed, loaded elsewhere, renamed, deleted, and what goes wrong."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.live.fiftyone.cases import Case, Digits, Elsewhere, new_run

LOAD = """
import fiftyone as fo
name, key, *rest = arguments
dataset = fo.load_dataset(name)
dataset.reload()
index = dataset.load_brain_results(key)
"""
SORT = (
    LOAD
    + """
view = index.sort_by_similarity(rest[0], k=12, dist_field="elsewhere")
answer = [index.total_index_size, *view.values(["id", "elsewhere"])]
"""
)


def test_another_process_loads_the_run_and_ranks_the_same(
    digits: Digits, path_case: Case, elsewhere: Elsewhere
) -> None:
    index = new_run(digits, path_case, embeddings=digits.vectors)
    here = index.sort_by_similarity(digits.ids[7], k=12, dist_field="here")
    size, ids, distances = elsewhere.run(SORT, digits.dataset.name, index.key, digits.ids[7])
    assert size == len(digits.ids)
    assert (ids, distances) == tuple(here.values(["id", "here"]))


def test_memory_of_another_process_is_said_to_be_gone(digits: Digits, elsewhere: Elsewhere) -> None:
    case = Case("vecbridge_sklearn", {"path": ":memory:"})
    index = new_run(digits, case, embeddings=digits.vectors)
    empty = LOAD + "answer = index.total_index_size"
    assert elsewhere.run(empty, digits.dataset.name, index.key) == 0
    with pytest.raises(AssertionError, match=r"IndexNotFoundError.*another process's memory"):
        elsewhere.run(SORT, digits.dataset.name, index.key, digits.ids[7])


def test_run_is_loaded_without_the_cache(digits: Digits, path_case: Case) -> None:
    index = new_run(digits, path_case, embeddings=digits.vectors)
    loaded = digits.dataset.load_brain_results(index.key, cache=False)
    assert loaded is not index
    assert loaded._kneighbors(digits.ids[0], k=9) == index._kneighbors(digits.ids[0], k=9)


def test_runs_are_listed_by_what_they_are(digits: Digits, path_case: Case, fob: Any) -> None:
    images = new_run(digits, path_case, embeddings=digits.vectors)
    patches = new_run(digits, path_case, patches_field="halves", embeddings=digits.patches)
    dataset = digits.dataset
    ours = dataset.list_brain_runs(type=fob.Similarity, method="vecbridge_sklearn")
    assert {images.key, patches.key} <= set(ours)
    assert patches.key in dataset.list_brain_runs(patches_field="halves")
    assert images.key not in dataset.list_brain_runs(patches_field="halves")
    assert dataset.get_brain_info(images.key).config.method == "vecbridge_sklearn"


def test_renamed_run_keeps_its_index(digits: Digits, path_case: Case) -> None:
    index = new_run(digits, path_case, embeddings=digits.vectors)
    digits.dataset.rename_brain_run(index.key, "renamed")
    loaded = digits.dataset.load_brain_results("renamed", cache=False)
    assert loaded.total_index_size == len(digits.ids)
    loaded.delete()


def test_delete_removes_index_and_run_and_deleting_the_run_leaves_the_index(
    digits: Digits, path_case: Case
) -> None:
    first, second = (new_run(digits, path_case, embeddings=digits.vectors) for _ in range(2))
    first.delete()
    digits.dataset.delete_brain_run(second.key)
    assert first.store.index_names() == [second.config.collection_name]
    assert not digits.dataset.has_brain_run("renamed")


def test_existing_collection_is_adopted(digits: Digits, path_case: Case) -> None:
    first = new_run(digits, path_case, embeddings=digits.vectors, collection_name="kept")
    second = new_run(digits, path_case, embeddings=False, collection_name="kept")
    assert second.total_index_size == len(digits.ids)
    assert second._kneighbors(digits.ids[3]) == first._kneighbors(digits.ids[3])


def test_collection_with_another_metric_is_refused_and_leaves_no_run(
    digits: Digits, path_case: Case
) -> None:
    new_run(digits, path_case, embeddings=digits.vectors, collection_name="kept")
    with pytest.raises(ValueError, match="expected metric euclidean; the index has cosine"):
        new_run(
            digits,
            path_case,
            embeddings=False,
            collection_name="kept",
            metric="euclidean",
            brain_key="other_metric",
        )
    assert not digits.dataset.has_brain_run("other_metric")


@pytest.mark.parametrize(
    "vectors", [np.full((150, 4), np.nan), np.full((150, 4), 1e39)], ids=["nan", "overflow"]
)
def test_failure_leaves_neither_run_nor_index(
    digits: Digits, path_case: Case, vectors: Any
) -> None:
    with pytest.raises(ValueError, match="vectors must be finite float32"):
        new_run(digits, path_case, embeddings=vectors, brain_key="failing")
    assert not digits.dataset.has_brain_run("failing")
    index = new_run(digits, path_case, embeddings=digits.vectors, brain_key="failing")
    assert index.store.index_names() == [index.config.collection_name]
    index.delete()


def test_failing_model_leaves_no_run(digits: Digits, path_case: Case, models: Any) -> None:
    broken = models.CountingModel(fail_after=0)
    with pytest.raises(RuntimeError, match="out of memory"):
        new_run(digits, path_case, model=broken, skip_failures=False, brain_key="failing")
    assert not digits.dataset.has_brain_run("failing")


def test_taken_key_is_refused(digits: Digits, path_case: Case) -> None:
    index = new_run(digits, path_case, embeddings=digits.vectors)
    with pytest.raises(ValueError, match="already exists"):
        new_run(digits, path_case, embeddings=digits.vectors, brain_key=index.key)
    assert digits.dataset.load_brain_results(index.key) is index


def test_model_embeds_the_images(digits: Digits, path_case: Case, models: Any) -> None:
    index = new_run(digits, path_case, model=models.PatchModel())
    assert index.total_index_size == len(digits.ids)
    first = index._kneighbors(digits.ids[10], k=1, return_dists=True)
    assert first[0] == [digits.ids[10]]


def test_vanished_collection_says_so_and_harms_nothing_else(
    digits: Digits, path_case: Case
) -> None:
    gone = new_run(digits, path_case, embeddings=digits.vectors)
    well = new_run(digits, path_case, embeddings=digits.vectors)
    gone.store.drop_index(gone.config.collection_name)
    loaded = digits.dataset.load_brain_results(gone.key, cache=False)
    assert loaded.total_index_size == 0
    with pytest.raises(LookupError, match=f"index '{gone.config.collection_name}' does not exist"):
        loaded.sort_by_similarity(digits.ids[0], k=3)
    assert {gone.key, well.key} <= set(digits.dataset.list_brain_runs(method="vecbridge_sklearn"))
    assert len(well.sort_by_similarity(digits.ids[0], k=3)) == 3
    loaded.delete()
    assert not digits.dataset.has_brain_run(gone.key)


def test_embeddings_field_holds_the_vectors(digits: Digits, path_case: Case, models: Any) -> None:
    index = new_run(digits, path_case, embeddings="pixels", model=models.PatchModel())
    stored = np.array(digits.dataset.values("pixels"))
    vectors, samples, _ = index.get_embeddings(sample_ids=digits.ids)
    assert samples.tolist() == digits.ids
    assert np.array_equal(vectors, stored)
    index.remove_from_index(sample_ids=digits.ids[:2])
    assert digits.dataset[:3].exists("pixels").values("id") == digits.ids[2:3]


def test_another_process_writes_are_seen(
    digits: Digits, path_case: Case, elsewhere: Elsewhere
) -> None:
    index = new_run(digits, path_case, embeddings=digits.vectors)
    remove = LOAD + "answer = index.remove_from_index(sample_ids=rest[0])"
    elsewhere.run(remove, digits.dataset.name, index.key, digits.ids[:10])
    assert index.total_index_size == len(digits.ids) - 10
    index.reload()
    assert index.index_size == len(digits.ids) - 10


def test_default_path_lies_beside_the_configuration_of_fiftyone(
    digits: Digits, fiftyone_env: dict[str, str], elsewhere: Elsewhere
) -> None:
    index = new_run(digits, Case("vecbridge_sklearn"), embeddings=digits.vectors)
    home = Path(fiftyone_env["FIFTYONE_CONFIG_PATH"]).parent
    assert (home / "vecbridge" / "sklearn").is_dir()
    size, *_ = elsewhere.run(SORT, digits.dataset.name, index.key, digits.ids[0])
    assert size == len(digits.ids)
    index.delete()


@pytest.mark.parametrize("name", ["digits", "2026-01 猫 & dogs", "x" * 900])
def test_index_names_are_valid_and_never_the_same(fob: Any, name: str, path_case: Case) -> None:
    import fiftyone as fo

    dataset = fo.Dataset(name)
    given = {"backend": path_case.backend, "embeddings": False, **path_case.options}
    names = {
        fob.compute_similarity(dataset, brain_key=key, **given).config.collection_name
        for key in ("k", "other", None, None)
    }
    assert len(names) == 4
    assert all(re.fullmatch(r"fiftyone[a-z0-9_]{0,246}", each) for each in names)
    dataset.delete()
