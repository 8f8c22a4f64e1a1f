"""Runs by the names that users give: of a dataset, and of a brain key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import fiftyone as fo
from fiftyone.core.brain import BrainMethod

from vecbridge import InvalidArgumentError
from vecbridge.fiftyone._config import BackendSimilarityConfig
from vecbridge.fiftyone._same_names import adoptable


def dataset_of(dataset: Any, brain_key: str) -> Any:
    """Return a dataset, which may be given by its name, that has a run of this key.

    Raises:
        InvalidArgumentError: there is no such dataset or run.
    """
    if isinstance(dataset, str):
        if not fo.dataset_exists(dataset):
            datasets = ", ".join(fo.list_datasets()[:10]) or "none"
            raise InvalidArgumentError(f"there is no dataset {dataset!r}; FiftyOne has {datasets}")
        dataset = fo.load_dataset(dataset)
    if not dataset.has_brain_run(brain_key):
        raise InvalidArgumentError(
            f"dataset {dataset.name!r} has no brain run {brain_key!r}; it has "
            f"{', '.join(dataset.list_brain_runs()) or 'none'}"
        )
    return dataset


def refuse_theirs(config: Any, brain_key: str) -> None:
    """Refuse a run that is not vecbridge's.

    Raises:
        InvalidArgumentError: it is of another backend.
    """
    if not isinstance(config, BackendSimilarityConfig):
        raise InvalidArgumentError(
            f"run {brain_key!r} is of backend {config.method!r} ({config.cls}), and not "
            f"vecbridge's. One of FiftyOne's own {adoptable()} becomes vecbridge's "
            f"with `vecbridge fiftyone adopt`"
        )


def index_of(dataset: Any, brain_key: str, options: Mapping[str, Any]) -> Any:
    """Return the index of a run of vecbridge's, with these settings of its store.

    Raises:
        InvalidArgumentError: there is no such dataset or run, or it is not vecbridge's.
    """
    dataset = dataset_of(dataset, brain_key)
    config = BrainMethod.get_run_info(dataset, brain_key).config
    refuse_theirs(config, brain_key)
    return dataset.load_brain_results(brain_key, cache=False, **options)


def saved_view(index: Any, name: str) -> Any:
    """Return a saved view of the dataset of an index.

    Raises:
        InvalidArgumentError: there is none of this name.
    """
    dataset = index.samples._root_dataset
    if not dataset.has_saved_view(name):
        raise InvalidArgumentError(
            f"dataset {dataset.name!r} has no saved view {name!r}; it has "
            f"{', '.join(dataset.list_saved_views()) or 'none'}"
        )
    return dataset.load_saved_view(name)
