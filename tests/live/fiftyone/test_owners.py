"""An index is its owner's: clones, imports and other runs read it, and change nothing of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.live.fiftyone.cases import Case, Digits, make_digits, new_run
from vecbridge import InvalidArgumentError

CHANGES: dict[str, Callable[[Any, Digits], object]] = {
    "add": lambda index, own: index.add_to_index(own.vectors[:3] + 1, own.ids[:3]),
    "remove": lambda index, own: index.remove_from_index(sample_ids=own.ids[:5]),
    "cleanup": lambda index, _: index.cleanup(),
    "delete": lambda index, _: index.delete(),
}


@pytest.fixture
def own(fob: Any, tmp_path: Path) -> Digits:
    """A dataset of a test's own."""
    return make_digits(tmp_path, count=30)


def cloned(dataset: Any, folder: Path) -> Any:
    return dataset.clone()


def renamed_clone(dataset: Any, folder: Path) -> Any:
    clone = dataset.clone()
    clone.name = clone.name + "-renamed"
    clone.rename_brain_run("k", "other")
    return clone


def imported(dataset: Any, folder: Path) -> Any:
    import fiftyone as fo

    dataset.export(str(folder), dataset_type=fo.types.FiftyOneDataset, export_media=False)
    return fo.Dataset.from_dir(str(folder), dataset_type=fo.types.FiftyOneDataset)


def clone_of_a_deleted_one(dataset: Any, folder: Path) -> Any:
    clone = dataset.clone()
    dataset.delete()
    return clone


def clone_of_an_older_version(dataset: Any, folder: Path) -> Any:
    """Both runs are as they were made before owners were kept."""
    import fiftyone.core.odm as foo

    clone = dataset.clone()
    runs = foo.get_db_conn()["runs"]
    names = [str(each._doc.id) for each in (dataset, clone)]
    found = {str(run["_dataset_id"]): run["_id"] for run in runs.find({"key": "k"})}
    for name in names:
        runs.update_one({"_id": found[name]}, {"$unset": {"config.owner": ""}})
    for each in (dataset, clone):
        each.reload()
    return clone


COPIES = [cloned, renamed_clone, imported, clone_of_a_deleted_one, clone_of_an_older_version]


@pytest.mark.parametrize("copied", COPIES, ids=lambda copied: copied.__name__)
@pytest.mark.parametrize("change", CHANGES)
def test_a_copy_of_a_dataset_reads_and_changes_nothing_that_is_not_its_own(
    own: Digits, path_case: Case, tmp_path: Path, copied: Any, change: str
) -> None:
    index = new_run(own, path_case, brain_key="k", embeddings=own.vectors)
    store, name = index.store, index.config.collection_name
    before = index.get_embeddings()[0].tobytes()
    copy = copied(own.dataset, tmp_path / "exported")
    (key,) = copy.list_brain_runs()
    of_copy = copy.load_brain_results(key, cache=False)
    assert of_copy.total_index_size == 30

    with pytest.raises(InvalidArgumentError, match=r"cannot .*detach\(\)"):
        CHANGES[change](of_copy, own)

    assert copy.has_brain_run(key)
    assert store.open_index(name).count() == 30
    assert of_copy.get_embeddings()[0].tobytes() == before


@pytest.mark.parametrize("change", CHANGES)
def test_a_detached_copy_is_changed_and_the_original_is_not(
    own: Digits, path_case: Case, change: str
) -> None:
    index = new_run(own, path_case, brain_key="k", embeddings=own.vectors)
    clone = own.dataset.clone()
    of_clone = clone.load_brain_results("k", cache=False)
    name = of_clone.detach()
    again = clone.load_brain_results("k", cache=False)
    assert again.config.collection_name == name != index.config.collection_name
    assert again.get_embeddings()[0].tobytes() == index.get_embeddings()[0].tobytes()
    before = index.get_embeddings()[0].tobytes()

    CHANGES[change](again, own)

    assert index.get_embeddings()[0].tobytes() == before
    index.cleanup()
    assert index.total_index_size == 0


def test_the_owner_writes_and_drops_nothing_while_a_clone_refers_to_it(
    own: Digits, path_case: Case
) -> None:
    index = new_run(own, path_case, brain_key="k", embeddings=own.vectors)
    clone = own.dataset.clone()
    index.remove_from_index(sample_ids=own.ids[:2])
    for dropped in (index.cleanup, index.delete):
        with pytest.raises(InvalidArgumentError, match="refers to the index"):
            dropped()
    assert index.total_index_size == 28
    clone.delete_brain_run("k")
    index.delete()
    assert not own.dataset.has_brain_run("k")


@pytest.mark.parametrize("change", CHANGES)
def test_of_two_runs_of_one_collection_the_first_owns_it(
    own: Digits, path_case: Case, change: str
) -> None:
    first = new_run(own, path_case, brain_key="a", embeddings=own.vectors, collection_name="one")
    with pytest.raises(InvalidArgumentError, match="is that of run 'a'"):
        new_run(own, path_case, brain_key="c", embeddings=own.vectors, collection_name="one")
    assert own.dataset.list_brain_runs() == ["a"]
    second = new_run(own, path_case, brain_key="b", embeddings=False, collection_name="one")
    assert second.total_index_size == 30
    own.dataset.rename_brain_run("a", "z")
    with pytest.raises(InvalidArgumentError, match="is that of run 'z'"):
        CHANGES[change](second, own)
    own.dataset.delete_brain_run("z")
    CHANGES[change](second, own)
    assert first.store.index_names() == ([] if change in {"cleanup", "delete"} else ["one"])


def test_a_renamed_dataset_and_run_keep_their_index(own: Digits, path_case: Case) -> None:
    index = new_run(own, path_case, brain_key="k", embeddings=own.vectors)
    own.dataset.name = own.dataset.name + "-renamed"
    own.dataset.rename_brain_run("k", "other")
    again = own.dataset.load_brain_results("other", cache=False)
    again.remove_from_index(sample_ids=own.ids[:2])
    again.delete()
    assert index.store.index_names() == []


def test_a_clone_does_not_go_on_with_what_the_original_left_unfinished(
    own: Digits, path_case: Case, models: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vecbridge.fiftyone.similarity import SklearnSimilarity

    sizes = replace(SklearnSimilarity.part_sizes, first=10, largest=10)
    monkeypatch.setattr(SklearnSimilarity, "part_sizes", sizes)
    failing = models.CountingModel(fail_after=25)
    with pytest.raises(RuntimeError, match="out of memory"):
        new_run(own, path_case, brain_key="k", model=failing, skip_failures=False)
    clone = replace(own, dataset=own.dataset.clone())
    seen = {}
    for name, digits in {"clone": clone, "original": own}.items():
        model = models.CountingModel()
        index = new_run(digits, path_case, brain_key="k", model=model)
        seen[name] = model.seen, index.total_index_size
    assert seen == {"clone": (30, 30), "original": (10, 30)}


def test_a_copy_that_was_noted_and_never_made_does_not_stop_the_next_one(
    own: Digits, path_case: Case
) -> None:
    new_run(own, path_case, brain_key="k", embeddings=own.vectors)
    clone = own.dataset.clone()
    # A process that is killed right after it has noted the copy leaves this.
    facts = clone.init_run(place="sklearn", collection_name="never", dataset=str(clone._doc.id))
    clone.register_run("vecbridge_adopting_k", facts)
    of_clone = clone.load_brain_results("k", cache=False)
    of_clone.detach()
    assert of_clone.total_index_size == 30
    assert not clone.list_runs()
