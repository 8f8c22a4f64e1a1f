"""Similarity indexes in FiftyOne's own backends: recognized, read, made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import eta.core.utils as etau
import numpy as np

from vecbridge import InvalidArgumentError, Records
from vecbridge.fiftyone._config import BackendSimilarityConfig
from vecbridge.fiftyone._registration import config_class
from vecbridge.fiftyone._run_index import SAMPLE_ID
from vecbridge.fiftyone._same_names import SAME_NAMES

_MODULE = "fiftyone.brain.internal.core."
_FIELDS = {"pk", "vector", SAMPLE_ID}
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
    """Return our configuration of the index that a run of FiftyOne's backend has in its store."""
    name = SAME_NAMES[backend].index_parameter
    return our_config(config, backend, {**options, name: getattr(config, name)})


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


def in_milvus(
    dataset: Any, brain_key: str, config: Any, options: Mapping[str, Any], name: str | None
) -> Any:
    """Make an index in FiftyOne's Milvus backend, of a collection that exists or of a new one.

    ``name`` is the collection, or ``None`` for a new one; ``options`` are address and credentials.
    """
    from fiftyone.brain.internal.core.milvus import MilvusSimilarityConfig as Config
    from fiftyone.brain.internal.core.milvus import MilvusSimilarityIndex as Index

    made = Config(
        collection_name=name,
        metric=config.metric,
        consistency_level=config.consistency_level or "Session",
        **run_facts(config),
    )
    made.load_credentials(**options)
    # It saves its configuration when it chooses a name; without a key it cannot change the run yet.
    unsaved = Index(dataset, made, None, backend=made.build())
    unsaved._key = brain_key
    return unsaved


def can_write_to_collection(index: Any) -> bool:
    """Return whether FiftyOne's adapter can add to the collection: it writes three fields only."""
    fields = {field.name for field in index.collection.schema.fields}
    return fields == _FIELDS


def fill(index: Any, batches: Iterator[Records]) -> None:
    """Add records to an empty index in FiftyOne's Milvus backend."""
    for records in batches:
        samples, labels = _ids_of([records], index.config.patches_field is not None)
        for start in range(0, len(records), _ROWS_PER_WRITE):
            rows = slice(start, start + _ROWS_PER_WRITE)
            index.add_to_index(
                records.vectors[rows],
                samples[rows],
                label_ids=None if labels is None else labels[rows],
                reload=False,
                batch_size=_ROWS_PER_WRITE,
            )


def _ids_of(parts: list[Records], patches: bool) -> tuple[Any, Any]:
    ids = np.array([name for part in parts for name in part.ids], dtype=np.str_)
    if not patches:
        return ids, None
    samples = [name for part in parts for name in part.fields[SAMPLE_ID]]
    return np.array(samples, dtype=np.str_), ids
