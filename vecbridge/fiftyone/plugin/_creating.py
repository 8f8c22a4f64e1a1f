"""Indexes come and go: what the App asks for a new one, and the jobs that make and drop them."""

from __future__ import annotations

from typing import Any, NamedTuple

import eta.core.utils as etau
import fiftyone as fo

from vecbridge import InvalidArgumentError
from vecbridge.fiftyone._registration import config_class
from vecbridge.fiftyone.plugin._jobs import Report
from vecbridge.fiftyone.plugin._runs import Target, find_run, target, where
from vecbridge.transfer import Progress

_OF_THE_SHAPE = {"bounding_box", "mask", "points"}
_NO_NUMBERS = (fo.StringField, fo.ListField, fo.EmbeddedDocumentField)


class Wanted(NamedTuple):
    """An index that is to be made.

    Attributes:
        key: the brain key of its run.
        metric: how distance is measured in it.
        embeddings: the field that holds the embeddings; empty where a model makes them.
        model: name of a model of FiftyOne's zoo; empty where a field holds them.
        patches: the field of the objects that are indexed; empty for whole samples.
    """

    key: str
    metric: str
    embeddings: str = ""
    model: str = ""
    patches: str = ""


def embedding_fields(dataset: Any, patches: str) -> list[str]:
    """Return the fields that may hold embeddings, of samples or of their objects.

    Args:
        dataset: a dataset.
        patches: the field of the objects; empty for samples.
    """
    root = ""
    if patches:
        root = dataset._get_label_field_path(patches)[1] + "."
    kinds = (fo.VectorField, fo.ArrayField, fo.ListField)
    return [
        path.removeprefix(root)
        for path, field in dataset.get_field_schema(flat=True, ftype=kinds).items()
        if path.startswith(root)
        and "." not in path.removeprefix(root)
        and path.removeprefix(root) not in _OF_THE_SHAPE
        and not isinstance(getattr(field, "field", None), _NO_NUMBERS)
    ]


def patch_fields(dataset: Any) -> list[str]:
    """Return the fields of objects that can be indexed one by one."""
    kinds = (fo.Detection, fo.Detections, fo.Polyline, fo.Polylines)
    schema = dataset.get_field_schema(ftype=fo.EmbeddedDocumentField, embedded_doc_type=kinds)
    return list(schema)


def models_with_embeddings() -> list[str]:
    """Return the models of FiftyOne's zoo that make embeddings; nothing is downloaded."""
    import fiftyone.zoo as foz

    return sorted(foz.list_zoo_models(tags="embeddings"))


def create_index(dataset: Any, wanted: Wanted, to: Target, progress: Progress) -> Report:
    """Make a similarity index of a dataset in a store.

    Raises:
        InvalidArgumentError: the key is taken or none of FiftyOne's, or there is nothing to make
            embeddings from; nothing was made.
    """
    import fiftyone.brain as fob

    key = wanted.key
    if not key.isidentifier():
        raise InvalidArgumentError(
            f"{key!r} is not a brain key: use letters, digits and underscores, no digit first"
        )
    if dataset.has_brain_run(key):
        raise InvalidArgumentError(f"the dataset has a run {key!r} already: choose another key")
    if bool(wanted.embeddings) == bool(wanted.model):
        raise InvalidArgumentError("choose either a field that holds embeddings or a model")
    options = target(to)[1]

    def shown(bar: Any) -> None:
        progress("embedding", int(bar.iteration), int(bar.total or 0))

    index = fob.compute_similarity(
        dataset,
        patches_field=wanted.patches or None,
        embeddings=wanted.embeddings or None,
        model=wanted.model or None,
        brain_key=key,
        metric=wanted.metric,
        backend=etau.get_class(config_class(to.backend)),
        progress=shown,
        **options,
    )
    place = where(to.backend, options) or to.backend
    return Report(
        "success",
        f"{key}: {index.total_index_size:,} records indexed in {to.backend}",
        f"The index is `{index.config.collection_name}` in {place}, with the metric "
        f"{wanted.metric}.",
    )


def drop_index(dataset: Any, key: str, *, keep_run: bool) -> Report:
    """Drop an index from its store, and its run from the dataset.

    Raises:
        InvalidArgumentError: the index is another run's, or another one refers to it; nothing was
            dropped.
    """
    run = find_run(dataset, key)
    index = dataset.load_brain_results(key, cache=False)
    if keep_run:
        index.cleanup()
    else:
        index.delete()
    name = f"`{run.collection}` in {run.where or run.store}" if run.collection else "No index"
    return Report(
        "success",
        f"{key} was dropped",
        f"{name} was deleted. " + ("The run was kept." if keep_run else ""),
    )
