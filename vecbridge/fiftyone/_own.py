"""Similarity indexes in FiftyOne's own two backends that are taken over, and made again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from vecbridge._contract._records import Records
from vecbridge._errors import InvalidArgumentError
from vecbridge.fiftyone._handle import SAMPLE_ID

_MODULE = "fiftyone.brain.internal.core."
_FIELDS = {"pk", "vector", SAMPLE_ID}
_ADDED_AT_ONCE = 5000
_KEPT = (
    "embeddings_field",
    "patches_field",
    "roi_field",
    "model",
    "model_kwargs",
    "supports_prompts",
)


def kept(config: Any) -> dict[str, Any]:
    """What a run says of its samples and its model, whatever store its index is in."""
    return {name: value for name in _KEPT if (value := getattr(config, name, None)) is not None}


def own_backend(config: Any) -> str | None:
    """``"sklearn"`` or ``"milvus"`` where a run is of FiftyOne's backend of that name."""
    for name in ("sklearn", "milvus"):
        if config.cls.startswith(f"{_MODULE}{name}."):
            return name
    return None


def records_of(index: Any, patches: bool) -> Records:
    """Everything that FiftyOne's sklearn index holds."""
    vectors, samples, labels = index.get_embeddings()
    ids = [str(name) for name in (labels if patches else samples)]
    if len(set(ids)) != len(ids):
        raise InvalidArgumentError("the index holds an id twice: remove it, or compute it again")
    fields: Mapping[str, Any] = {SAMPLE_ID: [str(name) for name in samples]}
    return Records(tuple(ids), np.ascontiguousarray(vectors, dtype=np.float32), fields)


def in_sklearn(dataset: Any, brain_key: str, config: Any, batches: Iterator[Records]) -> Any:
    """An index in FiftyOne's sklearn backend, which holds these records."""
    from fiftyone.brain.internal.core.sklearn import SklearnSimilarityConfig as Config
    from fiftyone.brain.internal.core.sklearn import SklearnSimilarityIndex as Index

    made = Config(metric=config.metric, **kept(config))
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
    """An index in FiftyOne's Milvus backend, of a collection that exists or of a new one.

    Args:
        dataset: the dataset.
        brain_key: key of the run.
        config: of the run as it is.
        options: address and credentials.
        name: the collection; by default a name is found for a new one.
    """
    from fiftyone.brain.internal.core.milvus import MilvusSimilarityConfig as Config
    from fiftyone.brain.internal.core.milvus import MilvusSimilarityIndex as Index

    made = Config(
        collection_name=name,
        metric=config.metric,
        consistency_level=config.consistency_level or "Session",
        **kept(config),
    )
    made.load_credentials(**options)
    # It saves its configuration as it chooses a name: the run is to stay as it is until the end.
    unsaved = Index(dataset, made, None, backend=made.build())
    unsaved._key = brain_key
    return unsaved


def can_be_in_place(index: Any) -> bool:
    """Whether FiftyOne's adapter can add to the collection: it writes three fields, no other."""
    fields = {field.name for field in index.collection.schema.fields}
    return fields == _FIELDS


def fill(index: Any, batches: Iterator[Records]) -> None:
    """Adds records to an empty index in FiftyOne's Milvus backend."""
    for records in batches:
        for start in range(0, len(records), _ADDED_AT_ONCE):
            stop = start + _ADDED_AT_ONCE
            patches = index.config.patches_field is not None
            samples, labels = _ids_of([records], patches)
            index.add_to_index(
                records.vectors[start:stop],
                samples[start:stop],
                label_ids=None if labels is None else labels[start:stop],
                reload=False,
                batch_size=_ADDED_AT_ONCE,
            )


def _ids_of(parts: list[Records], patches: bool) -> tuple[Any, Any]:
    ids = np.array([name for part in parts for name in part.ids], dtype=np.str_)
    if not patches:
        return ids, None
    samples = [name for part in parts for name in part.fields[SAMPLE_ID]]
    return np.array(samples, dtype=np.str_), ids
