"""Similarity indexes in FiftyOne's own backends: recognized, read, made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from inspect import signature
from typing import Any

import eta.core.utils as etau
import numpy as np
from fiftyone.brain.config import BrainConfig

from vecbridge import InvalidArgumentError, Records
from vecbridge.fiftyone._config import BackendSimilarityConfig
from vecbridge.fiftyone._registration import config_class
from vecbridge.fiftyone._run_index import SAMPLE_ID
from vecbridge.fiftyone._same_names import SAME_NAMES
from vecbridge.fiftyone._stores import is_configured

_MODULE = "fiftyone.brain.internal.core."
_ROWS_PER_WRITE = 5000
_RUN_FACTS = (
    "embeddings_field",
    "patches_field",
    "roi_field",
    "model",
    "model_kwargs",
    "supports_prompts",
)


def run_facts(config: Any) -> dict[str, Any]:
    """Return what a run says of its samples and its model, whatever store its index is in."""
    return {
        name: value for name in _RUN_FACTS if (value := getattr(config, name, None)) is not None
    }


def our_config(config: Any, backend: str, options: Mapping[str, Any]) -> BackendSimilarityConfig:
    """Return the configuration, of a backend of vecbridge's, of an index like the one of a run.

    ``config`` is of the run, whatever store that is in; ``options`` are parameters of the backend.
    """
    kind: type[BackendSimilarityConfig] = etau.get_class(config_class(backend))
    return kind(
        metric=getattr(config, "metric", None),
        consistency_level=getattr(config, "consistency_level", None),
        center=getattr(config, "center", None),
        **run_facts(config),
        **options,
    )


def config_in_place(
    config: Any, backend: str, options: Mapping[str, Any]
) -> BackendSimilarityConfig:
    """Return our configuration of the index that a run of FiftyOne's backend has in its store.

    A run may keep the folder of its store. Where neither it nor anything else names one, that of
    FiftyOne is meant.
    """
    about = SAME_NAMES[backend]
    found = {**options, about.index_parameter: getattr(config, about.index_parameter)}
    place = about.folder_setting
    if place is not None and found.get(place) is None:
        kept = config.serialize().get(place)
        if kept is not None or not is_configured(backend, place):
            found[place] = kept or about.folder
    return our_config(config, backend, found)


def index_of(config: Any) -> str | None:
    """Return the name that the store has for the index of a run of FiftyOne's; sklearn has none."""
    backend = builtin_backend(config)
    about = SAME_NAMES.get(backend or "")
    return None if about is None else getattr(config, about.index_parameter)


def builtin_backend(config: Any) -> str | None:
    """Return the name of the backend of FiftyOne's that a run is of, where it can be adopted."""
    for name in ("sklearn", *SAME_NAMES):
        if config.cls.startswith(f"{_MODULE}{name}."):
            return name
    return None


def records_of(index: Any) -> Records:
    """Return everything that FiftyOne's sklearn index holds."""
    vectors, samples, labels = index.get_embeddings()
    ids = [str(name) for name in (samples if index.config.patches_field is None else labels)]
    if len(set(ids)) != len(ids):
        raise InvalidArgumentError(
            "the index has several records of one id: remove them, or compute the index again"
        )
    fields = {SAMPLE_ID: [str(name) for name in samples]}
    return Records(tuple(ids), np.ascontiguousarray(vectors, dtype=np.float32), fields)


def in_sklearn(dataset: Any, brain_key: str, config: Any, batches: Iterator[Records]) -> Any:
    """Make an index in FiftyOne's sklearn backend that holds these records."""
    from fiftyone.brain.internal.core.sklearn import SklearnSimilarityConfig as Config
    from fiftyone.brain.internal.core.sklearn import SklearnSimilarityIndex as Index

    made = Config(metric=config.metric, **run_facts(config))
    parts = list(batches)
    samples, labels = _ids_of(parts, made.patches_field is not None)
    vectors = np.concatenate([part.vectors for part in parts])
    return Index(
        dataset,
        made,
        brain_key,
        embeddings=vectors,
        sample_ids=samples,
        label_ids=labels,
        backend=made.build(),
    )


def in_own(
    dataset: Any,
    brain_key: str,
    config: BackendSimilarityConfig,
    backend: str,
    options: Mapping[str, Any],
    name: str | None,
) -> Any:
    """Make an index in FiftyOne's own backend, of a collection that exists or of a new one.

    Args:
        dataset: of the run.
        brain_key: key of the run.
        config: ours, of the run.
        backend: one of ``SAME_NAMES``.
        options: address and credentials, by FiftyOne's names.
        name: the collection, or ``None`` for a new one.

    Raises:
        InvalidArgumentError: FiftyOne's backend has no such option.
    """
    about = SAME_NAMES[backend]
    given = {about.index_parameter: name, "metric": config.metric, **run_facts(config)}
    if about.consistency_level is not None:
        given["consistency_level"] = config.consistency_level or about.consistency_level
    made = etau.get_class(BrainConfig._BUILTIN_SIMILARITY_BACKENDS[backend]["config_cls"])(**given)
    try:
        made.load_credentials(**options)
    except TypeError as error:
        raise InvalidArgumentError(
            f"FiftyOne's own {backend} does not take these settings: {', '.join(sorted(options))}"
        ) from error
    # It saves its configuration when it chooses a name; without a key it cannot change the run yet.
    unsaved = made.build().initialize(dataset, None)
    unsaved._key = brain_key
    return unsaved


def own_place(config: BackendSimilarityConfig) -> dict[str, Any]:
    """Return what is kept with a run of ours and leads FiftyOne's backend to its store."""
    place = SAME_NAMES[config.backend_name].folder_setting
    return {name: value for name, value in config.kept.items() if name == place}


def is_of_own(index: Any) -> bool:
    """Return whether a collection is as FiftyOne's adapter makes it, which can then add to it."""
    return GIVEN_BACK[index.config.method](index)


def _qdrant_shown(index: Any) -> bool:
    found = index.client.get_collection(index.config.collection_name).config
    return hasattr(found.params.vectors, "size") and not getattr(found, "metadata", None)


GIVEN_BACK: Mapping[str, Callable[[Any], bool]] = {
    "milvus": lambda index: (
        {each.name for each in index.collection.schema.fields} == {"pk", "vector", SAMPLE_ID}
    ),
    "qdrant": _qdrant_shown,
    "lancedb": lambda index: set(index.table.schema.names) == {"id", "vector", SAMPLE_ID},
    "redis": lambda index: "$.foid" in str(index.client.ft(index.config.index_name).info()),
}
"""FiftyOne's backends that a run can go back to, and how each tells a collection of its own."""


def fill(index: Any, batches: Iterator[Records]) -> None:
    """Add records to an empty index in one of FiftyOne's own backends."""
    taken = signature(index.add_to_index).parameters
    more = {"batch_size": _ROWS_PER_WRITE} if "batch_size" in taken else {}
    for records in batches:
        samples, labels = _ids_of([records], index.config.patches_field is not None)
        for start in range(0, len(records), _ROWS_PER_WRITE):
            rows = slice(start, start + _ROWS_PER_WRITE)
            index.add_to_index(
                records.vectors[rows],
                samples[rows].tolist(),
                label_ids=None if labels is None else labels[rows].tolist(),
                reload=False,
                **more,
            )


def _ids_of(parts: list[Records], patches: bool) -> tuple[Any, Any]:
    ids = np.array([name for part in parts for name in part.ids], dtype=np.str_)
    if not patches:
        return ids, None
    samples = [name for part in parts for name in part.fields[SAMPLE_ID]]
    return np.array(samples, dtype=np.str_), ids
